#!/usr/bin/env python3
"""Scalio's client in one page: hello.py unix:/path"""

import asyncio
import sys

import scalio


def increment(client: scalio.Client, key: str) -> int:
    """Adds one to a number, over again when another client was faster."""
    while True:
        try:
            now = client.get(key)
            number, version = int(now.value) + 1, now.version
        except scalio.NotFound:
            number, version = 1, 0
        try:
            client.put(key, str(number), expected=version)
            return number
        except scalio.Conflict:
            continue


async def many(uri: str) -> int:
    """Many operations in flight, on one thread."""
    async with scalio.AsyncClient(uri) as client:
        await asyncio.gather(*(client.put(f"many-{i}", b"value") for i in range(100)))
        records = await client.multi_get(f"many-{i}" for i in range(100))
        return sum(isinstance(r, scalio.Record) for r in records)


def main(uri: str) -> None:
    with scalio.Client(uri) as client:
        client.put("greeting", "hello, world")
        print("greeting =", client.get("greeting").value.decode())
        print("runs =", increment(client, "runs"))
    print(asyncio.run(many(uri)), "of 100 read")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: hello.py URI")
    try:
        main(sys.argv[1])
    except scalio.ScalioError as error:
        sys.exit(f"hello.py: {type(error).__name__}: {error}")
