"""libscalio.so, by ctypes.

ctypes is in every Python, and needs no compiler where the package is built and no extension for
each version of Python; it lets go of the interpreter's lock while an operation waits. It costs a
microsecond or so a call, which an operation that is handed to another thread has anyway.
"""

from __future__ import annotations

import ctypes
import io
import operator
import os
from ctypes import (CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int64, c_size_t,
                    c_uint, c_uint32, c_uint64, c_void_p)
from typing import Any, BinaryIO, Callable, Iterable, List, Optional, Tuple, Union

from ._types import (Appended, Bytes, Incremented, Options, Put, Record, Remove, ScalioError,
                     ScannedRecord, Unavailable, error_of, to_bytes)


class BytesOfC(Structure):
    _fields_ = [("data", c_char_p), ("size", c_size_t)]


class ExpiryOfC(Structure):
    _fields_ = [("nanoseconds", c_int64), ("from_now", c_int)]


class WriteOfC(Structure):
    _fields_ = [("kind", c_int), ("key", BytesOfC), ("value", BytesOfC), ("expected", c_uint64),
                ("expiry", ExpiryOfC)]


class RangeOfC(Structure):
    _fields_ = [("begin", c_uint64), ("end", c_uint64)]


class PartOfC(Structure):
    _fields_ = [("data", c_void_p), ("size", c_size_t), ("offset", c_uint64), ("length", c_uint64),
                ("version", c_uint64), ("end", c_int64)]


class RoomOfC(Structure):
    _fields_ = [("data", c_void_p), ("size", c_size_t), ("filled", c_size_t)]


DONE = CFUNCTYPE(None, c_void_p, c_void_p)
TAKE_PART = CFUNCTYPE(c_int, POINTER(PartOfC), c_void_p)
FILL_PART = CFUNCTYPE(c_int, POINTER(RoomOfC), c_void_p)

PUT, PUT_IF, REMOVE, REMOVE_IF = range(4)

# Of each operation, the types of its arguments after the client.
OPERATIONS: dict[str, list] = {
    "get": [c_char_p, c_size_t],
    "multi_get": [POINTER(BytesOfC), c_size_t],
    "put": [c_char_p, c_size_t, c_char_p, c_size_t],
    "put_if": [c_char_p, c_size_t, c_char_p, c_size_t, c_uint64],
    "put_until": [c_char_p, c_size_t, c_char_p, c_size_t, ExpiryOfC],
    "put_if_until": [c_char_p, c_size_t, c_char_p, c_size_t, c_uint64, ExpiryOfC],
    "set_end": [c_char_p, c_size_t, ExpiryOfC, c_uint64],
    "remove": [c_char_p, c_size_t],
    "remove_if": [c_char_p, c_size_t, c_uint64],
    "append": [c_char_p, c_size_t, c_char_p, c_size_t],
    "increment": [c_char_p, c_size_t, c_int64],
    "batch": [POINTER(WriteOfC), c_size_t],
    "scan_ranges": [c_size_t],
    "scan": [RangeOfC],
    "stat": [],
}

# The others: what they give, and their arguments.
FUNCTIONS: dict[str, tuple] = {
    "version": (c_char_p, []),
    "options_new": (c_void_p, []),
    "options_free": (None, [c_void_p]),
    "options_set_threads": (None, [c_void_p, c_uint]),
    "options_set_in_flight": (None, [c_void_p, c_size_t]),
    "options_set_submit_timeout": (None, [c_void_p, c_uint32]),
    "options_set_connect_timeout": (None, [c_void_p, c_uint32]),
    "options_set_operation_timeout": (None, [c_void_p, c_uint32]),
    "options_set_resume_timeout": (None, [c_void_p, c_uint32]),
    "options_add_ssd_path": (c_int, [c_void_p, c_char_p]),
    "options_set_tls": (c_int, [c_void_p, c_char_p, c_char_p, c_char_p, c_char_p]),
    "options_set_nvmf_dhchap": (c_int, [c_void_p, c_char_p]),
    "options_set_user": (c_int, [c_void_p, c_char_p, c_char_p]),
    "connect": (c_void_p, [c_char_p, c_void_p, POINTER(c_void_p)]),
    "client_free": (None, [c_void_p]),
    "inline_limit": (c_size_t, [c_void_p]),
    "get_parts": (c_void_p, [c_void_p, c_char_p, c_size_t, c_uint64, TAKE_PART, c_void_p]),
    "put_parts": (c_void_p, [c_void_p, c_char_p, c_size_t, c_uint64, ExpiryOfC, FILL_PART,
                             c_void_p]),
    "put_parts_if": (c_void_p, [c_void_p, c_char_p, c_size_t, c_uint64, c_uint64, ExpiryOfC,
                                FILL_PART, c_void_p]),
    "queue_new": (c_void_p, [c_size_t, POINTER(c_void_p)]),
    "queue_free": (None, [c_void_p]),
    "queue_fd": (c_int, [c_void_p]),
    "queue_poll": (c_size_t, [c_void_p]),
    "result_code": (c_int, [c_void_p]),
    "result_message": (c_char_p, [c_void_p]),
    "result_value": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "result_length": (c_uint64, [c_void_p]),
    "result_version": (c_uint64, [c_void_p]),
    "result_end": (c_int64, [c_void_p]),
    "result_number": (c_int64, [c_void_p]),
    "result_previous": (c_uint64, [c_void_p]),
    "result_count": (c_size_t, [c_void_p]),
    "result_at": (c_void_p, [c_void_p, c_size_t]),
    "result_key": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "result_range": (RangeOfC, [c_void_p]),
    "result_free": (None, [c_void_p]),
}


