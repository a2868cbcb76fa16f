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
FITTED_SCALE = 3.85
WORKLOADS = ("a", "b", "c", "d", "f")
SSDS = (1, 2, 3, 4, 5, 6, 7)
MEMORY = 20 << 30  # bytes that all points together may take that run at one time
# What is compared in every figure; the others stand where a figure names them.
SYSTEMS = ("scalio", "paper", "leed-ditto", "leed")


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
    writes: int = 0  # operations of A and F, of which half write, if others
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

    def point(self, system, workload, **changes):
        """A point with the paper's settings, but for what is named."""
        settings = {
            "machine": "paper", "ssds": 7, "cores": 8, "in_flight": 512, "batch": 8, "skew": SKEW,
            "records": self.records(), "slots": SLOTS, "cache_blocks": self.blocks(),
            "value_size": 64, "settle": self.settle, "seed": 1,
            "operations": self.writes if self.writes and workload in "af" else self.operations}
        return Point(system, workload, **{**settings, **changes})

    def says(self):
        """The scale, for people."""
        if self.divisor == 1:
            return f"at the paper's size: {self.records():,} records"
        return (f"records and cache 1/{self.divisor} of the paper's: {self.records():,} records, "
                f"{self.blocks():,} blocks of {SLOTS} slots")


# The paper's size. Of A and F as many operations as twelve of the eighths of Scalio's log take that
# its checkpoints empty: with three, it depends on where in one it begins by a quarter.
FULL = {"divisor": 1, "operations": 300_000, "settle": 100_000, "writes": 1_920_000}
SETUPS = {
    # The headline at the paper's size all the same: it is few points.
    "quick": Setup("quick", divisor=32, operations=60_000, headline=FULL),
    "full": Setup("full", **FULL),
    # For the tests: does every figure come out, and with the right shape?
    "smoke": Setup("smoke", divisor=1024, operations=12_000, ssds=(1, 4, 7), few=True),
}
