"""The client of a Scalio store.

    import scalio

    with scalio.Client("unix:/run/scalio.sock") as client:
        client.put("key", b"value")
        print(client.get("key").value)

and in programs that use asyncio:

    async with scalio.AsyncClient("unix:/run/scalio.sock") as client:
        await client.put("key", b"value")

Operations are linearizable, and what was written is durable. Keys are 1 to 255 bytes, any bytes; a
str, as key or value, stands for its UTF-8. Every failure is a ScalioError, each code of it a class.
"""

from ._types import (Appended, Busy, Conflict, Corrupt, Denied, Full, Incremented, Invalid, IoError,
                     NotFound, Options, Put, ReadOnly, Record, Remove, ScalioError, ScannedRecord,
                     TimedOut, TooLarge, Unavailable, Unknown)
from .aio import AsyncClient
from .client import Client

__all__ = ["Appended", "AsyncClient", "Busy", "Client", "Conflict", "Corrupt", "Denied", "Full",
           "Incremented", "Invalid", "IoError", "NotFound", "Options", "Put", "ReadOnly", "Record",
           "Remove", "ScalioError", "ScannedRecord", "TimedOut", "TooLarge", "Unavailable",
           "Unknown"]
