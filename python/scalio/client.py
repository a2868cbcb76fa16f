"""The blocking client."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import Any, BinaryIO, Callable, Iterable, Iterator, List, Optional, Union

from . import _c_api
from ._types import (Appended, Bytes, Incremented, NotFound, Options, Put, Record, Remove,
                     ScalioError, ScannedRecord, Unavailable)


class Client:
    """A connection to a store, for any number of threads.

    A thread that waits for an operation lets others run. In a process forked from the one that
    connected every operation raises Unavailable; connect anew there.
    """

    def __init__(self, uri: str, options: Options = Options()) -> None:
        """`uri` is "unix:/path", "tcp:host:port", "tls:host:port" or "rdma:host:port". Raises
        Invalid, Denied (the user, its secret), Unavailable, TimedOut or Busy (too many clients)."""
        self._calls = 0
        self._changed = threading.Condition()
        self._handle: Optional[int] = None
        self._handle = _c_api.connect(uri, options)

    def close(self) -> None:
        """Waits until all operations in flight have ended, and leaves. Once closed, operations
        raise Unavailable."""
        with self._changed:
            handle, self._handle = self._handle, None
            self._changed.wait_for(lambda: self._calls == 0)
        if handle is not None:
            _c_api.c.scalio_client_free(handle)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    def get(self, key: Bytes) -> Record:
        """The key's value and version. Raises NotFound."""
        return self._wait(_c_api.get_call(key), _c_api.record)

    def multi_get(self, keys: Iterable[Bytes]) -> List[Union[Record, ScalioError]]:
        """Of each key its record, or why there is none, in their order. All are in flight
        together."""
        return self._wait(_c_api.multi_get_call(keys), _c_api.records)

    def put(self, key: Bytes, value: Bytes, *, expected: Optional[int] = None,
            ttl: Optional[float] = None, end: Optional[float] = None) -> int:
        """Durably sets the key's value, and returns its new version. With `expected`, only if the
        key has that version (0: if it does not exist), else raises Conflict. The record ends `ttl`
        seconds after the server takes it, or at `end`, in seconds since 1970."""
        call = _c_api.put_call(key, value, expected, ttl, end)
        return self._wait(call, _c_api.version)

    def get_into(self, key: Bytes, file: BinaryIO, start: int = 0) -> int:
        """Writes the key's value, from byte `start` on, to a binary file, part by part: it need not
        fit the memory. Returns its version. After a failure the file has what was written of it.
        Raises NotFound; Conflict, if the value was overwritten or removed and its place used again
        when a part of it was written; and what the file raises, which ends it. The file must not
        close the client."""
        with self._used() as handle:
            return _c_api.get_into(handle, key, file, start)

    def put_from(self, key: Bytes, file: BinaryIO, length: Optional[int] = None, *,
                 expected: Optional[int] = None, ttl: Optional[float] = None,
                 end: Optional[float] = None) -> int:
        """As put(), with a value of `length` bytes that a binary file has from where it stands on;
        by default, all of those. They are read part by part: the value need not fit the memory. The
        key has it when it is whole: nothing is written if the file raises, comes to its end before
        (Invalid), or takes 30 s for a part (Unavailable). The file must not close the client."""
        with self._used() as handle:
            return _c_api.put_from(handle, key, file, length, expected, ttl, end)

    def set_end(self, key: Bytes, *, ttl: Optional[float] = None,
                end: Optional[float] = None, expected: Optional[int] = None) -> int:
        """Durably gives the key's record another end, as put() does, or none, and returns its new
        version; the value stays. With `expected`, only if the key has that version, else raises
        Conflict. Raises NotFound."""
        call = _c_api.set_end_call(key, expected, ttl, end)
        return self._wait(call, _c_api.version)

    def remove(self, key: Bytes, *, expected: Optional[int] = None) -> int:
        """Durably removes the key, whether or not it exists, and returns the deletion's version.
        With `expected`, only if the key has that version, else raises Conflict."""
        return self._wait(_c_api.remove_call(key, expected), _c_api.version)

    def append(self, key: Bytes, text: Bytes) -> Appended:
        """Durably appends to the key's value, or to an empty one: once, between any two other
        writes of the key. Raises TooLarge if key and value would have more than `inline_limit`
        bytes: it neither makes a value large nor changes one that is."""
        return self._wait(_c_api.append_call(key, text), _c_api.appended)

    def increment(self, key: Bytes, by: int = 1) -> Incremented:
        """Durably adds to the key's value, a decimal number of 64 bits with its sign, or to 0.
        Raises Invalid if the value is no such number, or the sum is none."""
        return self._wait(_c_api.increment_call(key, by), _c_api.incremented)

    def write(self, batch: Iterable[Union[Put, Remove]]) -> List[Union[int, ScalioError]]:
        """Each write by itself, in any order, all in flight together: of each its version, or why
        it was not done."""
        return self._wait(_c_api.batch_call(list(batch)), _c_api.versions)

    def scan(self) -> Iterator[ScannedRecord]:
        """All records, in no order. What exists throughout is found once; what is written or
        removed meanwhile may be found, or not."""
        for part in self._wait(("scan_ranges", (1,)), _c_api.ranges):
            while part.begin != part.end:
                found, unread, part = self._wait(("scan", (part,)), _c_api.page)
                yield from found
                # One at a time: many of them may not fit the memory.
                for key in unread:
                    try:
                        record = self.get(key)
                    except NotFound:
                        continue
                    yield ScannedRecord(key, record.value, record.version, record.end)

    def stat(self) -> Any:
        """The server's statistics."""
        return json.loads(self._wait(("stat", ()), _c_api.text))

    @property
    def inline_limit(self) -> int:
        """The largest key and value together, in bytes, that is not in the value log."""
        with self._used() as handle:
            return _c_api.c.scalio_inline_limit(handle)

    def _wait(self, call: _c_api.Call, convert: Callable[[int], Any]) -> Any:
        name, arguments = call
        with self._used() as handle:
            result = getattr(_c_api.c, "scalio_" + name)(handle, *arguments)
        return _c_api.take(result, convert)

    @contextmanager
    def _used(self) -> Iterator[int]:
        """The client is not freed meanwhile."""
        with self._changed:
            if self._handle is None:
                raise Unavailable("the client is closed")
            handle = self._handle
            self._calls += 1
        try:
            yield handle
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()
