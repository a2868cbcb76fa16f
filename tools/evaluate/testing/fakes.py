"""Results without a program, for tests of what is drawn."""

import os
import sys

from evaluate.results import Results
from evaluate.testing import fake_eval

PROGRAM = os.path.join(os.path.dirname(__file__), "fake_eval.py")
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))


def results(jobs, without=lambda job: False):
    """What the fake says to each job, but for those that fail."""
    found = {}
    for job in jobs:
        if without(job):
            continue
        words = job.arguments()
        found[job] = job.finish(fake_eval.rows_of(words))
    return Results(found)


def command(*words):
    """./evaluate as a command, with the fake in place of programs, without building."""
    return [sys.executable, "-B", "-m", "evaluate", "--program", PROGRAM, "--measure-by",
            f"{sys.executable} -B {PROGRAM}", "--scale", "smoke", *words]


def environment(**changes):
    return {**os.environ, "PYTHONPATH": os.path.join(ROOT, "tools"), **changes}
