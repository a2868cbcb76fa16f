"""Which commands a measurement on this machine gives; none is run."""

import argparse
import contextlib
import json
import unittest
from unittest import mock

from evaluate import measured


class MeasuredTest(unittest.TestCase):
    def commands(self, kind, system):
        """Options and their values of each `scalio-eval ycsb` that is run."""
        said = []

        def run(words, timeout=600):
            self.assertGreater(timeout, 0)
            said.append(words)
            return json.dumps({"system": system, "throughput": 1.0})

        options = argparse.Namespace(program="scalio-eval", system=system, scale="quick",
                                     workloads="abc")
        with mock.patch("evaluate.served.run", run), \
                mock.patch("evaluate.served.serving", lambda *_: contextlib.nullcontext()):
            rows = list(measured.KINDS[kind](options))
        return rows, [dict(zip(words, [*words[1:], ""])) for words in said]

    def test_a_cache_is_warm_before_it_is_measured(self):
        rows, said = self.commands("systems", "scalio")
        self.assertEqual([row["system"] for row in rows], [*["scalio"] * 3, *["scalio-4x"] * 3])
        self.assertEqual([o["--workload"] for o in said], ["c", "c", "a", "b", "c"] * 2)
        # Four for each of 3 times the records, and of a quarter of them.
        warming = [int(o["--operations"]) for o in (said[1], said[6])]
        self.assertEqual(warming, [4 * 3 * 160_000, 160_000])
        for one in (*said[2:5], *said[7:]):
            self.assertEqual(one["--seconds"], "2")
            self.assertEqual(int(one["--operations"]), measured.ENDLESS)

    def test_what_has_no_cache_is_not_warmed(self):
        _, said = self.commands("systems", "leed")
        self.assertEqual([o["--workload"] for o in said], ["c", "a", "b", "c"] * 2)

    def test_a_rival_is_warm_and_measured_as_long(self):
        rows, said = self.commands("rival", "redis")
        # With records of four times its memory it refuses them.
        self.assertEqual([row["system"] for row in rows], ["redis"] * 3)
        for one in said:
            self.assertEqual((one["--warm-up"], one["--seconds"]), (str(12 * 160_000), "2"))


if __name__ == "__main__":
    unittest.main()
