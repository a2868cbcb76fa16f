"""Running points, by a program that stands in for scalio-eval."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from evaluate.group import Group, groups
from evaluate.job import Measurement, Programs
from evaluate.kept import Kept
from evaluate.runner import Runner, fits
from evaluate.setup import SETUPS
from evaluate.testing import fakes


class MemoryTest(unittest.TestCase):
    def test_points_run_beside_each_other_if_both_fit(self):
        setup = SETUPS["full"]
        small = setup.point("scalio", "a")
        large = setup.point("scalio", "a", records=80_000_000)
        self.assertTrue(fits(small, [small]))
        self.assertTrue(fits(large, []))
        self.assertFalse(fits(large, [small]))
        self.assertFalse(fits(small, [large]))


    def test_a_group_has_its_system_once_and_what_one_point_changes_of_it(self):
        setup = SETUPS["full"]
        one = setup.point("scalio", "c")
        other = setup.point("scalio", "c", costs=(("wake", 2),))
        together = Group((one, other, other)).memory
        self.assertEqual(Group((one,)).memory, one.memory)
        self.assertGreater(together, one.memory)
        self.assertLess(together, 1.5 * one.memory)
        long = setup.point("scalio", "c", operations=10**9)
        self.assertEqual(Group((long, one)).memory, 2 * one.memory)


class GroupTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name
        self.setup = SETUPS["smoke"]

    def point(self, workload="c", **changes):
        return self.setup.point("scalio", workload, **changes)

    def run_points(self, points, trouble=""):
        words = ["env", f"FAKE_EVAL={trouble}", f"FAKE_EVAL_COUNT={self.folder}/count",
                 sys.executable, "-B", fakes.PROGRAM]
        runner = Runner(Programs(words, []), Kept(os.path.join(self.folder, "kept"), "fake"))
        runner.run(points)
        return runner

    def processes(self):
        return os.path.getsize(os.path.join(self.folder, "count"))

    def test_what_differs_after_warming_alone_is_of_one_process(self):
        same = [self.point(), self.point(costs=(("wake", 2),)), self.point(operations=10)]
        apart = [self.point(ssds=1), self.point(in_flight=1), self.point("b"), self.point("d"),
                 self.point("d", operations=10), self.point(switches=("--no-cache",))]
        measurement = Measurement("here", ("here",))
        found = groups([same[0], *apart, *same[1:], measurement])
        self.assertEqual([set(group.jobs) for group in found],
                         [set(same), *({one} for one in apart), {measurement}])
        # The longest needs no copy.
        self.assertEqual(found[0].jobs[0].operations, 10)

    def test_each_result_is_kept_by_itself(self):
        points = [self.point(operations=n) for n in (10, 20, 30)]
        found = self.run_points(points)
        self.assertEqual(found.failures, [])
        self.assertEqual(self.processes(), 1)
        for point in points:
            self.assertEqual(found.results[point][0]["operations"], point.operations)
        # One more, of which alone is run.
        more = self.run_points([*points, self.point(operations=40)])
        self.assertEqual(len(more.results), 4)
        self.assertEqual(self.processes(), 2)
        self.assertEqual(self.run_points(points).results, found.results)
        self.assertEqual(self.processes(), 2)

    def test_a_failure_is_of_its_point_and_the_others_are_done(self):
        bad = self.point(costs=(("wake", 2),), operations=20)
        good = [self.point(operations=n) for n in (10, 30, 40)]
        found = self.run_points([*good, bad], trouble="wake")
        self.assertEqual(set(found.results), set(good))
        self.assertEqual(len(found.failures), 1)
        self.assertIn("no such system today", found.failures[0])
        self.assertIn("--also operations=20,settle=0,wake=2", found.failures[0])
        self.assertEqual(self.processes(), 2)

    def test_the_last_fails_where_it_has_printed_nothing(self):
        bad = self.point(costs=(("wake", 2),), operations=50)
        found = self.run_points([self.point(operations=10), bad], trouble="wake")
        self.assertEqual(len(found.failures), 1)
        self.assertEqual(list(found.results), [self.point(operations=10)])


class RunnerTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name
        self.count = os.path.join(self.folder, "count")

    def run_figures(self, *words, trouble=""):
        return subprocess.run(
            fakes.command("--output", self.folder, *words), capture_output=True, text=True,
            timeout=120, check=False,
            env=fakes.environment(FAKE_EVAL=trouble, FAKE_EVAL_COUNT=self.count))

    def ran(self):
        return os.path.getsize(self.count) if os.path.exists(self.count) else 0

    def test_results_are_used_again(self):
        first = self.run_figures("5")
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertEqual(self.ran(), 3)
        again = self.run_figures("5", "2")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(self.ran(), 3 + 6)

    def test_a_damaged_result_is_made_again(self):
        self.run_figures("5")
        kept = os.path.join(self.folder, "kept")
        with open(os.path.join(kept, sorted(os.listdir(kept))[0]), "w", encoding="utf-8") as file:
            file.write("{")
        self.assertEqual(self.run_figures("5").returncode, 0)
        self.assertEqual(self.ran(), 3 + 1)

    def test_a_point_that_fails_is_named_with_its_command(self):
        done = self.run_figures("2", trouble="fail")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no such system today", done.stderr)
        self.assertIn("exit status 3", done.stderr)
        self.assertIn("model --machine paper --system leed ", done.stderr)
        # The others are there, and what is missing is said.
        self.assertEqual(self.ran(), 3)
        with open(os.path.join(self.folder, "index.html"), encoding="utf-8") as file:
            self.assertIn("incomplete", file.read())

    def test_output_that_is_no_json_is_an_error(self):
        done = self.run_figures("5", trouble="garbage")
        self.assertEqual(done.returncode, 1)
        self.assertIn("one object expected", done.stderr)

    def test_json_is_everything_and_alone_on_stdout(self):
        done = self.run_figures("--json", "5")
        document = json.loads(done.stdout)
        self.assertEqual([figure["figure"] for figure in document["figures"]], [5])
        self.assertEqual(len(document["figures"][0]["rows"]), 3)

    def test_what_is_not_measured_is_said_and_writes_no_figure(self):
        done = self.run_figures("--no-measured", "--json", "6", "20", "21")
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(done.stdout)
        self.assertEqual([(f["figure"], f["kind"]) for f in document["figures"]],
                         [(6, "simulated")])
        self.assertEqual(document["left_out"],
                         ["figure 20", "figure 21", "the embedded target in figure 6"])
        self.assertEqual(os.listdir(os.path.join(self.folder, "data")), ["figure-06.csv"])
        with open(os.path.join(self.folder, "index.html"), encoding="utf-8") as file:
            page = file.read()
        self.assertIn("incomplete", page)
        self.assertIn("figure 20, figure 21, the embedded target in figure 6", page)

    def test_wrong_use_is_2(self):
        for words in (["3"], ["--no-measured", "20", "21"], ["--processes", "0"],
                      ["--clients", "a"], ["--server", "rdma:a:1"],
                      ["--server", "nowhere", "--clients", "a"]):
            self.assertEqual(self.run_figures(*words).returncode, 2, words)

    def test_no_program_is_said(self):
        done = self.run_figures("--program", "/nowhere/scalio-eval", "5")
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no program /nowhere/scalio-eval", done.stderr)

    def test_it_ends_at_once_and_leaves_no_process(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            running = subprocess.Popen(
                fakes.command("--output", self.folder, "5"), stderr=subprocess.PIPE, text=True,
                env=fakes.environment(FAKE_EVAL="hang"))
            children = self.children_of(running.pid)
            running.send_signal(number)
            _, said = running.communicate(timeout=30)
            self.assertEqual(running.returncode, 128 + number)
            self.assertIn("the next run goes on", said)
            for child in children:
                self.assertFalse(os.path.exists(f"/proc/{child}"))

    def children_of(self, pid):
        for _ in range(600):
            with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
                found = file.read().split()
            if len(found) == 2:
                return found
            time.sleep(0.05)
        self.fail("it started no two processes")


if __name__ == "__main__":
    unittest.main()