def _load() -> ctypes.CDLL:
    loaded = ctypes.CDLL(os.environ.get("SCALIO_LIBRARY", "libscalio.so.0"))
    for name, (gives, takes) in FUNCTIONS.items():
        function = getattr(loaded, "scalio_" + name)
        function.restype, function.argtypes = gives, takes
    for name, takes in OPERATIONS.items():
        function = getattr(loaded, "scalio_" + name)
        function.restype, function.argtypes = c_void_p, [c_void_p, *takes]
        function = getattr(loaded, f"scalio_{name}_async")
        function.restype = c_void_p
        function.argtypes = [c_void_p, *takes, DONE, c_void_p, c_void_p]
    return loaded


c = _load()


# --- Connecting -----------------------------------------------------------------------------------


def _milliseconds(seconds: float) -> int:
    milliseconds = round(seconds * 1000)
    if not 0 <= milliseconds < 2**32:
        raise ValueError(f"{seconds} seconds: a time is 0 to 4,294,967 seconds")
    return milliseconds


def _count(number: int, bits: int) -> int:
    number = operator.index(number)
    if not 0 <= number < 2**bits:
        raise ValueError(f"{number}: a number is 0 to {2**bits - 1}")
    return number


def _c_text(text: bytes, what: str) -> bytes:
    # C would take it for the end, and what is behind it for nothing.
    if b"\0" in text:
        raise ValueError(f"{what}: there is a NUL in it")
    return text


def _path(path: Optional[str], what: str) -> Optional[bytes]:
    return None if path is None else _c_text(os.fsencode(path), what)


def connect(uri: str, options: Options) -> int:
    """A scalio_client, to be freed."""
    made = c.scalio_options_new()
    if not made:
        raise MemoryError
    try:
        if options.threads is not None:
            c.scalio_options_set_threads(made, _count(options.threads, 32))
        if options.in_flight is not None:
            c.scalio_options_set_in_flight(made, _count(options.in_flight, 64))
        for name in ("submit_timeout", "connect_timeout", "operation_timeout", "resume_timeout"):
            seconds = getattr(options, name)
            if seconds is not None:
                getattr(c, "scalio_options_set_" + name)(made, _milliseconds(seconds))
        if isinstance(options.ssd_paths, (str, bytes)):
            raise TypeError("ssd_paths is a list of paths, not one")
        for path in options.ssd_paths:
            if c.scalio_options_add_ssd_path(made, _path(path, "a path of ssd_paths")):
                raise MemoryError
        tls = (_path(getattr(options, name), name)
               for name in ("tls_ca", "tls_cert", "tls_key", "tls_psk"))
        if c.scalio_options_set_tls(made, *tls):
            raise MemoryError
        if options.nvmf_dhchap is not None:
            dhchap = _path(options.nvmf_dhchap, "nvmf_dhchap")
            if c.scalio_options_set_nvmf_dhchap(made, dhchap):
                raise MemoryError
        if options.user is not None or options.secret is not None:
            user = _c_text((options.user or "").encode(), "user")
            secret = _c_text((options.secret or "").encode(), "secret")
            if c.scalio_options_set_user(made, user, secret):
                raise MemoryError
        client = c_void_p()
        raise_if(c.scalio_connect(_c_text(uri.encode(), "the URI"), made, byref(client)))
        assert client.value
        return client.value
    finally:
        c.scalio_options_free(made)


def new_queue(limit: int) -> int:
    queue = c_void_p()
    raise_if(c.scalio_queue_new(limit, byref(queue)))
    assert queue.value
    return queue.value


# --- Arguments ------------------------------------------------------------------------------------

Call = Tuple[str, tuple]
"""An operation's name and its arguments, which must be kept until it has been called."""


def get_call(key: Bytes) -> Call:
    k = to_bytes(key)
    return "get", (k, len(k))


