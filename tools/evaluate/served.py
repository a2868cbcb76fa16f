"""A server of our own on this machine, for as long as something is measured at it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

READY_SECONDS = 30
STOP_SECONDS = 20
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")


class Trouble(Exception):
    """Something that was started failed; the text says what."""


def end_on_signals():
    """TERM and INT end Python by an exception, so that what was started is ended, too."""
    def stop(number, _frame):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)


def kind_of_file_system(folder):
    done = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip()


@contextlib.contextmanager
def scratch():
    """A folder on a disk: stores are read and written past the page cache."""
    for parent in (os.environ.get("TMPDIR", "/var/tmp"), "/var/tmp", os.getcwd()):
        if os.path.isdir(parent) and kind_of_file_system(parent) not in MEMORY_FILE_SYSTEMS:
            break
    else:
        raise Trouble("no disk to put the store on: set TMPDIR to a directory on one")
    folder = tempfile.mkdtemp(prefix="scalio-evaluate.", dir=parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(words, timeout=600):
    """What a program prints. Raises Trouble with its last words."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as late:
        raise Trouble(f"{words[0]} {words[1]} did not end within {timeout} s") from late
    except OSError as error:
        raise Trouble(f"cannot start {words[0]}: {error.strerror}; is it built?") from error
    if done.returncode != 0:
        raise Trouble(f"{' '.join(words)} failed (exit status {done.returncode}): "
                      f"{done.stderr.strip()[-400:]}")
    return done.stdout


def run_json(words, timeout=600):
    return json.loads(run(words, timeout))


@contextlib.contextmanager
def serving(words, folder):
    """Starts `words` and waits until it prints "ready"; ends it afterwards. Yields its process."""
    out, err = os.path.join(folder, "serve.out"), os.path.join(folder, "serve.err")
    with open(out, "wb") as to, open(err, "wb") as errors:
        try:
            process = subprocess.Popen(words, stdout=to, stderr=errors, stdin=subprocess.DEVNULL)
        except OSError as error:
            raise Trouble(f"cannot start {words[0]}: {error.strerror}; is it built?") from error
    try:
        wait_ready(process, out, err)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_ready(process, out, err):
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        with open(out, encoding="utf-8", errors="replace") as file:
            if any(line.startswith("ready") for line in file):
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    with open(err, encoding="utf-8", errors="replace") as file:
        raise Trouble(f"the server did not start: {file.read().strip()[-400:]}")
