"""What is published, to stand beside what is predicted.

P: the paper (OSDI '25); C: computed from what it says. Where a range is published a prediction
within it deviates by nothing, one outside by its distance from the nearer end.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Published:
    what: str
    low: float
    high: float
    source: str


LEED_C_UNIFORM = Published("LEED, C, uniform keys, most operations/s", 0.5e6, 0.6e6, "P")
LEED_A = Published("LEED, A, operations/s", 0.32e6, 0.32e6, "C")
LEED_DITTO_A = Published("LEED + Ditto, A, operations/s", 0.38e6, 0.38e6, "C")
LEED_DITTO_C = Published("LEED + Ditto, C, operations/s", 2.6e6, 3.5e6, "C")
PAPER_A = Published("the paper's Scalio, A, operations/s", 0.8e6, 0.8e6, "P")
PAPER_A_LATENCY = Published("the paper's Scalio, A, average latency, us", 614, 614, "P")
LEED_DITTO_A_LATENCY = Published("LEED + Ditto, A, average latency, us", 312, 312, "C")
PAPER_C = Published("the paper's Scalio, C, operations/s", 8.5e6, 10e6, "C")
OVER_LEED_DITTO = Published("over LEED + Ditto, all workloads", 1.8, 3.3, "P")
OVER_LEED = Published("over LEED, all workloads", 2.5, 17, "P")
STANDARD_CPU = Published("CPU of the standard target, 7 SSDs, %", 562, 562, "P")
OFFLOADED_CPU = Published("CPU of the offloaded target, 7 SSDs, %", 0, 0, "P")
OFFLOADED_READ = Published("+ offloaded read", 1.5, 3.2, "P")
INLINE_CACHE = {"b": Published("+ inline cache, B", 3.6, 3.6, "P"),
                "c": Published("+ inline cache, C", 6.7, 6.7, "P"),
                "d": Published("+ inline cache, D", 2.7, 2.7, "P")}
BATCHED_WRITE = Published("+ batched write, A and F", 1.0, 1.96, "P")
SKEW = Published("over LEED + Ditto, at every skew", 2, 3, "P")
CORES = {4: Published("over LEED + Ditto, 4 cores", 2, 5, "P"),
         16: Published("over LEED + Ditto, 16 cores", 1, 2, "P")}
# Published in words: "falls slightly", "hardly matters". 15 % stand for them.
RECORDS = Published("80 M records, of 20 M's operations/s (\"slightly\" fewer)", 0.85, 1, "P")
SLOTS = Published("4 or 16 slots, of 8 slots' operations/s (\"hardly matter\")", 0.85, 1.15, "P")
UNBATCHED_LATENCY = Published("without batching, of LEED + Ditto's average latency", 0.7, 0.8, "P")
# The share of all operations that the cache absorbs.
ABSORBED = {"a": Published("Scalio absorbs, A", .225, .225, "C"),
            "b": Published("Scalio absorbs, B", .722, .755, "P, C"),
            "c": Published("Scalio absorbs, C", .832, .852, "C, P"),
            "d": Published("Scalio absorbs, D", .626, .733, "P, C"),
            "f": Published("Scalio absorbs, F", .387, .387, "C")}
# The share of reads in each workload; F's read-modify-writes read as well.
READS = {"a": 0.5, "b": 0.95, "c": 1.0, "d": 0.95, "f": 1.0}
SSD_IOS = 500_000  # a second, each: the makers' line


def deviation(published, value):
    """Relative distance from the range; 0 within; None if it cannot be said."""
    if value is None:
        return None
    if published.low <= value <= published.high:
        return 0.0
    end = published.low if value < published.low else published.high
    return None if end == 0 else value / end - 1