def _expiry(ttl: Optional[float], end: Optional[float]) -> ExpiryOfC:
    if ttl is not None and end is not None:
        raise ValueError("a record has a ttl or an end, not both")
    seconds = ttl if ttl is not None else end
    if seconds is None:
        return ExpiryOfC(0, 0)
    if ttl is not None and ttl < 0:
        raise ValueError(f"a ttl of {ttl} seconds: one is 0 or more")
    nanoseconds = round(seconds * 1e9)
    if not nanoseconds < 2**63:
        raise ValueError(f"{seconds} seconds: an end is before the year 2262")
    # What has passed is as good as a deletion; 0 would be never.
    return ExpiryOfC(max(nanoseconds, 1), ttl is not None)


def put_call(key: Bytes, value: Bytes, expected: Optional[int], ttl: Optional[float],
             end: Optional[float]) -> Call:
    k, v, expiry = to_bytes(key), to_bytes(value), _expiry(ttl, end)
    if expected is None:
        return "put_until", (k, len(k), v, len(v), expiry)
    return "put_if_until", (k, len(k), v, len(v), _count(expected, 64), expiry)


def set_end_call(key: Bytes, expected: Optional[int], ttl: Optional[float],
                 end: Optional[float]) -> Call:
    k = to_bytes(key)
    return "set_end", (k, len(k), _expiry(ttl, end), _count(expected or 0, 64))


def remove_call(key: Bytes, expected: Optional[int]) -> Call:
    k = to_bytes(key)
    if expected is None:
        return "remove", (k, len(k))
    return "remove_if", (k, len(k), _count(expected, 64))


def append_call(key: Bytes, text: Bytes) -> Call:
    k, t = to_bytes(key), to_bytes(text)
    return "append", (k, len(k), t, len(t))


def increment_call(key: Bytes, by: int) -> Call:
    by = operator.index(by)
    if not -2**63 <= by < 2**63:
        raise ValueError(f"{by}: a number is of 64 bits with its sign")
    k = to_bytes(key)
    return "increment", (k, len(k), by)


def multi_get_call(keys: Iterable[Bytes]) -> Call:
    # Of one text the characters would be the keys.
    if isinstance(keys, (str, bytes, bytearray, memoryview)):
        raise TypeError("multi_get takes a list of keys, not one")
    all_keys = [to_bytes(k) for k in keys]
    given = (BytesOfC * len(all_keys))(*((k, len(k)) for k in all_keys))
    return "multi_get", (given, len(all_keys))


def _write_of(write: Union[Put, Remove]) -> WriteOfC:
    key = to_bytes(write.key)
    if isinstance(write, Put):
        kind, value, expiry = PUT, to_bytes(write.value), _expiry(write.ttl, write.end)
    else:
        kind, value, expiry = REMOVE, b"", ExpiryOfC(0, 0)
    if write.expected is not None:
        kind += 1
    return WriteOfC(kind, BytesOfC(key, len(key)), BytesOfC(value, len(value)),
                    _count(write.expected or 0, 64), expiry)


def batch_call(writes: List[Union[Put, Remove]]) -> Call:
    return "batch", ((WriteOfC * len(writes))(*map(_write_of, writes)), len(writes))


# --- Results --------------------------------------------------------------------------------------


def _bytes(function: Callable[..., Any], result: int) -> bytes:
    size = c_size_t()
    data = function(result, byref(size))
    return ctypes.string_at(data, size.value)


def error_in(result: int) -> Optional[ScalioError]:
    code = c.scalio_result_code(result)
    if not code:
        return None
    return error_of(code, c.scalio_result_message(result).decode(errors="replace"))


def raise_if(failure: Optional[int]) -> None:
    """Of what gives a result only if it fails."""
    if failure:
        try:
            raise error_in(failure) or ScalioError("a failure without a code")
        finally:
            c.scalio_result_free(failure)


def take(result: int, convert: Callable[[int], Any]) -> Any:
    """What a result has, or its failure raised. The result is freed."""
    try:
        error = error_in(result)
        if error:
            raise error
        return convert(result)
    finally:
        c.scalio_result_free(result)


def version(result: int) -> int:
    return c.scalio_result_version(result)


def _end(result: int) -> Optional[float]:
    nanoseconds = c.scalio_result_end(result)
    return nanoseconds / 1e9 if nanoseconds else None


def record(result: int) -> Record:
    return Record(_bytes(c.scalio_result_value, result), version(result), _end(result))


def appended(result: int) -> Appended:
    return Appended(version(result), c.scalio_result_number(result),
                    c.scalio_result_previous(result))


def incremented(result: int) -> Incremented:
    return Incremented(version(result), c.scalio_result_number(result),
                       c.scalio_result_previous(result))


