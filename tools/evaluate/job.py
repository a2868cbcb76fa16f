"""What is run: a job is one process whose output is one or more rows, JSON objects, a line each.

A row has the keys of COLUMNS and more (docs/evaluation.md, "Data"). What is not known is None.
"""

import dataclasses

# The columns of data/figure-NN.csv; some have more behind them.
COLUMNS = ("system", "workload", "ssds", "cores", "in_flight", "skew", "records", "slots",
           "throughput", "avg_us", "p50_us", "p99_us", "hit_ratio", "ssd_reads_per_s",
           "ssd_writes_per_s", "server_cpu_us_per_op", "full")


# Bytes of memory that a point takes for each record, and for each slot of the cache.
MEMORY = {"scalio": (215, 0), "paper": (180, 0), "leed": (155, 0), "leed-ditto": (155, 1060)}


@dataclasses.dataclass(frozen=True)
class Programs:
    """The first words of commands: what simulates a point, and what measures."""

    model: list
    measure: list


@dataclasses.dataclass(frozen=True)
class Point:
    """One point of a simulated figure: what `scalio-eval model` is asked. Equal points are one.

    skew 0 means uniform keys. `variant` is what the system is called in figures and data, if it is
    not the plain one; it does not change what is run.
    """

    system: str
    workload: str
    machine: str
    ssds: int
    cores: int
    in_flight: int
    batch: int
    skew: float
    records: int
    slots: int
    cache_blocks: int
    value_size: int
    operations: int
    seed: int
    switches: tuple = ()
    ssd_cores: int = 0  # LEED's cores for its SSDs; 0: half of all
    settle: int = 0  # operations before it is measured; 0: a tenth of those measured
    costs: tuple = ()
    variant: str = dataclasses.field(default="", compare=False)

    # Others may run beside it: its time is virtual.
    alone = False

    @property
    def name(self):
        return self.variant or self.system

    @property
    def warming(self):
        """About how long it takes until it is filled and warm, in operations that warm."""
        warm = 4 * self.cache_blocks * self.slots if self.system != "leed" else 0
        return self.records // 2 + warm

    @property
    def measured(self):
        """Operations that are charged."""
        return self.operations + (self.settle or self.operations // 10)

    @property
    def work(self):
        """About how long it takes, as operations that fill or warm: one charged is six."""
        return self.warming + 6 * self.measured

    @property
    def warmed(self):
        """Equal for points that can be measured of one system, once it is filled and warm."""
        changes = {"costs": ()}
        # D inserts, for which the system is built with room.
        if self.workload != "d":
            changes |= {"operations": 0, "settle": 0}
        return dataclasses.replace(self, **changes)

    def also(self):
        """What follows --also, to measure it of another's system."""
        return ",".join([f"operations={self.operations}", f"settle={self.settle}",
                         *(f"{name}={factor:g}" for name, factor in self.costs)])

    @property
    def memory(self):
        """Bytes that it takes, at most: as was seen at 5 and 20 M records, and a tenth more."""
        record, slot = MEMORY.get(self.system, MEMORY["leed-ditto"])
        records = self.records + (self.measured // 20 if self.workload == "d" else 0)
        return (128 << 20) + records * record + self.cache_blocks * self.slots * slot

    def arguments(self):
        """What follows the program's name."""
        skew = ["--uniform"] if self.skew == 0 else ["--skew", f"{self.skew:g}"]
        result = ["model", "--machine", self.machine, "--system", self.system,
                  "--workload", self.workload, "--ssds", str(self.ssds),
                  "--cores", str(self.cores), "--in-flight", str(self.in_flight),
                  "--batch", str(self.batch), *skew, "--records", str(self.records),
                  "--slots", str(self.slots), "--cache-blocks", str(self.cache_blocks),
                  "--value-size", str(self.value_size), "--operations", str(self.operations),
                  "--seed", str(self.seed), *self.switches]
        if self.settle:
            result += ["--settle", str(self.settle)]
        if self.ssd_cores:
            result += ["--ssd-cores", str(self.ssd_cores)]
        for name, factor in self.costs:
            result += ["--cost", f"{name}={factor:g}"]
        return [*result, "--json"]

    def command(self, programs):
        return [*programs.model, *self.arguments()]

    def describe(self):
        return (f"{self.name} {self.workload.upper()}, {self.ssds} SSDs, "
                f"{self.in_flight} in flight ({self.machine})")

    def finish(self, rows):
        """The rows as figures use them, of what the program printed."""
        if len(rows) != 1:
            raise ValueError(f"one object expected, {len(rows)} printed")
        row = dict(rows[0])
        asked = {"system": self.name, "workload": self.workload, "ssds": self.ssds,
                 "cores": self.cores, "in_flight": self.in_flight, "skew": self.skew,
                 "records": self.records, "slots": self.slots}
        return [{**row, **asked}]


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Something measured on this machine, alone on it. `words` follow the program's name."""

    name: str
    words: tuple

    alone = True
    memory = 0
    work = 1_000_000

    @property
    def warmed(self):
        """Nothing is shared with others."""
        return self

    def arguments(self):
        return list(self.words)

    def command(self, programs):
        return [*programs.measure, *self.words]

    def describe(self):
        return f"{self.name}, measured here"

    def finish(self, rows):
        if not rows:
            raise ValueError("it printed no rows")
        return [dict(row) for row in rows]


def check_row(row):
    """Raises ValueError, saying what is wrong, if a row lacks what every figure needs."""
    if not isinstance(row.get("system"), str):
        raise ValueError("a row has no system")
    if "throughput" not in row:
        raise ValueError("a row has no throughput")
    # Null is of a measurement that could not be; a number must be one.
    if row["throughput"] is not None and not row["throughput"] > 0:
        raise ValueError(f"throughput is {row['throughput']}")
