"""The paper's settings, and the scale at which they are run.

One factor divides the records and the cache alike. Everything else is as published: in flight,
cores, SSDs, batch, sizes of keys and values, skew.
"""

import dataclasses

from evaluate.job import Point

RECORDS = 20_000_000
CACHE_BLOCKS = 280_576  # of SLOTS slots each, in all systems that have a cache
SLOTS = 8
SKEW = 0.99
# Of all CPU costs of the model but that of the kernel's target: as src/hardware/costs.cc has it.
FITTED_SCALE = 4.05
WORKLOADS = ("a", "b", "c", "d", "f")
SSDS = (1, 2, 3, 4, 5, 6, 7)
MEMORY = 20 << 30  # bytes that all points together may take that run at one time
# What is compared in every figure; the others stand where a figure names them.
SYSTEMS = ("scalio", "paper", "leed-ditto", "leed")
# Of what writes: operations, and those that settle before, at the paper's size with up to 7 SSDs.
# PUTs decide: Scalio's log (256 MiB an SSD, src/hardware/systems/scalio_system.cc) is emptied by
# checkpoints, an eighth at a time, from three quarters full on, and a point that ends before they
# begin, or sees few of them, tells what no server keeps up.
#   A, F: half of the operations are PUTs. 80,000 of them fill an eighth of 7 logs, so that 960,000
#   are twelve. With three it depends on where in one a point begins by a quarter. Warming has
#   filled the log: 9 M operations.
#   B, D: a twentieth. Warming has 450,000 PUTs, which leave the log half empty: they come in larger
#   batches. At 1/32 B does 8.5 M/s until 300,000 operations have settled, then 7.6, as it does over
#   2.4 M. 480,000 PUTs settle, and as many are measured: six eighths by A's count, and about three
#   by the bytes that a PUT of B takes.
# With more SSDs there is more log, with fewer less, and the PUTs are as many more or fewer. A
# smaller scale divides the log as its records, down to 8 MiB. No point is shorter than one of C.
#   LEED, and LEED + Ditto: the log is the SSD, and does not go round: as long as A.
LOGGED = ("scalio", "paper")
STEADY = {**dict.fromkeys("af", (1_920_000, 192_000)),
          **dict.fromkeys("bd", (9_600_000, 9_600_000))}
LEAST_LOG = 32  # of the paper's, the part that is 8 MiB


@dataclasses.dataclass(frozen=True)
class Setup:
    """A scale: how large, and how long each point runs."""

    name: str
    divisor: int
    operations: int
    ssds: tuple = SSDS
    few: bool = False  # of what a figure varies, only the ends
    headline: dict = dataclasses.field(default_factory=dict)  # what its points have otherwise
    settle: int = 0  # operations before a point is measured; 0: a tenth of those measured
    steady: bool = True  # what writes runs as long as STEADY says
    on: str = ""  # real hardware that it was measured on; else it is simulated

    def some(self, values):
        """Of what a figure varies, what is run at this scale."""
        return (values[0], values[-1]) if self.few else values

    def records(self, published=RECORDS):
        return max(1, published // self.divisor)

    def blocks(self, published=CACHE_BLOCKS):
        return max(1, published // self.divisor)

    def fitting(self, published_records):
        """This scale, or the next one, by a power of two, at which points of so many records of
        the paper's fit MEMORY."""
        at = self
        while max(at.point(s, "a", records=at.records(published_records)).memory
                  for s in SYSTEMS) > MEMORY:
            at = dataclasses.replace(at, divisor=2 * at.divisor)
        return at

    def of_headline(self):
        """The scale of the headline."""
        return dataclasses.replace(self, **self.headline, headline={})

    def length(self, system, workload, ssds):
        """(operations, those that settle before they are measured) of a point."""
        if not self.steady or workload not in STEADY:
            return self.operations, self.settle
        log = ssds / SSDS[-1] / min(self.divisor, LEAST_LOG)
        operations, settle = STEADY[workload if system in LOGGED else "a"]
        return (max(self.operations, round(operations * log)),
                max(self.settle, round(settle * log)))

    def point(self, system, workload, **changes):
        """A point with the paper's settings, but for what is named."""
        operations, settle = self.length(system, workload, changes.get("ssds", SSDS[-1]))
        settings = {
            "machine": "paper", "ssds": 7, "cores": 8, "in_flight": 512, "batch": 8, "skew": SKEW,
            "records": self.records(), "slots": SLOTS, "cache_blocks": self.blocks(),
            "value_size": 64, "settle": settle, "seed": 1, "operations": operations}
        return Point(system, workload, **{**settings, **changes})

    def says(self):
        """The scale, for people."""
        if self.divisor == 1:
            return f"at the paper's size: {self.records():,} records"
        return (f"records and cache 1/{self.divisor} of the paper's: {self.records():,} records, "
                f"{self.blocks():,} blocks of {SLOTS} slots")


FULL = {"divisor": 1, "operations": 300_000, "settle": 100_000}
SETUPS = {
    # The headline at the paper's size all the same: it is few points.
    "quick": Setup("quick", divisor=32, operations=60_000, headline=FULL),
    "full": Setup("full", **FULL),
    # For the tests: does every figure come out, and with the right shape?
    "smoke": Setup("smoke", divisor=1024, operations=12_000, ssds=(1, 4, 7), few=True,
                   steady=False),
}