def text(result: int) -> str:
    return _bytes(c.scalio_result_value, result).decode()


def _parts(result: int) -> List[int]:
    return [c.scalio_result_at(result, i)
            for i in range(c.scalio_result_count(result))]


def records(result: int) -> List[Union[Record, ScalioError]]:
    return [error_in(part) or record(part) for part in _parts(result)]


def versions(result: int) -> List[Union[int, ScalioError]]:
    return [error_in(part) or version(part) for part in _parts(result)]


def ranges(result: int) -> List[RangeOfC]:
    return [c.scalio_result_range(part) for part in _parts(result)]


def page(result: int) -> Tuple[List[ScannedRecord], List[bytes], RangeOfC]:
    """What a scan has found, the keys of those whose values it has not read, and what is left."""
    found, unread = [], []
    for part in _parts(result):
        key, value = _bytes(c.scalio_result_key, part), _bytes(c.scalio_result_value, part)
        if c.scalio_result_length(part) != len(value):
            unread.append(key)
        else:
            found.append(ScannedRecord(key, value, version(part), _end(part)))
    return found, unread, c.scalio_result_range(result)


# --- Values in parts ------------------------------------------------------------------------------


class _File:
    """A file whose exceptions C does not see: the first is kept, and ends the operation.

    One may come before a function's first line has run, as KeyboardInterrupt does: ctypes drops it,
    and what it has C take for the function's answer is of chance. So a part counts as given or
    taken only by what is noted behind it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._raised: Optional[BaseException] = None
        self._taken = 0

    def rest(self) -> int:
        """Its bytes from where it stands on."""
        if not self._file.seekable():
            raise ValueError("a file that cannot be sought in: give the length")
        at = self._file.tell()
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(at)
        return max(end - at, 0)

    def fill(self, room: Any, _: Any) -> int:
        return self._guarded(self._read, room.contents)

    def take(self, part: Any, _: Any) -> int:
        return self._guarded(self._write, part.contents)

    def end(self, result: int, size: Callable[[int], Optional[int]]) -> int:
        """The version that the result has, or what was raised. The result is freed. `size`: how
        many bytes the file has taken, if all went well."""
        raised, self._raised = self._raised, None
        if raised is not None:
            c.scalio_result_free(result)
            raise raised
        done, expected = take(result, lambda r: (version(r), size(r)))
        if expected is not None and self._taken != expected:
            raise RuntimeError(f"{self._taken} of {expected} bytes were written to the file")
        return done

    def _guarded(self, call: Callable[[Any], None], given: Any) -> int:
        try:
            call(given)
            return 0
        except StopIteration as error:
            # asyncio gives it to no Future: a task would wait for its end for ever.
            self._raised = RuntimeError("the file raised StopIteration")
            self._raised.__cause__ = error
        except BaseException as error:  # of whatever kind, it is the caller's
            self._raised = error
        return Unavailable.code

    def _read(self, room: RoomOfC) -> None:
        data = self._file.read(room.size)
        if data is None:
            raise BlockingIOError("the file gives no bytes now: let it block")
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"the file gave {type(data).__name__}, not bytes: open it as binary")
        data = bytes(data)
        if len(data) > room.size:
            raise ValueError(f"the file gave {len(data)} bytes, and was asked for {room.size}")
        ctypes.memmove(room.data, data, len(data))
        room.filled = len(data)

    def _write(self, part: PartOfC) -> None:
        data = ctypes.string_at(part.data, part.size)
        while data:
            written = self._file.write(data)
            # Files that are none of io's may not say: then they have all.
            if written is None and not isinstance(self._file, io.RawIOBase):
                break
            if not written:
                raise BlockingIOError("the file takes no bytes now: let it block")
            data = data[written:]
        self._taken += part.size


def get_into(client: int, key: Bytes, file: BinaryIO, start: int) -> int:
    k, begin, sink = to_bytes(key), _count(start, 64), _File(file)
    result = c.scalio_get_parts(client, k, len(k), begin, TAKE_PART(sink.take), None)
    return sink.end(result, lambda got: max(c.scalio_result_length(got) - begin, 0))


def put_from(client: int, key: Bytes, file: BinaryIO, length: Optional[int],
             expected: Optional[int], ttl: Optional[float], end: Optional[float]) -> int:
    k, expiry, source = to_bytes(key), _expiry(ttl, end), _File(file)
    size = _count(source.rest() if length is None else length, 64)
    fill = FILL_PART(source.fill)
    if expected is None:
        result = c.scalio_put_parts(client, k, len(k), size, expiry, fill, None)
    else:
        result = c.scalio_put_parts_if(client, k, len(k), size, _count(expected, 64), expiry, fill,
                                       None)
    return source.end(result, lambda _: None)
