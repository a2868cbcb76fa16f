"""What operations take, give and raise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Sequence, Type, Union

Bytes = Union[bytes, bytearray, memoryview, str]


def to_bytes(data: Bytes) -> bytes:
    if isinstance(data, str):
        return data.encode()
    try:
        return bytes(memoryview(data))
    # bytes() alone takes a number too, for so many zeros, and a list of them.
    except TypeError:
        raise TypeError(f"{type(data).__name__}: keys and values are bytes or str") from None


class ScalioError(Exception):
    """A failure: what happened, to what, what to do. Codes that this version does not know are of
    this class itself."""

    code = -1

    @property
    def message(self) -> str:
        return str(self)


class NotFound(ScalioError):
    """The key has no value."""
    code = 1


class Conflict(ScalioError):
    """A conditional write: the key's version is another one."""
    code = 2


class Unknown(ScalioError):
    """The write was sent and its outcome cannot be learnt: it may or may not happen."""
    code = 3


class Invalid(ScalioError):
    """The request itself is wrong."""
    code = 4


class TooLarge(ScalioError):
    """Key and value are larger than what the store takes."""
    code = 5


class Full(ScalioError):
    """No room on the SSD; nothing was written."""
    code = 6


class ReadOnly(ScalioError):
    """Writes have stopped after a device's error; nothing was written."""
    code = 7


class Unavailable(ScalioError):
    """No connection, or the client is closed; a write reported so was never sent."""
    code = 8


class TimedOut(ScalioError):
    """A bound on waiting has passed; a write reported so was never sent."""
    code = 9


class IoError(ScalioError):
    """A device reported an error."""
    code = 10


class Corrupt(ScalioError):
    """Stored bytes fail their checksum or contradict each other."""
    code = 11


class Busy(ScalioError):
    """A limit on clients or on operations in flight is reached."""
    code = 12


class Denied(ScalioError):
    """The server does not let this user in (its name, its secret), or not do this; nothing was
    written. Trying again does not help."""
    code = 13


_CLASSES: dict[int, Type[ScalioError]] = {
    c.code: c for c in (NotFound, Conflict, Unknown, Invalid, TooLarge, Full, ReadOnly,
                        Unavailable, TimedOut, IoError, Corrupt, Busy, Denied)}


def error_of(code: int, message: str) -> ScalioError:
    if code == NotFound.code and not message:
        message = "there is no such key"
    error = _CLASSES.get(code, ScalioError)(message)
    if type(error) is ScalioError:
        error.code = code
    return error


@dataclass(frozen=True)
class Record:
    """A value and its version, which grows with every write of the key; and when it ends, in
    seconds since 1970."""
    value: bytes
    version: int
    end: Optional[float] = None


@dataclass(frozen=True)
class ScannedRecord:
    """A record as a scan has found it; one over the inline limit as it is when it is its turn."""
    key: bytes
    value: bytes
    version: int
    end: Optional[float] = None


@dataclass(frozen=True)
class Appended:
    """What an append has left: the bytes of the value, and the version that it was done to (0:
    the key did not exist)."""
    version: int
    size: int
    previous: int


@dataclass(frozen=True)
class Incremented:
    """What an increment has left: the sum, and the version that it was done to, as Appended."""
    version: int
    value: int
    previous: int


@dataclass(frozen=True)
class Put:
    """One write of a batch. With `expected`, only if the key has that version (0: none). The record
    ends `ttl` seconds after the server takes it, or at `end`, in seconds since 1970."""
    key: Bytes
    value: Bytes
    expected: Optional[int] = None
    ttl: Optional[float] = None
    end: Optional[float] = None


@dataclass(frozen=True)
class Remove:
    """One removal of a batch. With `expected`, only if the key has that version."""
    key: Bytes
    expected: Optional[int] = None


@dataclass(frozen=True)
class Options:
    """What a client is connected with. Times are seconds; None is the library's default."""
    threads: Optional[int] = None
    """Threads of the client, 1 to 64, each a client to the server."""
    in_flight: Optional[int] = None
    """Operations that a thread may have begun and not ended."""
    submit_timeout: Optional[float] = None
    """How long an operation waits for room when there are as many."""
    connect_timeout: Optional[float] = None
    operation_timeout: Optional[float] = None
    """Of a large value it bounds each step of an operation."""
    resume_timeout: Optional[float] = None
    ssd_paths: Sequence[str] = field(default_factory=tuple)
    """Where this machine sees the server's SSDs, in the order of `scalio stat`."""
    tls_ca: Optional[str] = None
    """For tls: URIs, a file: the CA that has signed the server's certificate, in PEM."""
    tls_cert: Optional[str] = None
    """This client's certificate, in PEM, where the server asks for one."""
    tls_key: Optional[str] = None
    """Its private key, in PEM."""
    tls_psk: Optional[str] = None
    """In place of these a file with a line "identity:key in hexadecimal digits"."""
    user: Optional[str] = None
    """Who connects, if the server has users."""
    secret: Optional[str] = field(default=None, repr=False)
    nvmf_dhchap: Optional[str] = None
    """For an NVMe-oF target that has hosts prove who they are, a file: the line "NQN SECRET" of
    this host, or "NQN SECRET CONTROLLER-SECRET"."""
