"""How far the headline depends on any one CPU cost, each 30 % lower and higher alone; on the scale
that was fitted; on how LEED shares out its cores; and, of LEED, on the room that it has. What SSDs,
link and NIC can do is not varied: the model's option --cost is of CPU costs.

Costs that are two ends of one thing, such as a message sent and received, are changed together.
"""

import dataclasses

from evaluate.results import ratio
from evaluate.setup import FITTED_SCALE, WORKLOADS as ALL_WORKLOADS

RATIOS = (("scalio", "leed-ditto"), ("scalio", "leed"), ("paper", "leed-ditto"))
SYSTEMS = ("scalio", "paper", "leed-ditto", "leed")
WORKLOADS = ("a", "c")


@dataclasses.dataclass(frozen=True)
class Change:
    """Of costs, by their names in `scalio-eval model --cost`."""

    what: str
    costs: tuple
    factors: tuple = (0.7, 1.3)

    def points(self, setup, system, workload):
        return [setup.point(system, workload, costs=c) for c in self.each()]

    def each(self):
        return [tuple((name, factor) for name in self.costs) for factor in self.factors]


# LEED's uniform GETs at 4 SSDs are published as 0.5 to 0.6 M/s; the scale was fitted at 0.55.
FITTED, FIT_ENDS = 0.55, (0.6, 0.5)
COSTS = (
    Change("messages", ("message-receive", "message-send", "message-kib")),
    Change("hops between threads", ("hop-give", "hop-take")),
    Change("one-sided operations", ("one-sided-post", "one-sided-done")),
    Change("I/Os through the kernel", ("kernel-submit", "kernel-complete")),
    Change("I/Os by a polled driver", ("driver-submit", "driver-complete")),
    Change("reads over NVMe-oF", ("fabric-submit", "fabric-complete")),
    Change("waking threads", ("wake", "turn")),
    Change("the systems' own instructions", ("instructions",)),
    Change("the scale: LEED fitted at 0.6 or 0.5 M/s", ("all",),
           tuple(round(FITTED / end, 4) for end in FIT_ENDS)),
)
# Not in the ranges: what the kernel does, as the kernel's target, without the scale.
UNSCALED = Change("the kernel's I/Os and wakes without the scale",
                  ("kernel-submit", "kernel-complete", "wake"), (round(1 / FITTED_SCALE, 4),))

# Of 8 cores, those for LEED's SSDs; 4 is what the paper has. With 7 each SSD has its own, and one
# is left for control and network.
SPLITS = (2, 3, 4, 5, 6, 7)
SPLIT_SYSTEMS = ("leed", "leed-ditto")

# LEED where values fill so much of the value log, in place of an SSD as large as a real one.
LEED_FULL = 0.6
LEED_BLOCK = 512


def split(setup, system, workload, ssd_cores):
    if ssd_cores == 4:
        return setup.point(system, workload)
    return setup.point(system, workload, ssd_cores=ssd_cores,
                       variant=f"{system}-{ssd_cores}-ssd-cores")


def room(setup, system):
    """(with SSDs as large as real ones, with small ones), both long enough to be steady."""
    long = 4 * setup.point(system, "a").operations
    # A quarter of the SSD is for buckets.
    size = int(setup.records() / 7 * LEED_BLOCK / LEED_FULL * 4 / 3)
    return (setup.point(system, "a", operations=long),
            setup.point(system, "a", operations=long, switches=("--ssd-size", str(size)),
                        variant=f"{system}-small-ssd"))


def jobs(setup):
    if setup.few:
        return []
    return [*(split(setup, s, w, n) for s in SPLIT_SYSTEMS for w in ALL_WORKLOADS for n in SPLITS),
            *(point for s in SPLIT_SYSTEMS for point in room(setup, s)),
            *(point for w in WORKLOADS for change in (*COSTS, UNSCALED) for s in SYSTEMS
              for point in change.points(setup, s, w))]


# The columns of data/ranges.csv behind those of figures.
COLUMNS = ("operations", "changed")


def rows(setup, results):
    """Of each point its row, with what is changed in it, as the model's option --cost has it."""
    return [{**row, "changed": " ".join(f"{name}={factor:g}" for name, factor in point.costs)}
            for point in dict.fromkeys(jobs(setup)) for row in results.rows(point)]


def ratios(setup, results, workload, above, below, change):
    """By factor; None where one of the two is not known."""
    return [ratio(results.value(a, "throughput"), results.value(b, "throughput"))
            for a, b in zip(change.points(setup, above, workload),
                            change.points(setup, below, workload))]


def span(setup, results, workload, above, below):
    """(least, most) of a ratio over all costs, each by what it is as they are; (None, None) if none
    was run."""
    found = [r for change in COSTS
             for r in ratios(setup, results, workload, above, below, change) if r]
    base = ratio(*(results.value(setup.point(s, workload), "throughput") for s in (above, below)))
    if not found or base is None:
        return None, None
    return min(*found, base) / base, max(*found, base) / base
