"""Every figure, its data and the page, drawn of made-up points."""

import csv
import io
import itertools
import os
import tempfile
import unittest

from evaluate import charts, headline, limits, output, published, ranges, reach, summary, tables
from evaluate.charts import pyplot
from evaluate.figures import (ALL, figure_14, figure_15, figure_16, figure_17, figure_18,
                               figure_19, sliced)
from evaluate.job import COLUMNS
from evaluate.setup import CACHE_BLOCKS, LOGGED, MEMORY, SETUPS, SYSTEMS, WORKLOADS
from evaluate.testing import fakes

SETUP = SETUPS["smoke"]


def files(folder):
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


def written(modules, results, failures=()):
    with tempfile.TemporaryDirectory() as folder:
        output.write_all(folder, modules, SETUP, results, "0123456789abcdef", list(failures))
        return files(folder)


class FiguresTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.results = fakes.results(output.jobs_of(ALL, SETUP, all_figures=True))
        cls.written = written(ALL, cls.results)

    def test_every_figure_has_a_picture_data_and_a_section(self):
        results, found = self.results, self.written
        page = found["index.html"].decode()
        for module in ALL:
            name = f"figure-{module.NUMBER:02}"
            picture = found[f"{name}.svg"]
            self.assertIn(b"</svg>", picture)
            # On its face: measured or simulated.
            self.assertRegex(picture.decode(), r">(simulated|measured)")
            rows = list(csv.reader(io.StringIO(found[f"data/{name}.csv"].decode())))
            self.assertEqual(rows[0], [*COLUMNS, *getattr(module, "COLUMNS", ())])
            asked = [row for job in module.jobs(SETUP) for row in results.rows(job)]
            self.assertEqual(len(rows) - 1, len(asked), name)
            self.assertGreater(len(asked), 0, name)
            self.assertIn(f'id="{name}"', page)
        self.assertIn(b"</svg>", found["headline.svg"])
        self.assertIn("What would lift each limit", page)
        self.assertIn("Published beside predicted", page)
        self.assertNotIn("None", page)

    def test_what_holds_rivals_to_their_memory_is_in_the_data(self):
        rows = list(csv.DictReader(io.StringIO(self.written["data/figure-20.csv"].decode())))
        self.assertEqual({bool(row["memory_limit"]) for row in rows}, {True, False})
        self.assertIn("a control group of 125 bytes", self.written["index.html"].decode())

    def test_bytes_written_are_by_size_and_fill(self):
        rows = list(csv.DictReader(io.StringIO(self.written["data/figure-21.csv"].decode())))
        for row in rows:
            self.assertEqual((row["value_size"], row["store_full_percent"]), ("512", "70"))
            self.assertEqual(row["written_per_byte"], "3")

    def test_the_same_results_give_the_same_bytes(self):
        again = written(ALL, self.results)
        self.assertEqual(again.keys(), self.written.keys())
        for name, content in again.items():
            self.assertTrue(content == self.written[name], f"{name} differs")

    def test_what_failed_is_left_out_and_named(self):
        jobs = output.jobs_of(ALL, SETUP, all_figures=True)
        some = fakes.results(jobs, lambda job: job.alone or "leed" in job.arguments())
        found = written(ALL, some, ["leed C: it failed"])
        self.assertIn(b"leed C: it failed", found["index.html"])

    def test_nothing_at_all_gives_empty_figures(self):
        nothing = fakes.results([])
        for module in ALL:
            pyplot.close(module.draw(SETUP, nothing))
            module.tables(SETUP, nothing)

    def test_numbers_of_figures_are_names(self):
        for module in ALL:
            self.assertTrue(module.__name__.endswith(f"figure_{module.NUMBER:02}"))


