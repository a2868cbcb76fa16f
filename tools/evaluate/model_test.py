"""A small run of every simulated figure by the real program, SCALIO_EVAL, and the shapes that must
come out of it."""

import os
import sys
import tempfile
import unittest

from evaluate import kept, output
from evaluate.figures import ALL, figure_02, figure_05, figure_06, figure_11, figure_13, figure_15
from evaluate.figures.figure_05 import cpu_percent
from evaluate.job import Programs
from evaluate.results import Results
from evaluate.runner import Runner
from evaluate.setup import SETUPS, SKEW, WORKLOADS
from evaluate.testing import lru

PROGRAM = os.environ.get("SCALIO_EVAL", "")
SETUP = SETUPS["smoke"]
# For hit ratios, as the default scale has them.
HITS = SETUPS["quick"]


@unittest.skipUnless(PROGRAM, "SCALIO_EVAL names no program")
class ModelTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        runner = Runner(Programs([PROGRAM], [sys.executable, "-c", "raise SystemExit(1)"]),
                        kept.Kept(scratch.name, kept.version_of(PROGRAM)), timeout=1000)
        jobs = [job for job in output.jobs_of(ALL, SETUP, all_figures=True) if not job.alone]
        jobs += [HITS.point(system, "c") for system in figure_15.SYSTEMS]
        cls.results = Results(runner.run(jobs))
        cls.failures = runner.failures
        cls.jobs = jobs

    def throughput(self, point):
        return self.results.value(point, "throughput")

    def at_7(self, system, workload):
        return self.throughput(figure_11.point(SETUP, system, workload, 7))

    def test_every_point_was_run(self):
        self.assertEqual(self.failures, [])
        self.assertEqual({job for job in self.jobs if self.results.row(job) is None}, set())

    def test_leed_stops_at_4_ssds_with_its_cores_full(self):
        one, four, seven = (self.throughput(figure_05.point(SETUP, n)) for n in (1, 4, 7))
        self.assertGreater(four, 3 * one)
        self.assertLess(seven, 1.15 * four)
        self.assertIn("core", self.results.value(figure_05.point(SETUP, 4), "full"))
        ditto = [self.throughput(figure_02.point(SETUP, "leed-ditto", n)) for n in (4, 7)]
        self.assertLess(ditto[1], 1.3 * ditto[0])

    def test_the_order_of_the_systems(self):
        for workload in WORKLOADS:
            scalio, ditto, leed = (self.at_7(s, workload)
                                   for s in ("scalio", "leed-ditto", "leed"))
            self.assertGreater(scalio, ditto, workload)
            self.assertGreater(ditto, leed, workload)

    def test_scalio_grows_with_the_ssds(self):
        for workload in "bcd":
            few, many = (self.throughput(figure_11.point(SETUP, "scalio", workload, n))
                         for n in (1, 7))
            self.assertGreater(many, 3 * few, workload)

    def test_a_target_costs_its_server_unless_it_is_offloaded(self):
        standard, offloaded = (self.results.row(figure_06.point(SETUP, s, 7))
                               for s in figure_06.SYSTEMS)
        self.assertGreater(cpu_percent(standard), 300)
        self.assertLess(cpu_percent(offloaded), 1)
        self.assertGreater(offloaded["throughput"], 0.9 * standard["throughput"])

    def test_each_part_brings_something(self):
        for workload in WORKLOADS:
            gains = figure_13.gains(SETUP, self.results, workload)
            self.assertGreater(gains[0] * gains[1] * gains[2], 1.5, workload)
        self.assertGreater(figure_13.gains(SETUP, self.results, "a")[2], 1.05)
        self.assertGreater(figure_13.gains(SETUP, self.results, "c")[1], 1.5)

    def hits_are_those_of_an_lru(self, setup, skew, near):
        blocks, records = setup.blocks(), setup.records()

        def expected(blocks, slots):
            return lru.hit_ratio(blocks, slots, records, skew, setup.operations)

        found = {system: self.results.value(figure_15.point(setup, system, "c", skew), "hit_ratio")
                 for system in figure_15.SYSTEMS}
        # Scalio's two write slots a block answer GETs, too, once they are merged.
        self.assertGreater(found["scalio"], expected(blocks, 8) - near, skew)
        self.assertLess(found["scalio"], expected(blocks, 10) + near, skew)
        self.assertAlmostEqual(found["paper"], expected(blocks, 8), delta=near, msg=skew)
        # A cache that samples among all is near one list of all.
        self.assertAlmostEqual(found["leed-ditto"], expected(1, 8 * blocks), delta=0.03, msg=skew)

    def test_hits_are_those_of_an_lru_within_3_points(self):
        self.hits_are_those_of_an_lru(HITS, SKEW, 0.03)

    def test_hits_follow_the_skew(self):
        # Of the smoke scale chance decides which of a few hundred blocks the popular keys share,
        # and the age of a slot is a few ticks of a clock: 3 points would test the seed.
        for skew in SETUP.some(figure_15.SKEWS):
            self.hits_are_those_of_an_lru(SETUP, skew, 0.05)

    def test_the_same_point_gives_the_same_bytes(self):
        with tempfile.TemporaryDirectory() as folder:
            again = Runner(Programs([PROGRAM], []), kept.Kept(folder, "again"))
            points = [figure_11.point(SETUP, s, "a", 4) for s in ("scalio", "leed-ditto")]
            found = Results(again.run(points))
        for point in points:
            self.assertEqual(found.row(point), self.results.row(point))


if __name__ == "__main__":
    unittest.main()
