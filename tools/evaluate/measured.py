"""What is measured on this machine: `python3 -m evaluate.measured KIND ...` prints rows, a JSON
object a line, as `scalio-eval ycsb` does.

Everything it starts listens on a socket in a scratch folder or on loopback, and ends with it.
"""

import argparse
import json
import os
import re
import sys

from evaluate import served
from evaluate.setup import SETUPS

MIB = 1 << 20
KEY = 16
RECORD_HEADER = 10  # of a record in a bucket of Scalio
BLOCK = 512         # of LEED
SSDS = 4
VALUE = 200         # of what is compared here: a quarter of it is still what RocksDB can live with
THREADS, DEPTH = 2, 32

# How much by scale: (records, seconds that are measured, bytes of records in `written`). A number
# of operations would be a fiftieth of a second of one system and two seconds of another.
SIZES = {"smoke": (5_000, 1, 4 * MIB),
         "quick": (160_000, 2, 32 * MIB),
         "full": (2_000_000, 10, 512 * MIB)}
ENDLESS = 1_000_000_000


class Store:
    """A system served over files in a scratch folder, and driven by scalio-eval ycsb."""

    def __init__(self, program, system, folder, ssds, value_size=64):
        self.program = program
        self.system = system
        self.uri = f"unix:{folder}/socket"
        self.folder = folder
        self.ssds = [f"{folder}/ssd-{i}" for i in range(ssds)]
        self.value_size = value_size

    def serving(self, records, cache, ssd_bytes, around=()):
        """`around`: a program, with its arguments, that runs the server."""
        words = [*around, self.program, "serve", "--system", self.system,
                 "--dir", f"{self.folder}/store", "--ssd", *self.ssds,
                 "--format", "--ssd-size", str(ssd_bytes),
                 "--records", str(records), "--value-size", str(self.value_size),
                 "--cache", str(cache), "--listen", self.uri]
        # Clients on this machine read the files themselves.
        words += ["--nvmf", "none"] if self.system == "scalio" else []
        return served.serving(words, self.folder)

    def ycsb(self, workload, records, operations, *more, timeout=600):
        """The row of a run; None if it only loads."""
        said = served.run(
            [self.program, "ycsb", "--system", self.system, "--server", self.uri,
             "--workload", workload, "--records", str(records), "--operations", str(operations),
             "--value-size", str(self.value_size), "--threads", str(THREADS),
             "--depth", str(DEPTH), "--json", "--quiet", *more], timeout)
        rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        return rows[-1] if rows else None


