"""The Python package against a whole store: ctest runs it.

Environment: SCALIO_PROGRAM, SCALIO_LIBRARY; PYTHONPATH has the package.
"""

import asyncio
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

import scalio
from scalio import _c_api

ROOT = pathlib.Path(__file__).resolve().parent.parent
HANG = 60  # seconds that only a hang takes


class Store:
    """A store that is served."""

    def __init__(self, secrets=None):
        """With `secrets`, by name, of users who may do all but write."""
        self.scratch = tempfile.TemporaryDirectory(prefix="scalio-")
        directory = pathlib.Path(self.scratch.name)
        self.uri = f"unix:{directory}/socket"
        program = os.environ["SCALIO_PROGRAM"]
        store = directory / "store"
        # A sanitizer's library is for the Python that is tested.
        environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        subprocess.run([program, "format", "--dir", store, "--ssds", "2", "--ssd-size", "32M",
                        "--values", "16M"],
                       check=True, stdout=subprocess.DEVNULL, env=environment)
        users = []
        for name, secret in (secrets or {}).items():
            users = ["--users", directory / "users.toml"]
            (directory / "secret").touch(0o600)
            (directory / "secret").write_text(secret)
            subprocess.run([program, "user", "add", users[1], name, "--right", "read+fill",
                            "--secret-file", directory / "secret"], check=True, env=environment)
        log = open(directory / "log", "w")
        self.server = subprocess.Popen(
            [program, "serve", "--dir", store, "--cache", "4M", "--listen", self.uri, *users],
            stdout=log, stderr=log, env=environment)
        log.close()
        end = time.monotonic() + HANG
        while "ready" not in (directory / "log").read_text():
            if time.monotonic() > end or self.server.poll() is not None:
                raise RuntimeError((directory / "log").read_text())
            time.sleep(0.05)

    def close(self):
        self.server.terminate()
        self.server.wait(HANG)
        self.scratch.cleanup()


store = None


def setUpModule():
    global store
    store = Store()


def tearDownModule():
    store.close()


