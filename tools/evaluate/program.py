"""One process: the rows of its jobs, or what went wrong in words for people."""

import json
import shlex
import subprocess
import tempfile
import time

from evaluate import job as jobs

LAST_LINES = 5


class Running:
    """A process that works on a group. Its output goes to files, so that no pipe can fill up."""

    def __init__(self, group, programs, timeout):
        self.group = group
        self.words = group.command(programs)
        self.timeout = timeout
        self.out = tempfile.TemporaryFile("w+")
        self.err = tempfile.TemporaryFile("w+")
        self.began = time.monotonic()
        # A session of its own: ^C reaches us alone, and we end it.
        self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=self.out,
                                        stderr=self.err, start_new_session=True)

    def seconds(self):
        return time.monotonic() - self.began

    def ended(self):
        return self.process.poll() is not None

    def is_late(self):
        return self.seconds() > self.timeout

    def ask_to_stop(self):
        self.process.terminate()

    def stop(self, patience=10):
        """Ends it: asked first, made to after `patience` seconds."""
        self.process.terminate()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def close(self):
        self.out.close()
        self.err.close()

    def results(self, why=None):
        """(job, its rows, checked) of each job in turn. It must have ended; `why`, if not by
        itself. Raises Failed at the first job that has none."""
        status = self.process.returncode
        if why is None and status != 0:
            why = f"it failed (exit status {status})" if status > 0 else (
                f"it failed (signal {-status})")
        self.out.seek(0)
        lines = [line for line in self.out if line.strip().startswith("{")]
        last = len(self.group.jobs) - 1
        for i, job in enumerate(self.group.jobs):
            if why is not None and i >= min(len(lines), last):
                raise Failed(self, job, why)
            yield job, self.checked(job, lines[i:] if i == last else lines[i:i + 1])

    def checked(self, job, lines):
        try:
            rows = job.finish([json.loads(line) for line in lines])
            for row in rows:
                jobs.check_row(row)
            return rows
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Failed(self, job, f"its output is not what was expected: {error}") from error


class Failed(Exception):
    """A job that gave no rows."""

    def __init__(self, running, job, why):
        running.err.seek(0)
        lines = running.err.read().strip().split("\n")[-LAST_LINES:]
        said = "".join(f"\n    {line}" for line in lines if line)
        super().__init__(f"{job.describe()}: {why}\n"
                         f"  {shlex.join(running.words)}{said}")