class HeadlineTest(unittest.TestCase):
    def test_is_at_the_papers_size_with_ranges_and_leeds_best_split(self):
        setup = SETUPS["quick"]
        figures = [setup.point(s, w) for s in ranges.SYSTEMS for w in ranges.WORKLOADS]
        results = fakes.results(headline.jobs(setup) + ranges.jobs(setup) + figures)
        table = headline.table(setup, results)
        self.assertIn("at the paper's size", table.heading)
        self.assertEqual(len(table.rows), 5)
        for row in table.rows:
            self.assertEqual(len(row), len(table.columns))
        # Every cost was changed for A and C, and every split tried.
        self.assertEqual(["-" in row for row in table.rows], [False, True, False, True, True])
        self.assertEqual([any(" to " in cell for cell in row) for row in table.rows],
                         [True, False, True, False, False])
        found = headline.rows(setup, results)
        self.assertEqual({row["records"] for row in found}, {20_000_000})
        self.assertEqual(len(found), len(headline.jobs(setup)))
        self.assertIn("leed-ditto-7-ssd-cores", {row["system"] for row in found})
        for other in (headline.costs(setup, results), summary.splits(setup, results),
                      summary.room(setup, results), headline.beside(setup, results)):
            for row in other.rows:
                self.assertEqual(len(row), len(other.columns), other.heading)
                self.assertNotIn("-", row[:-1], other.heading)
        self.assertEqual(len(summary.room(setup, results).rows), 4)
        large = fakes.results(figure_19.jobs(setup) + headline.jobs(setup))
        for row in reach.table(setup, headline.scale(setup, large), large).rows:
            self.assertNotEqual(row[2], "-", row[0])

    def test_the_best_split_is_of_all_that_were_run(self):
        setup = SETUPS["full"]
        splits = [ranges.split(setup, "leed-ditto", "b", n) for n in ranges.SPLITS]
        found = fakes.results(splits)
        for i, point in enumerate(splits):
            found.by_job[point][0]["throughput"] = 100.0 + (50 if i == 1 else i)
        self.assertEqual(headline.best(setup, found, "leed-ditto", "b"), (150.0, 3))
        self.assertEqual(headline.best(setup, fakes.results(splits[2:3]), "leed-ditto", "b"),
                         (None, None))

    def test_what_it_depends_on_is_in_the_data(self):
        setup = SETUPS["quick"]
        jobs = ranges.jobs(setup)
        with tempfile.TemporaryDirectory() as folder:
            document = output.write_all(folder, [], setup, fakes.results(jobs), "0" * 16, [])
            text = files(folder)["data/ranges.csv"].decode()
        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual(len(rows), len(set(jobs)))
        self.assertEqual(len(document["ranges"]), len(rows))
        changed = {(row["system"], row["workload"], row["changed"]) for row in rows}
        self.assertIn(("leed", "c", "wake=0.7 turn=0.7"), changed)
        self.assertIn(("leed-ditto-7-ssd-cores", "a", ""), changed)
        # Four times as long as the others are.
        room = [row for row in rows if row["system"] == "leed-small-ssd"]
        self.assertEqual([row["operations"] for row in room], ["240000"])

    def test_is_at_the_figures_scale_without_points_of_its_own(self):
        setup = SETUPS["quick"]
        results = fakes.results([setup.point(s, "c") for s in ("scalio", "leed-ditto")])
        self.assertIn(f"1/{setup.divisor}", headline.table(setup, results).heading)