class BlockingTest(unittest.TestCase):
    def setUp(self):
        self.client = scalio.Client(store.uri)
        self.addCleanup(self.client.close)

    def test_writes_and_reads(self):
        version = self.client.put("key", b"value")
        self.assertEqual(self.client.get("key"), scalio.Record(b"value", version))
        self.assertEqual(self.client.get(b"key").value, b"value")
        newer = self.client.put("key", "other", expected=version)
        self.assertGreater(newer, version)
        with self.assertRaises(scalio.Conflict):
            self.client.put("key", "third", expected=version)
        with self.assertRaises(scalio.Conflict):
            self.client.remove("key", expected=version)
        self.client.remove("key", expected=newer)
        self.client.remove("key")
        with self.assertRaisesRegex(scalio.NotFound, "no such key"):
            self.client.get("key")

    def test_bytes_may_be_any(self):
        for data in (b"\0", b"\0a\0", "\u20ac", bytearray(b"\xff\n"), memoryview(b"m")):
            self.client.put(data, data)
            expected = data.encode() if isinstance(data, str) else bytes(data)
            self.assertEqual(self.client.get(data).value, expected)
        self.client.put("empty", b"")
        self.assertEqual(self.client.get("empty").value, b"")

    def test_what_is_no_bytes_is_refused(self):
        for wrong in (12, True, 1.5, None, [1, 2], {"a": 1}):
            for call in (lambda: self.client.put("price", wrong),
                         lambda: self.client.put(wrong, b"value"),
                         lambda: self.client.get(wrong),
                         lambda: self.client.multi_get([wrong]),
                         lambda: self.client.append("price", wrong),
                         lambda: self.client.write([scalio.Put("price", wrong)]),
                         lambda: self.client.write([scalio.Remove(wrong)])):
                with self.assertRaises(TypeError):
                    call()
        with self.assertRaises(scalio.NotFound):
            self.client.get("price")
        for one in ("keys", b"keys"):
            with self.assertRaises(TypeError):
                self.client.multi_get(one)
        with self.assertRaises(TypeError):
            self.client.increment("n", 1.5)
        with self.assertRaises(TypeError):
            self.client.put("price", b"", expected=1.0)

    # To C a NUL is the end of a text: what is behind it would be left out.
    def test_a_nul_in_a_text_is_refused(self):
        with self.assertRaises(ValueError):
            scalio.Client(store.uri + "\0more")
        for name in ("user", "secret", "tls_ca", "tls_cert", "tls_key", "tls_psk", "nvmf_dhchap"):
            options = scalio.Options(**{name: "secret text\0more"})
            with self.assertRaisesRegex(ValueError, name) as raised:
                scalio.Client(store.uri, options)
            self.assertNotIn("secret text", str(raised.exception))
        with self.assertRaises(ValueError):
            scalio.Client(store.uri, scalio.Options(ssd_paths=["/a", "/b\0c"]))
        with self.assertRaises(TypeError):
            scalio.Client(store.uri, scalio.Options(ssd_paths="/a"))

    def test_many_at_once(self):
        self.client.remove("absent")
        written = self.client.write([scalio.Put("a", b"1"), scalio.Put("b", b"2", expected=99),
                                     scalio.Remove("c"), scalio.Remove("absent", expected=7),
                                     scalio.Put("", b"no key")])
        self.assertIsInstance(written[0], int)
        self.assertIsInstance(written[1], scalio.Conflict)
        self.assertIsInstance(written[2], int)
        self.assertIsInstance(written[3], scalio.Conflict)
        self.assertIsInstance(written[4], scalio.Invalid)
        self.assertEqual(self.client.write([]), [])
        found = self.client.multi_get(["a", "absent"])
        self.assertEqual(found[0].value, b"1")
        self.assertIsInstance(found[1], scalio.NotFound)

    def test_appends_and_increments(self):
        self.client.remove("n")
        first = self.client.append("n", "4")
        self.assertEqual((first.size, first.previous), (1, 0))
        self.assertEqual(self.client.append("n", b"1").previous, first.version)
        self.assertEqual(self.client.increment("n").value, 42)
        self.assertEqual(self.client.increment("n", -50).value, -8)
        with self.assertRaises(scalio.Invalid):
            self.client.increment("n", -2**63)
        with self.assertRaises(ValueError):
            self.client.increment("n", 2**63)
        self.assertEqual(self.client.get("n").value, b"-8")

    def test_records_end(self):
        for value in b"value", b"x" * 100_000:
            self.client.put("ends", value, ttl=3600)
            record = self.client.get("ends")
            self.assertAlmostEqual(record.end, time.time() + 3600, delta=600)
            self.assertEqual(record.value, value)
            with self.assertRaises(scalio.Conflict):
                self.client.set_end("ends", end=4102444800, expected=record.version + 1)
            self.client.set_end("ends", end=4102444800, expected=record.version)
            self.assertEqual(self.client.get("ends").end, 4102444800)
            found = [r for r in self.client.scan() if r.key == b"ends"]
            self.assertEqual([(r.value, r.end) for r in found], [(value, 4102444800)])
            version = self.client.set_end("ends")
            self.assertEqual(self.client.get("ends"), scalio.Record(value, version))
            self.client.put("ends", value, end=0)
            with self.assertRaises(scalio.NotFound):
                self.client.get("ends")
            with self.assertRaises(scalio.NotFound):
                self.client.set_end("ends", ttl=5)
        with self.assertRaises(ValueError):
            self.client.put("ends", b"", ttl=5, end=5)
        with self.assertRaises(ValueError):
            self.client.put("ends", b"", end=1e10)
        self.client.put("ends", b"value")
        for call in (lambda: self.client.put("ends", b"", ttl=-5),
                     lambda: self.client.set_end("ends", ttl=-0.001),
                     lambda: self.client.write([scalio.Put("ends", b"", ttl=-5)])):
            with self.assertRaisesRegex(ValueError, "a ttl of -"):
                call()
        self.assertEqual(self.client.get("ends").value, b"value")

    def test_records_of_a_batch_end(self):
        self.client.put("c", b"0")
        written = self.client.write([scalio.Put("a", b"1", ttl=3600),
                                     scalio.Put("b", b"2", expected=99, end=4102444800),
                                     scalio.Put("c", b"3", ttl=0), scalio.Put("d", b"4"),
                                     scalio.Put("e", b"5", end=4102444800)])
        self.assertIsInstance(written[1], scalio.Conflict)
        self.assertAlmostEqual(self.client.get("a").end, time.time() + 3600, delta=600)
        with self.assertRaises(scalio.NotFound):
            self.client.get("c")
        self.assertEqual(self.client.get("d"), scalio.Record(b"4", written[3]))
        self.assertEqual(self.client.get("e"), scalio.Record(b"5", written[4], 4102444800))
        with self.assertRaises(ValueError):
            self.client.write([scalio.Put("a", b"", ttl=5, end=5)])

    def test_scans(self):
        written = {f"scanned-{i}".encode(): f"{i}".encode() for i in range(200)}
        self.client.write(scalio.Put(k, v) for k, v in written.items())
        written[b"scanned-large"] = b"x" * 100_000
        self.client.put("scanned-large", written[b"scanned-large"])
        found = [(r.key, r.value) for r in self.client.scan() if r.key.startswith(b"scanned-")]
        self.assertEqual(len(found), len(written))
        self.assertEqual(dict(found), written)

    def test_values_go_from_files_and_into_files(self):
        for size in (0, 1, 200, 300_000):
            value = os.urandom(size)
            version = self.client.put_from("file", io.BytesIO(value))
            self.assertEqual(self.client.get("file"), scalio.Record(value, version))
            for start in (0, size // 2, size, size + 1):
                file = io.BytesIO()
                self.assertEqual(self.client.get_into("file", file, start), version)
                self.assertEqual(file.getvalue(), value[start:])
        with tempfile.TemporaryFile() as file:
            file.write(value)
            file.seek(100)
            self.client.put_from("file", file)
            self.assertEqual(self.client.get("file").value, value[100:])
            file.seek(100)
            version = self.client.put_from("file", file, 500, ttl=3600)
            self.assertEqual(self.client.get("file").value, value[100:600])
            self.assertIsNotNone(self.client.get("file").end)
        with self.assertRaises(scalio.Conflict):
            self.client.put_from("file", io.BytesIO(value), expected=version - 1)
        self.client.put_from("file", io.BytesIO(b"new"), expected=version)
        self.assertEqual(self.client.get("file").value, b"new")
        with self.assertRaises(scalio.NotFound):
            self.client.get_into("absent", io.BytesIO())
        with self.assertRaises(scalio.TooLarge):
            self.client.put_from("file", io.BytesIO(), 2**64 - 1)
        for wrong in (-1, 2**64):
            with self.assertRaises(ValueError):
                self.client.put_from("file", io.BytesIO(), wrong)
            with self.assertRaises(ValueError):
                self.client.get_into("file", io.BytesIO(), wrong)

    def test_files_may_give_and_take_less(self):
        value = os.urandom(200_000)

        class Slow(io.RawIOBase):
            def __init__(self, data):
                self.data, self.taken = io.BytesIO(data), b""

            def read(self, size=-1):
                return self.data.read(min(size, 10_000))

            def write(self, data):
                self.taken += bytes(data[:7_000])
                return min(len(data), 7_000)

        file = Slow(value)
        with self.assertRaisesRegex(ValueError, "length"):  # it cannot be sought in
            self.client.put_from("slow", file)
        self.client.put_from("slow", file, len(value))
        self.client.get_into("slow", file)
        self.assertEqual(file.taken, value)
        read, write = os.pipe()
        with open(read, "rb") as reader, open(write, "wb", 0) as writer:
            thread = threading.Thread(target=self.client.get_into, args=("slow", writer))
            thread.start()
            self.client.put_from("piped", reader, len(value))
            thread.join(HANG)
        self.assertEqual(self.client.get("piped").value, value)

    def test_a_file_that_fails_ends_it(self):
        self.client.put("whole", b"value")

        class Failing(io.BytesIO):
            def __init__(self, error):
                super().__init__(b"x" * 150_000)
                self.error = error

            def read(self, size=-1):
                if self.tell() > 100_000:
                    raise self.error
                return super().read(size)

        for error in (OSError("of the file"), KeyboardInterrupt()):
            with self.assertRaises(type(error)) as raised:
                self.client.put_from("whole", Failing(error))
            self.assertIs(raised.exception, error)
        with self.assertRaisesRegex(scalio.Invalid, "after 150000 of 150001 bytes"):
            self.client.put_from("whole", io.BytesIO(b"x" * 150_000), 150_001)
        with self.assertRaisesRegex(TypeError, "binary"):
            self.client.put_from("whole", io.StringIO("text"))
        self.assertEqual(self.client.get("whole").value, b"value")
        with self.assertRaises(TypeError):
            self.client.get_into("whole", io.StringIO())
        with tempfile.TemporaryFile() as file:
            file.close()
            with self.assertRaises(ValueError):
                self.client.get_into("whole", file)
            with self.assertRaises(ValueError):
                self.client.put_from("whole", file, 5)

    # As KeyboardInterrupt may come before the first line of what C calls has run.
    def test_what_ctypes_drops_is_no_success(self):
        self.client.put("whole", b"value")
        with unittest.mock.patch.object(_c_api._File, "_guarded", side_effect=KeyboardInterrupt), \
                unittest.mock.patch.object(sys, "unraisablehook", lambda _: None):
            with self.assertRaises(scalio.ScalioError):
                self.client.put_from("whole", io.BytesIO(b"other"))
            with self.assertRaises((scalio.ScalioError, RuntimeError)):
                self.client.get_into("whole", io.BytesIO())
        self.assertEqual(self.client.get("whole").value, b"value")

    def test_says_what_is_wrong(self):
        with self.assertRaises(scalio.TooLarge) as raised:
            self.client.put("key", b"v" * (2 << 20))
        self.assertIn("the store takes", str(raised.exception))
        with self.assertRaisesRegex(scalio.Invalid, "1 to 255"):
            self.client.get("k" * 256)
        with self.assertRaises(scalio.Unavailable):
            scalio.Client("unix:/nowhere")
        with self.assertRaisesRegex(scalio.Invalid, "65 threads"):
            scalio.Client(store.uri, scalio.Options(threads=65))
        with self.assertRaises(scalio.TimedOut):
            scalio.Client(store.uri, scalio.Options(connect_timeout=0))
        with self.assertRaisesRegex(scalio.Invalid, "3 paths"):
            scalio.Client(store.uri, scalio.Options(ssd_paths=["/nowhere"] * 3))
        with self.assertRaisesRegex(scalio.Invalid, "is not encrypted"):
            scalio.Client(store.uri, scalio.Options(tls_ca="/nowhere"))
        with self.assertRaisesRegex(scalio.Invalid, "cannot read /nowhere"):
            scalio.Client(store.uri, scalio.Options(nvmf_dhchap="/nowhere"))
        with self.assertRaisesRegex(scalio.Invalid, "/nowhere"):
            scalio.Client("tls:127.0.0.1:1", scalio.Options(tls_ca="/nowhere"))
        with self.assertRaises(ValueError):
            scalio.Client(store.uri, scalio.Options(operation_timeout=-1))
        with self.assertRaises(ValueError):
            self.client.put("key", b"", expected=-1)

    def test_a_user_logs_in(self):
        guarded = Store({"alice": "a secret of hers"})
        self.addCleanup(guarded.close)
        alice = scalio.Options(user="alice", secret="a secret of hers")
        self.assertNotIn("hers", repr(alice))
        with scalio.Client(guarded.uri, alice) as client:
            with self.assertRaises(scalio.NotFound):
                client.get("key")
            with self.assertRaisesRegex(scalio.Denied, "user alice may not write"):
                client.put("key", b"value")
        for wrong in (scalio.Options(), scalio.Options(user="alice", secret="a secret of his")):
            with self.assertRaisesRegex(scalio.Denied, "user"):
                scalio.Client(guarded.uri, wrong)
        with self.assertRaisesRegex(scalio.Invalid, "has 0 bytes"):
            scalio.Client(guarded.uri, scalio.Options(user="alice"))

    def test_statistics(self):
        self.assertEqual(self.client.stat()["inline_limit"], self.client.inline_limit)

    def test_threads_share_it(self):
        failed = []

        def use(number):
            for i in range(20):
                self.client.put(f"thread-{number}", f"{i}")
                if self.client.get(f"thread-{number}").value != f"{i}".encode():
                    failed.append((number, i))

        threads = [threading.Thread(target=use, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])

    def test_closed_it_is_unavailable(self):
        stopped = []

        def use():
            while True:
                try:
                    self.client.put("closed", b"value")
                except scalio.Unavailable as error:
                    return stopped.append(str(error))

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        self.client.close()
        for thread in threads:
            thread.join(HANG)
        self.assertEqual(stopped, ["the client is closed"] * 4)
        self.client.close()


class AsyncTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.client = await scalio.AsyncClient.connect(store.uri)

    async def asyncTearDown(self):
        await self.client.close()

    async def test_writes_and_reads(self):
        version = await self.client.put("key", b"value")
        self.assertEqual(await self.client.get("key"), scalio.Record(b"value", version))
        newer = await self.client.put("key", "other", expected=version)
        with self.assertRaises(scalio.Conflict):
            await self.client.put("key", "third", expected=version)
        await self.client.remove("key", expected=newer)
        await self.client.remove("key")
        with self.assertRaises(scalio.NotFound):
            await self.client.get("key")
        self.assertEqual((await self.client.stat())["inline_limit"], self.client.inline_limit)

    async def test_a_connect_that_is_given_up_leaves_nothing(self):
        def open_descriptors():
            return len(os.listdir("/proc/self/fd"))

        before = open_descriptors()
        for _ in range(3):
            connecting = asyncio.ensure_future(scalio.AsyncClient.connect(store.uri))
            await asyncio.sleep(0)
            connecting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await connecting
        for _ in range(1000):
            if open_descriptors() <= before:
                break
            await asyncio.sleep(0.01)
        self.assertLessEqual(open_descriptors(), before)

    async def test_a_file_that_stops_an_iteration_ends_its_task(self):
        class Lines(io.RawIOBase):
            def read(self, size=-1):
                return next(iter(()))

        with self.assertRaises(RuntimeError):
            await asyncio.wait_for(self.client.put_from("lines", Lines(), 10), 60)

    async def test_records_end(self):
        version = await self.client.put("ends", b"value", ttl=3600)
        newer = await self.client.set_end("ends", end=4102444800, expected=version)
        self.assertEqual(await self.client.get("ends"), scalio.Record(b"value", newer, 4102444800))
        await self.client.set_end("ends", end=1)
        with self.assertRaises(scalio.NotFound):
            await self.client.get("ends")
        written = await self.client.write([scalio.Put("ends", b"value", end=4102444800)])
        self.assertEqual(await self.client.get("ends"),
                         scalio.Record(b"value", written[0], 4102444800))

    async def test_appends_and_increments(self):
        await self.client.remove("n")
        self.assertEqual((await self.client.append("n", "41")).size, 2)
        self.assertEqual((await self.client.increment("n")).value, 42)

    async def test_many_in_flight(self):
        await asyncio.gather(*(self.client.put(f"many-{i}", f"{i}") for i in range(500)))
        found = await self.client.multi_get(f"many-{i}" for i in range(500))
        self.assertEqual([r.value for r in found], [f"{i}".encode() for i in range(500)])
        await self.client.put("many-large", b"x" * 100_000)
        written = await self.client.write([scalio.Put("a", b"1"), scalio.Remove("b", expected=9)])
        self.assertIsInstance(written[0], int)
        self.assertIsInstance(written[1], scalio.Conflict)
        scanned = {r.key: r.value async for r in self.client.scan()}
        self.assertTrue({f"many-{i}".encode() for i in range(500)} <= scanned.keys())
        self.assertEqual(scanned[b"many-large"], b"x" * 100_000)

    async def test_beyond_the_limit_it_is_busy(self):
        async with await scalio.AsyncClient.connect(
                store.uri, scalio.Options(in_flight=1)) as client:
            outcomes = await asyncio.gather(*(client.put(f"{i}", b"value") for i in range(50)),
                                            return_exceptions=True)
        self.assertTrue(any(isinstance(o, int) for o in outcomes))
        self.assertTrue(all(isinstance(o, (int, scalio.Busy)) for o in outcomes))

    async def test_async_with_connects(self):
        client = scalio.AsyncClient(store.uri, scalio.Options(in_flight=9))
        with self.assertRaisesRegex(scalio.Unavailable, "not connected: .*async with"):
            await client.put("key", b"value")
        await client.close()
        async with client as entered:
            self.assertIs(entered, client)
            await client.put("key", b"entered")
            self.assertEqual((await client.get("key")).value, b"entered")
        with self.assertRaisesRegex(scalio.Unavailable, "closed"):
            await client.get("key")
        with self.assertRaisesRegex(scalio.Unavailable, "closed"):
            async with client:
                pass
        with self.assertRaises(TypeError):
            scalio.AsyncClient(12)
        with self.assertRaises(scalio.Unavailable):
            async with scalio.AsyncClient("unix:/nowhere"):
                pass

    async def test_a_cancelled_task_leaves_the_others_alone(self):
        task = asyncio.ensure_future(self.client.put("cancelled", b"value"))
        await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertIsInstance(await self.client.put("other", b"value"), int)

    async def test_values_go_from_files_and_into_files(self):
        value = os.urandom(300_000)
        version = await self.client.put_from("file", io.BytesIO(value), expected=None, ttl=3600)
        files = [io.BytesIO() for _ in range(10)]
        versions = await asyncio.gather(*(self.client.get_into("file", f) for f in files))
        self.assertEqual(versions, [version] * 10)
        self.assertEqual([f.getvalue() == value for f in files], [True] * 10)
        with self.assertRaises(scalio.Conflict):
            await self.client.put_from("file", io.BytesIO(value), expected=0)

    async def test_close_waits_for_files(self):
        client = await scalio.AsyncClient.connect(store.uri)
        begun, go_on = threading.Event(), threading.Event()

        class Held(io.BytesIO):
            def read(self, size=-1):
                begun.set()
                go_on.wait(HANG)
                return super().read(size)

        task = asyncio.ensure_future(client.put_from("held", Held(b"value of a held file")))
        await asyncio.to_thread(begun.wait, HANG)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        closing = asyncio.ensure_future(client.close())
        await asyncio.sleep(0)
        go_on.set()
        await closing
        with self.assertRaises(scalio.Unavailable):
            await client.get_into("held", io.BytesIO())
        held = await self.client.get("held")
        self.assertEqual(held.value, b"value of a held file")

    async def test_close_ends_what_is_in_flight(self):
        client = await scalio.AsyncClient.connect(store.uri)
        tasks = [asyncio.ensure_future(client.put(f"last-{i}", b"v")) for i in range(100)]
        await asyncio.sleep(0)
        await client.close()
        for version in await asyncio.gather(*tasks):
            self.assertIsInstance(version, int)
        with self.assertRaisesRegex(scalio.Unavailable, "closed"):
            await client.get("key")
        await client.close()


class PackageTest(unittest.TestCase):
    def test_it_knows_every_function(self):
        header = (ROOT / "include/scalio/scalio.h").read_text()
        declared = set(re.findall(r"^[a-z].*\bscalio_(\w+)\(", header, re.M))
        known = set(_c_api.FUNCTIONS) | set(_c_api.OPERATIONS) | {
            name + "_async" for name in _c_api.OPERATIONS}
        # What Python has no use for: it knows the codes by their classes.
        self.assertEqual(declared - known, {"code_name"})
        self.assertEqual(known - declared, set())

    def test_it_knows_every_code(self):
        header = (ROOT / "include/scalio/scalio.h").read_text()
        codes = re.search(r"enum scalio_code \{(.*?)\}", header, re.S)[1]
        known = re.findall(r"SCALIO_(\w+) = ([1-9]\d*)", codes)
        self.assertEqual(len(known), 13)
        for name, code in known:
            error = scalio._types.error_of(int(code), "why")
            self.assertEqual(type(error).__name__.lower(), name.replace("_", "").lower())
        self.assertEqual(scalio._types.error_of(99, "why").code, 99)

    def test_the_example_runs(self):
        ran = subprocess.run([sys.executable, ROOT / "python/examples/hello.py", store.uri],
                             capture_output=True, text=True, timeout=HANG)
        self.assertEqual(ran.stderr, "")
        self.assertRegex(ran.stdout, r"\Agreeting = hello, world\nruns = \d+\n100 of 100 read\n\Z")


if __name__ == "__main__":
    unittest.main()