def memories(records):
    """(what is behind a system's name, bytes of memory): 3 times the records, and a quarter of
    them."""
    return ("", records * (KEY + VALUE) * 3), ("-4x", records * (KEY + VALUE) // 4)


def warming(memory):
    """Operations until a cache of so much memory is warm: four for each record that it has room
    for, as on the model."""
    return 4 * memory // (KEY + VALUE)


def systems(options):
    """YCSB workloads on one system, in both settings."""
    records, seconds, _ = SIZES[options.scale]
    for name, memory in memories(records):
        with served.scratch() as folder:
            store = Store(options.program, options.system, folder, SSDS, VALUE)
            ssd_bytes = 64 * MIB + records * 1024 // SSDS
            with store.serving(records, max(memory, 4 * MIB), ssd_bytes):
                store.ycsb("c", records, 0, "--load")
                if options.system != "leed":  # which has no cache
                    store.ycsb("c", records, warming(memory), "--seed", "99")
                # With one seed all of them would ask for the same keys, and find those cached.
                for seed, workload in enumerate(options.workloads, 1):
                    row = store.ycsb(workload, records, ENDLESS, "--seconds", str(seconds),
                                     "--warm-up", str(records // 5), "--seed", str(seed))
                    row["system"] += name
                    yield row


def rival(options):
    """The same on what people would pick instead, which is started anew for each workload."""
    records, seconds, _ = SIZES[options.scale]
    for name, memory in memories(records):
        # It has every record in memory, or refuses them.
        if options.system == "redis" and name:
            continue
        for seed, workload in enumerate(options.workloads, 1):
            with served.scratch() as folder:
                said = served.run(
                    [options.program, "ycsb", "--system", options.system,
                     "--memory", str(max(memory, 8 * MIB)), "--scratch", folder, "--load",
                     "--workload", workload, "--records", str(records),
                     "--warm-up", str(warming(memory)), "--operations", str(ENDLESS),
                     "--seconds", str(seconds), "--value-size", str(VALUE),
                     "--threads", str(THREADS), "--depth", str(DEPTH), "--seed", str(seed),
                     "--json", "--quiet"],
                    timeout=3600)
            row = json.loads(said)
            row["system"] += name
            yield row


def room(system, records, value, full):
    """Bytes of an SSD that records fill to `full` percent: the home buckets of Scalio, the value
    log of LEED, whose bucket log has a quarter beside it."""
    if system == "scalio":
        buckets = records * (KEY + value + RECORD_HEADER) * 100 // full
        # The log is an eighth of the SSD.
        return buckets * 8 // 7 + 2 * MIB
    values = records * -(-value // BLOCK) * 100 // full * 64 // 63
    return max(values * 4 // 3, values + 2 * records // 8) * BLOCK + MIB


def written(options):
    """Bytes written to the SSD a byte of records, by uniform updates of a store that is full."""
    volume = SIZES[options.scale][2]
    value, system = options.value_size, options.system
    records = volume // (KEY + value)
    with served.scratch() as folder:
        store = Store(options.program, system, folder, 1, value)
        ssd_bytes = -(-room(system, records, value, options.full) // MIB) * MIB
        with store.serving(records, 16 * MIB, ssd_bytes):
            try:
                store.ycsb("a", records, 0, "--load")
                # Half of A's operations write: as many as there are records, to reach what is
                # usual, and as many again.
                row = store.ycsb("a", records, 2 * records, "--uniform",
                                 "--warm-up", str(2 * records))
            except served.Trouble as trouble:
                if "full" not in str(trouble):
                    raise
                yield refused(system, records, value, options.full)
                return
    row["written_per_byte"] = row["bytes_written_per_op"] * 2 / (KEY + value)
    row["skew"] = 0
    row["store_full_percent"] = options.full
    row["value_size"] = value
    yield row


def refused(system, records, value, full):
    """A store that takes no more before it is so full."""
    return {"system": system, "workload": "a", "records": records, "value_size": value,
            "store_full_percent": full, "throughput": None, "full": "the store refuses writes"}


def embedded_target(options):
    """Reads through our own NVMe/TCP target, whose namespace is memory, over loopback."""
    bench = os.path.join(os.path.dirname(options.program), "scalio-bench-figures")
    quick = [] if options.scale == "full" else ["--quick"]
    with served.scratch() as folder:
        out = os.path.join(folder, "figures.json")
        served.run([bench, "nvme-tcp", *quick, "--dir", folder, "--json", out])
        with open(out, encoding="utf-8") as file:
            figures = json.load(file)["figures"]
    for figure in figures:
        row = target_row(figure)
        if row is not None:
            yield row


UNITS = {"K/s": 1e3, "M/s": 1e6, "/s": 1}


def target_row(figure):
    """A row out of one figure of the benchmark, whose numbers are in words; None for others."""
    named = re.search(r"reads?, (\d+) B .*depth (\d+)", figure["figure"])
    cpu = re.search(r"([\d.]+) us target", figure["note"])
    value = re.fullmatch(r"([\d.]+) (K/s|M/s|/s|us)", figure["measured"])
    median = re.search(r"p50 ([\d.]+) us", figure["note"])
    if not named or not value:
        return None
    number, unit = float(value.group(1)), value.group(2)
    if unit == "us":
        # At depth 1 the median is the figure, and one read follows the other.
        rate, p50 = 1e6 / number, number
    else:
        rate, p50 = number * UNITS[unit], float(median.group(1)) if median else None
    return {"system": f"embedded target, {named.group(1)} B", "workload": "c", "ssds": 1,
            "in_flight": int(named.group(2)), "skew": 0,
            "throughput": rate, "p50_us": p50,
            "server_cpu_us_per_op": float(cpu.group(1)) if cpu else None}


KINDS = {"systems": systems, "rival": rival, "written": written,
         "embedded-target": embedded_target}


def main(words):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--scale", choices=SETUPS, default="quick")
    parser.add_argument("--system")
    parser.add_argument("--workloads", default="abc")
    parser.add_argument("--value-size", type=int, default=64)
    parser.add_argument("--full", type=int, default=70)
    options = parser.parse_args(words)
    served.end_on_signals()
    try:
        for row in KINDS[options.kind](options):
            print(json.dumps(row), flush=True)
    except served.Trouble as trouble:
        print(f"evaluate.measured: {trouble}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
