"""Many jobs: two processes at a time, those that measure alone, results kept as they come.

It stops at once when asked to (^C, TERM): what runs is ended, what was done is kept.
"""

import signal
import sys
import time

from evaluate.group import Group, groups
from evaluate.program import Failed, Running
from evaluate.setup import MEMORY

# A program that fails so often, and mostly, is broken; more of the same tells nothing.
MOST_FAILURES = 8
POLL_SECONDS = 0.02


class Stopped(Exception):
    """Asked to end by a signal, whose number it has."""

    def __init__(self, number):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


def fits(group, beside):
    """Whether a group has memory while others run. One alone always has."""
    return not beside or group.memory + sum(other.memory for other in beside) <= MEMORY


class Progress:
    """Says how far it is and how long it takes, on stderr: in one line, or a line each minute."""

    def __init__(self, waiting, out=sys.stderr):
        self.total = sum(len(group.jobs) for group in waiting)
        self.work = sum(group.work for group in waiting)
        self.done = self.worked = 0
        self.out = out
        self.began = time.monotonic()
        self.spoke = None
        self.live = out.isatty()

    def left(self):
        if self.done == 0:
            return "time left unknown"
        # More is done than was expected if a group is gone on with after a failure.
        seconds = (time.monotonic() - self.began) * max(0, self.work / self.worked - 1)
        return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"

    def step(self, job, work):
        self.done += 1
        self.worked += work
        now = time.monotonic()
        if not self.live and self.spoke is not None and now - self.spoke < 60:
            return
        self.spoke = now
        text = f"[{self.done}/{self.total}] {self.left()}: {job.describe()}"
        self.out.write(f"\r{text:<78.78}" if self.live else text + "\n")
        self.out.flush()

    def end(self):
        if self.live and self.done:
            self.out.write(f"\r{'':<78}\r")
            self.out.flush()


class Runner:
    """Runs what is not kept. `results` has the rows of each job that gave any."""

    def __init__(self, programs, kept, processes=2, timeout=3600):
        self.programs = programs
        self.kept = kept
        self.processes = processes
        self.timeout = timeout
        self.failures = []
        self.results = {}
        self.asked = None

    def run(self, jobs):
        """Returns results; failures are in `failures`, as text. Raises Stopped."""
        jobs = list(dict.fromkeys(jobs))
        waiting = []
        for job in jobs:
            rows = self.kept.get(job)
            if rows is None:
                waiting.append(job)
            else:
                self.results[job] = rows
        # What may run side by side first; what measures has the machine to itself afterwards.
        waiting = groups(waiting)
        together = [group for group in waiting if not group.alone]
        alone = [group for group in waiting if group.alone]
        progress = Progress(waiting)
        before = {s: signal.signal(s, self.on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.work(together, self.processes, progress)
            self.work(alone, 1, progress)
        finally:
            progress.end()
            for number, handler in before.items():
                signal.signal(number, handler)
        return self.results

    def on_signal(self, number, _frame):
        self.asked = number

    def work(self, waiting, most, progress):
        waiting = waiting[::-1]
        running = []
        try:
            while running or (waiting and not self.is_hopeless()):
                if self.asked is not None:
                    raise Stopped(self.asked)
                while (waiting and len(running) < most and not self.is_hopeless()
                       and fits(waiting[-1], [r.group for r in running])):
                    running.append(Running(waiting.pop(), self.programs, self.timeout))
                for one in [r for r in running if r.ended() or r.is_late()]:
                    running.remove(one)
                    left = self.take(one, progress)
                    one.close()
                    if left:
                        waiting.append(Group(left))
                time.sleep(POLL_SECONDS)
        finally:
            for one in running:
                one.ask_to_stop()
            for one in running:
                one.stop()
                one.close()

    def is_hopeless(self):
        return (len(self.failures) >= MOST_FAILURES
                and len(self.failures) >= len(self.results))

    def take(self, one, progress):
        """Keeps what it gave. Returns the jobs behind one that failed: they were not begun."""
        why = None
        if not one.ended():
            one.stop()
            why = f"it did not end within {self.timeout:.0f} s"
        all_jobs = one.group.jobs
        work, seconds = one.group.work / len(all_jobs), one.seconds() / len(all_jobs)
        taken = 0
        try:
            for job, rows in one.results(why):
                self.kept.put(job, rows, seconds)
                self.results[job] = rows
                taken += 1
                progress.step(job, work)
        except Failed as failure:
            self.failures.append(str(failure))
            progress.step(all_jobs[taken], work)
            taken += 1
        return all_jobs[taken:]
