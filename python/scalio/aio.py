"""The client for asyncio."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import (Any, AsyncIterator, BinaryIO, Callable, Dict, Iterable, List, Optional, Set,
                    Tuple, Union)

from . import _c_api
from ._types import (Appended, Bytes, Incremented, NotFound, Options, Put, Record, Remove,
                     ScalioError, ScannedRecord, Unavailable)

_IN_FLIGHT = 65536
"""Operations of one client, beyond which they raise Busy; `Options.in_flight` is less."""


def _free(connected: asyncio.Future) -> None:
    if not connected.cancelled() and connected.exception() is None:
        _c_api.c.scalio_client_free(connected.result())


class AsyncClient:
    """A connection to a store, for the tasks of one event loop. Many operations may be in flight.

    An operation whose task is cancelled goes on: a write may still happen.
    """

    def __init__(self, uri: str, options: Options = Options()) -> None:
        """As scalio.Client, but not connected: `async with` connects it, and so does connect()."""
        if not isinstance(uri, str):
            raise TypeError(f"a URI is a str, not {type(uri).__name__}")
        self._uri, self._options = uri, options
        self._loop: Optional[asyncio.AbstractEventLoop] = None  # where it connects
        self._handle: Optional[int] = None
        self._closed = False
        self._waiting: Dict[int, Tuple[asyncio.Future, Callable[[int], Any]]] = {}
        self._threads: Set[asyncio.Future] = set()
        self._numbers = itertools.count(1)
        # Kept as long as C may call it.
        self._done = _c_api.DONE(self._end)

    @classmethod
    async def connect(cls, uri: str, options: Options = Options()) -> AsyncClient:
        """A client that is connected; the loop goes on meanwhile. Failures: as of scalio.Client."""
        client = cls(uri, options)
        await client._connect()
        return client

    async def _connect(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        connecting = loop.run_in_executor(None, _c_api.connect, self._uri, self._options)
        try:
            handle = await asyncio.shield(connecting)
        except BaseException:
            self._loop = None
            # Where this was cancelled the thread goes on, and nobody else frees what it connects.
            connecting.add_done_callback(_free)
            raise
        try:
            self._queue = _c_api.new_queue(_IN_FLIGHT)
        except BaseException:
            self._loop = None
            _c_api.c.scalio_client_free(handle)
            raise
        loop.add_reader(_c_api.c.scalio_queue_fd(self._queue), self._poll)
        self._handle = handle

    async def close(self) -> None:
        """Waits until all operations in flight have ended, and leaves. Once closed, operations
        raise Unavailable."""
        handle, self._handle = self._handle, None
        if handle is None or self._loop is None:
            return
        self._closed = True
        if self._threads:
            await asyncio.wait(self._threads)
        await asyncio.to_thread(_c_api.c.scalio_client_free, handle)
        self._poll()
        self._loop.remove_reader(_c_api.c.scalio_queue_fd(self._queue))
        _c_api.c.scalio_queue_free(self._queue)

    async def __aenter__(self) -> AsyncClient:
        if self._loop is None:
            await self._connect()
        self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def get(self, key: Bytes) -> Record:
        """The key's value and version. Raises NotFound."""
        return await self._begin(_c_api.get_call(key), _c_api.record)

    async def multi_get(self, keys: Iterable[Bytes]) -> List[Union[Record, ScalioError]]:
        """Of each key its record, or why there is none, in their order."""
        return await self._begin(_c_api.multi_get_call(keys), _c_api.records)

    async def put(self, key: Bytes, value: Bytes, *, expected: Optional[int] = None,
                  ttl: Optional[float] = None, end: Optional[float] = None) -> int:
        """Durably sets the key's value, and returns its new version. With `expected`, only if the
        key has that version (0: if it does not exist), else raises Conflict. The record ends `ttl`
        seconds after the server takes it, or at `end`, in seconds since 1970."""
        call = _c_api.put_call(key, value, expected, ttl, end)
        return await self._begin(call, _c_api.version)

    async def get_into(self, key: Bytes, file: BinaryIO, start: int = 0) -> int:
        """As of scalio.Client. A thread of the loop's default executor uses the file."""
        return await self._on_thread(_c_api.get_into, key, file, start)

    async def put_from(self, key: Bytes, file: BinaryIO, length: Optional[int] = None, *,
                       expected: Optional[int] = None, ttl: Optional[float] = None,
                       end: Optional[float] = None) -> int:
        """As of scalio.Client. A thread of the loop's default executor uses the file."""
        return await self._on_thread(_c_api.put_from, key, file, length, expected, ttl, end)

    async def set_end(self, key: Bytes, *, ttl: Optional[float] = None,
                      end: Optional[float] = None, expected: Optional[int] = None) -> int:
        """Durably gives the key's record another end, as put() does, or none, and returns its new
        version; the value stays. With `expected`, only if the key has that version, else raises
        Conflict. Raises NotFound."""
        call = _c_api.set_end_call(key, expected, ttl, end)
        return await self._begin(call, _c_api.version)

    async def remove(self, key: Bytes, *, expected: Optional[int] = None) -> int:
        """Durably removes the key, whether or not it exists, and returns the deletion's version.
        With `expected`, only if the key has that version, else raises Conflict."""
        return await self._begin(_c_api.remove_call(key, expected), _c_api.version)

    async def append(self, key: Bytes, text: Bytes) -> Appended:
        """Durably appends to the key's value, or to an empty one: once, between any two other
        writes of the key. Raises TooLarge if key and value would have more than `inline_limit`
        bytes: it neither makes a value large nor changes one that is."""
        return await self._begin(_c_api.append_call(key, text), _c_api.appended)

    async def increment(self, key: Bytes, by: int = 1) -> Incremented:
        """Durably adds to the key's value, a decimal number of 64 bits with its sign, or to 0.
        Raises Invalid if the value is no such number, or the sum is none."""
        return await self._begin(_c_api.increment_call(key, by), _c_api.incremented)

    async def write(self, batch: Iterable[Union[Put, Remove]]) -> List[Union[int, ScalioError]]:
        """Each write by itself, in any order, all in flight together: of each its version, or why
        it was not done."""
        return await self._begin(_c_api.batch_call(list(batch)), _c_api.versions)

    async def scan(self) -> AsyncIterator[ScannedRecord]:
        """All records, in no order. What exists throughout is found once; what is written or
        removed meanwhile may be found, or not."""
        for part in await self._begin(("scan_ranges", (1,)), _c_api.ranges):
            while part.begin != part.end:
                found, unread, part = await self._begin(("scan", (part,)), _c_api.page)
                for one in found:
                    yield one
                # One at a time: many of them may not fit the memory.
                for key in unread:
                    try:
                        record = await self.get(key)
                    except NotFound:
                        continue
                    yield ScannedRecord(key, record.value, record.version, record.end)

    async def stat(self) -> Any:
        """The server's statistics."""
        return json.loads(await self._begin(("stat", ()), _c_api.text))

    @property
    def inline_limit(self) -> int:
        """The largest key and value together, in bytes, that is not in the value log."""
        return _c_api.c.scalio_inline_limit(self._open())

    def _open(self) -> int:
        if self._handle is None:
            raise Unavailable("the client is closed" if self._closed else
                              "the client is not connected: use it in `async with`, or make it by "
                              "`await AsyncClient.connect(uri)`")
        return self._handle

    async def _begin(self, call: _c_api.Call, convert: Callable[[int], Any]) -> Any:
        name, arguments = call
        handle = self._open()
        number = next(self._numbers)
        assert self._loop is not None
        future = self._loop.create_future()
        self._waiting[number] = future, convert
        failure = getattr(_c_api.c, f"scalio_{name}_async")(
            handle, *arguments, self._done, number, self._queue)
        if failure:
            del self._waiting[number]
            _c_api.raise_if(failure)
        return await future

    async def _on_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """With the handle. close() waits for its end, also if the task was cancelled."""
        handle = self._open()
        assert self._loop is not None
        call = self._loop.run_in_executor(None, function, handle, *arguments)
        self._threads.add(call)
        call.add_done_callback(self._threads.discard)
        return await asyncio.shield(call)

    def _poll(self) -> None:
        _c_api.c.scalio_queue_poll(self._queue)

    def _end(self, result: int, number: int) -> None:
        """Called by C, in _poll()."""
        future, convert = self._waiting.pop(number)
        try:
            value = _c_api.take(result, convert)
        except Exception as error:  # of whatever kind, it is the caller's
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(value)