class ScaleTest(unittest.TestCase):
    def test_what_does_not_fit_is_scaled_by_one_factor_and_said(self):
        setup = SETUPS["full"]
        self.assertEqual(figure_16.scale(SETUPS["quick"]), SETUPS["quick"])
        at = figure_16.scale(setup)
        self.assertEqual(at.divisor, 2)
        points = figure_16.jobs(setup)
        self.assertLessEqual(max(point.memory for point in points), MEMORY)
        self.assertGreater(setup.point("scalio", "a", records=160_000_000).memory, MEMORY)
        self.assertEqual({point.records for point in points},
                         {millions * 500_000 for millions in figure_16.MILLIONS})
        self.assertEqual({point.cache_blocks for point in points}, {CACHE_BLOCKS // 2})
        picture = charts.svg(figure_16.draw(setup, fakes.results(points)), "figure-16")
        self.assertIn(b"1/2 of the paper", picture)

    def test_what_d_inserts_takes_memory(self):
        setup = SETUPS["full"]
        self.assertGreater(setup.point("scalio", "d").memory, setup.point("scalio", "b").memory)

    def test_no_other_point_needs_it(self):
        for job in output.jobs_of(ALL, SETUPS["full"], all_figures=True):
            self.assertLessEqual(job.memory, MEMORY, job.describe())


class SlicedTest(unittest.TestCase):
    def test_slices_are_as_few_as_keep_all_cores_level(self):
        for ssds, cores, expected in ((7, 4, 2), (7, 8, 3), (7, 16, 6), (24, 16, 2), (36, 16, 2),
                                      (32, 16, 1), (1, 1, 2)):
            self.assertEqual(sliced.slices(ssds, cores), expected, (ssds, cores))

    def test_they_are_asked_for_where_writes_are_and_shown(self):
        setup = SETUPS["quick"]
        for module, points in ((figure_17, 6), (figure_19, 4)):
            asked = [job for job in module.jobs(setup) if "--slices" in job.arguments()]
            self.assertEqual(len(asked), points)
            self.assertEqual({job.name for job in asked}, {sliced.NAME})
            self.assertEqual({job.workload for job in asked}, set(sliced.WORKLOADS))
            results = fakes.results(module.jobs(setup))
            picture = charts.svg(module.draw(setup, results), module.NUMBER)
            self.assertIn(b"SSDs in slices", picture)
            cells = [cell for table in module.tables(setup, results) for row in table.rows
                     for cell in row]
            self.assertNotIn("None", cells)


class LengthTest(unittest.TestCase):
    # PUTs that fill an eighth of Scalio's log on 7 SSDs, at the paper's size and on A.
    EIGHTH = 80_000

    def test_what_writes_covers_the_log(self):
        for name, part in (("full", 1), ("quick", 32)):
            for workload, puts in (("a", 0.5), ("b", 0.05), ("d", 0.05), ("f", 0.5)):
                for system, ssds in itertools.product(LOGGED, (1, 7, 16, 36)):
                    point = SETUPS[name].point(system, workload, ssds=ssds)
                    eighth = self.EIGHTH / part * ssds / 7
                    self.assertGreater(point.operations * puts, 3 * eighth - 1, point.describe())
                    # Settling takes the rest of a log that warming has left empty by half.
                    if puts < 0.5:
                        self.assertGreater(point.settle * puts, 3 * eighth, point.describe())

    def test_no_point_is_shorter_than_one_that_only_reads(self):
        for setup in SETUPS.values():
            for system, workload in itertools.product(SYSTEMS, WORKLOADS):
                point = setup.point(system, workload, ssds=1)
                self.assertGreaterEqual(point.operations, setup.operations, point.describe())
                self.assertGreaterEqual(point.settle, setup.settle, point.describe())

    def test_what_has_no_log_to_empty_is_as_long_as_a(self):
        for system in ("leed", "leed-ditto"):
            a, b = (SETUPS["full"].point(system, workload) for workload in "ab")
            self.assertEqual((a.operations, a.settle), (b.operations, b.settle))

    def test_what_only_reads_and_what_tests_is_short(self):
        self.assertEqual(SETUPS["quick"].point("scalio", "c", ssds=36).operations, 60_000)
        for workload in "abcdf":
            self.assertEqual(SETUPS["smoke"].point("scalio", workload).operations, 12_000)

    def test_the_page_says_how_long(self):
        said = output.lengths(SETUPS["quick"])
        self.assertIn("300,000 operations a point of B, D", said)
        self.assertIn("60,000 operations a point of A, C, F", said)


class LimitsTest(unittest.TestCase):
    def test_the_kind_of_what_is_full(self):
        for what, kind in (("core 3 (ssd)", "core"), ("SSD 2", "ssd"), ("link, out", "link"),
                           ("client core 1", "client"), ("NIC offload", "offload"), (None, ""),
                           ("nothing", "")):
            self.assertEqual(limits.kind_of(what), kind, what)

    def test_gain_is_until_the_next_is_full(self):
        row = {"busy": [{"what": "core 0", "utilization": 0.5}, {"what": "core 1",
                                                                "utilization": 1.0},
                        {"what": "SSD 0", "utilization": 0.8}]}
        self.assertEqual(limits.gain(row), ("core", 1.25, "ssd"))
        idle = {"busy": [{"what": "SSD 0", "utilization": 0.5}]}
        self.assertEqual(limits.gain(idle), ("", 2.0, "ssd"))
        self.assertIsNone(limits.gain({}))


class TablesTest(unittest.TestCase):
    def test_deviation_is_from_the_nearer_end(self):
        value = published.Published("x", 2, 4, "P")
        self.assertEqual(published.deviation(value, 3), 0)
        self.assertAlmostEqual(published.deviation(value, 5), 0.25)
        self.assertAlmostEqual(published.deviation(value, 1), -0.5)
        self.assertIsNone(published.deviation(value, None))

    def test_every_published_claim_stands_beside_what_is_predicted(self):
        setup = SETUPS["quick"]
        modules = (figure_14, figure_15, figure_16, figure_17, figure_18)
        results = fakes.results([job for module in modules for job in module.jobs(setup)])
        for module, claim, rows in (
                (figure_14, published.UNBATCHED_LATENCY, 5), (figure_15, published.SKEW, 8),
                (figure_16, published.RECORDS, 4), (figure_17, published.CORES[4], 2),
                (figure_17, published.CORES[16], 2), (figure_18, published.SLOTS, 10)):
            table = module.tables(setup, results)[-1]
            found = [row for row in table.rows if row[0] == claim.what]
            self.assertEqual(len(found), rows, claim.what)
            for row in found:
                self.assertNotIn("-", row, claim.what)

    def test_the_ends_are_of_what_is_known(self):
        self.assertEqual(tables.ends([2, None, 1, 3]), (1, 3))
        self.assertEqual(tables.ends([None]), (None, None))

    def test_latency_at_a_throughput_is_between_its_neighbours(self):
        rows = [{"throughput": 10, "p50_us": 1}, {"throughput": 20, "p50_us": 3}, None]
        self.assertEqual(figure_14.at_throughput(rows, 15, "p50_us"), 2)
        self.assertEqual(figure_14.at_throughput(rows, 5, "p50_us"), 1)
        self.assertIsNone(figure_14.at_throughput(rows, 21, "p50_us"))


if __name__ == "__main__":
    unittest.main()
