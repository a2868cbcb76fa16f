"""What else the page says: how LEED does with other cores and SSDs, and what would lift each limit
of Scalio."""

import math

from evaluate import charts, limits, ranges
from evaluate.figures import figure_11, figure_19
from evaluate.results import ratio
from evaluate.setup import WORKLOADS
from evaluate.tables import Table, number

INTRODUCTION = """Scalio, the system that its paper describes, LEED, and LEED + Ditto, each by its
own code, over a model of the hardware in virtual time. The model charges what happens at the seams
(messages, I/Os, steps, bytes) by one table of costs, which is the same for all. One factor for all
CPU costs was fitted, on LEED with 4 SSDs and uniform keys (figure 5), and frozen; all else is
predicted. What is measured is on this machine, and says so."""


def splits(setup, results):
    """LEED's throughput by how many of the 8 cores are for its SSDs."""
    rows = []
    for system in ranges.SPLIT_SYSTEMS:
        for workload in WORKLOADS:
            found = [results.value(ranges.split(setup, system, workload, n), "throughput")
                     for n in ranges.SPLITS]
            best = max((value for value in found if value), default=None)
            scalio = results.value(setup.point("scalio", workload), "throughput")
            rows.append([charts.look(system)[0], f"YCSB {workload.upper()}", *map(number, found),
                         number(ratio(scalio, best))])
    return Table("LEED by its cores for SSDs, of 8: the figures have 4, as the paper. At the right "
                 "Scalio against the best of them",
                 ["system", "", *map(str, ranges.SPLITS), "Scalio / the best"], rows)


def room(setup, results):
    """What it costs LEED to compact."""
    rows = []
    for system in ranges.SPLIT_SYSTEMS:
        for point, what in zip(ranges.room(setup, system), ("real", "small")):
            row = results.row(point)
            if row is not None:
                rows.append([charts.look(system)[0], what, *(number(row.get(key)) for key in (
                    "throughput", "p99_us", "bytes_read_per_op", "bytes_written_per_op"))])
    return Table("LEED on YCSB A with SSDs as large as real ones, as in the figures, where neither "
                 f"log goes round; and with SSDs that values fill to {ranges.LEED_FULL:.0%}, where "
                 "both are compacted all the time",
                 ["system", "SSDs", "operations/s", "p99, us", "SSD bytes read/op",
                  "SSD bytes written/op"], rows)


def lifts(setup, results):
    """What holds Scalio back at the largest points, and by how much lifting it could help."""
    found = {}
    for workload in WORKLOADS:
        places = (("paper", figure_11.point(setup, "scalio", workload, 7)),
                  ("BlueField-3", figure_19.point(setup, "scalio", workload,
                                                  figure_19.counts(setup)[-1])))
        for machine, point in places:
            row = results.row(point)
            gained = None if row is None else limits.gain(row)
            if gained is not None:
                kind, factor, after = gained
                entry = found.setdefault((machine, kind), [])
                entry.append((workload.upper(), factor, after))
    rows = []
    for (machine, kind), entries in found.items():
        factors = [f for _, f, _ in entries if f]
        mean = math.exp(sum(map(math.log, factors)) / len(factors)) if factors else None
        each = ", ".join(f"{w} {number(f)}x" + (f" (then {limits.NAMES[after]})" if after else "")
                         for w, f, after in entries)
        rows.append((mean or 0, [machine, limits.NAMES[kind], number(mean) + "x", each,
                                 limits.REMEDIES[kind]]))
    rows.sort(key=lambda row: (-row[0], row[1]))
    return Table("In order of gain: what is full at Scalio's largest points, how far throughput "
                 "could grow until the next thing is full, and what would lift it",
                 ["machine", "full", "gain (mean)", "by workload", "what would lift it"],
                 [cells for _, cells in rows])
