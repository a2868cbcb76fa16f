"""The figures' points on a real server and real clients, over ssh.

A point says everything that a real run needs: what of it the hardware has (systems, SSDs, cores) is
run, and the same modules draw the same figures of it. The rest is left out. Not run on hardware
yet: what is tested is which commands it gives (--dry-run).
"""

import dataclasses
import json
import os
import shlex
import sys

from evaluate import output
from evaluate.figures import figure_06
from evaluate.job import Point
from evaluate.remote import Remote, RemoteFailed
from evaluate.results import Results
from evaluate.setup import RECORDS

# 13 as far as the product has its steps; 18 to 21 are of other servers.
FIGURES = (2, 5, 6, 11, 12, 13, 14, 15, 16, 17, 22)
FOLDER = "/var/tmp/scalio-evaluate"
SECONDS = 20
NVMF_PORT = 4420
KEY = 16
SYSTEMS = ("scalio", "leed", "leed-ditto")
# Bytes of cache that a record takes: an eighth of Scalio's block; of Ditto an object, its slot and
# what is free in the table.
CACHED = {"scalio": 136, "leed": 0, "leed-ditto": 320}
# Of Scalio, as the model has them: bytes of a record in a bucket, how full buckets are, and bytes
# of the log of an SSD at the paper's size.
RECORD_HEADER, FILL, LOG = 10, 0.6, 256 << 20
NO_BATCHING = ("--no-batching",)
TARGETS = {"nvmf-standard": " --no-offload", "nvmf-offloaded": ""}


@dataclasses.dataclass(frozen=True)
class Served:
    """What a server has to be started anew for."""

    system: str
    ssds: int
    cores: int
    records: int
    cache: int
    value_size: int
    batching: bool


class Hardware:
    def __init__(self, options):
        self.remote = Remote(options.dry_run)
        self.uri = options.server
        self.address = options.server.split(":", 1)[1].rsplit(":", 1)[0]
        self.transport = options.server.split(":", 1)[0]
        self.host = options.server_host or self.address
        self.clients = options.clients
        self.ssds = options.ssds
        self.programs = options.remote_programs
        self.rows = {}
        self.failures = []

    def program(self, name):
        return f"{self.programs}/{name}"

    def has(self, point):
        """Whether this hardware can be asked it."""
        switched = point.switches if isinstance(point, Point) else None
        return (switched == () or (switched == NO_BATCHING and point.system == "scalio")) and (
            point.machine == "paper" and not point.costs and point.system in SYSTEMS
            and point.ssds <= len(self.ssds))

    def served(self, point):
        cache = point.cache_blocks * point.slots * CACHED[point.system]
        return Served(point.system, point.ssds, point.cores, point.records, cache,
                      point.value_size, not point.switches)

    def store(self, served):
        return f"{FOLDER}/{served.system}"

    def make(self, served):
        """Formats the SSDs; returns the command that serves them."""
        cores = f"taskset -c 0-{served.cores - 1} "
        devices = [shlex.quote(ssd) for ssd in self.ssds[:served.ssds]]
        store = self.store(served)
        if served.system != "scalio":
            return (f"{cores}{self.program('scalio-eval')} serve --system {served.system} "
                    f"--dir {store} --ssd {' '.join(devices)} --format "
                    f"--records {served.records} --value-size {served.value_size} "
                    f"--cache {max(served.cache, 1 << 20)} --threads {max(1, served.cores // 2)} "
                    f"--listen {self.uri}")
        scalio = self.program("scalio")
        named = " ".join(f"--ssd {device}" for device in devices)
        self.remote.run(self.host, f"{scalio} format --force --dir {store} {room(served, devices)} "
                                   f"{named}")
        self.configure(store, "")
        batches = "" if served.batching else " --batch-max 1"
        return (f"{cores}{scalio} serve --dir {store} --cache {served.cache} --listen {self.uri} "
                f"--insecure --nvmf-target {self.transport}:{self.address}:{NVMF_PORT}{batches}")

    def configure(self, store, how):
        self.remote.run(self.host, f"{self.program('scalio')} target configure --dir {store} "
                                   f"--listen {self.transport}:{self.address}:{NVMF_PORT} "
                                   f"--allow-host any{how}")

    def unconfigure(self, store):
        self.remote.run(self.host, f"{self.program('scalio')} target remove --dir {store}")

    def measure(self, served, points):
        command = self.make(served)
        try:
            pid = self.remote.start(self.host, command, self.store(served))
            try:
                self.load(served)
                for point in points:
                    self.rows[point] = point.finish([self.drive(point)])
            finally:
                self.remote.stop(self.host, pid)
        finally:
            if served.system == "scalio":
                self.unconfigure(self.store(served))

    def ycsb(self, system, workload, records, value_size):
        return (f"{self.program('scalio-eval')} ycsb --system {system} --server {self.uri} "
                f"--workload {workload} --records {records} --value-size {value_size} "
                "--json --quiet")

    def load(self, served):
        self.remote.run(self.clients[0], self.ycsb(served.system, "c", served.records,
                                                   served.value_size)
                        + " --load --operations 0 --threads 8")

    def drive(self, point):
        """All clients at one time, their operations in flight together the point's. They warm the
        cache first, and are measured when all have ended that: the 20 s of each begin together, but
        for the time that ssh takes. Of D, which inserts, they begin when each one is warm."""
        threads, depths = shares(point.in_flight, len(self.clients))
        clients = self.clients[:len(depths)]
        keys = "--uniform" if point.skew == 0 else f"--skew {point.skew:g}"

        def commands(seed, length):
            return [self.ycsb(point.system, point.workload, point.records, point.value_size)
                    + f" {keys} --threads {threads} --depth {depth}"
                      f" --message-batch {point.batch} {length} --seed {seed + i}"
                    for i, depth in enumerate(depths)]

        warm = max(1, point.records // len(clients))
        measured = f"--operations {1_000_000_000} --seconds {SECONDS}"
        if point.workload == "d":
            # What another run had inserted would be there already: each client warms by itself.
            measured = f"--warm-up {warm} {measured}"
        else:
            # With the seeds of the measurement the same keys would be asked for again.
            self.remote.run_all(clients, commands(point.seed + 1000, f"--operations {warm}"))
        said = self.remote.run_all(clients, commands(point.seed, measured))
        return combined([json.loads(text) for text in said if text])

    def fio(self, setup):
        """Figure 6: what reads through either target cost the server's CPU."""
        store = f"{FOLDER}/fio"
        named = " ".join(f"--ssd {shlex.quote(ssd)}" for ssd in self.ssds)
        scalio = self.program("scalio")
        self.remote.run(self.host, f"{scalio} format --force --dir {store} --values 0 {named}")
        for system, how in TARGETS.items():
            self.configure(store, how)
            try:
                for ssds in [n for n in setup.ssds if n <= len(self.ssds)]:
                    before = self.cpu()
                    said = self.remote.run(
                        self.clients[0], f"bash -s -- {self.transport} {self.address} {NVMF_PORT} "
                                         f"{ssds} {SECONDS}", script=fio_script())
                    point = figure_06.point(setup, system, ssds)
                    self.rows[point] = point.finish([fio_row(said, before, self.cpu())])
            finally:
                self.unconfigure(store)

    def cpu(self):
        """(seconds, seconds at work) of the server's cores since it started."""
        said = self.remote.run(self.host, "cat /proc/uptime; head -n 1 /proc/stat; "
                                          "getconf CLK_TCK")
        if not said:
            return 0.0, 0.0
        uptime, stat, ticks = said.strip().split("\n")
        spent = [int(word) for word in stat.split()[1:9]]
        # Without what was idle, or waited for I/O.
        return float(uptime.split()[0]), (sum(spent) - spent[3] - spent[4]) / int(ticks)


def shares(in_flight, clients):
    """(threads of each client, operations in flight of each thread by client), together exactly
    in_flight: as many threads as share it out evenly enough, 32 at most. Of fewer operations than
    clients each has one, and the rest of the clients none."""
    threads = 1
    while (threads < 32 and in_flight % (2 * threads) == 0
           and in_flight // (2 * threads) >= clients):
        threads *= 2
    each, more = divmod(in_flight // threads, clients)
    return threads, [each + (i < more) for i in range(clients) if each + (i < more) > 0]


def room(served, devices):
    """Options of `scalio format` for a store that is as full as the model's: what buckets and log
    do not take of an SSD is for large values, of which there are none."""
    log = max(8 << 20, LOG * served.records // RECORDS)
    record = KEY + served.value_size + RECORD_HEADER
    # A MiB for the rest.
    taken = int(served.records * record / FILL / served.ssds) + log + (1 << 20)
    smallest = f"$(blockdev --getsize64 {' '.join(devices)} | sort -n | head -n 1)"
    return f"--log-size {log} --values $(({smallest} - {taken}))"


def fio_script():
    return os.path.join(os.path.dirname(os.path.dirname(__file__)), "fio-reads")


def fio_row(said, before, after):
    row = dict.fromkeys(("avg_us", "p50_us", "p99_us", "hit_ratio", "ssd_reads_per_s",
                         "ssd_writes_per_s", "server_cpu_us_per_op", "full"))
    row["throughput"] = 1.0
    if said:
        jobs = json.loads(said)["jobs"]
        row["throughput"] = sum(job["read"]["iops"] for job in jobs)
        row["ssd_reads_per_s"] = row["throughput"]
        share = (after[1] - before[1]) / (after[0] - before[0])
        row["server_cpu_us_per_op"] = share * 1e6 / row["throughput"]
    return row


def combined(rows):
    """One row of the clients', who ran at one time. Each has seen all that the server's CPU did;
    what only a server with one client could tell is null."""
    empty = dict.fromkeys(("avg_us", "p50_us", "p99_us", "hit_ratio", "ssd_reads_per_s",
                           "ssd_writes_per_s", "server_cpu_us_per_op", "full"))
    if not rows:  # a dry run
        return {**empty, "throughput": 1.0}
    total = sum(row["throughput"] for row in rows)

    def mean(key):
        known = [row for row in rows if row.get(key) is not None]
        weight = sum(row["throughput"] for row in known)
        return sum(row[key] * row["throughput"] for row in known) / weight if known else None

    result = {**empty, "throughput": total}
    for key in ("avg_us", "p50_us", "hit_ratio"):
        result[key] = mean(key)
    tails = [row["p99_us"] for row in rows if row.get("p99_us") is not None]
    result["p99_us"] = max(tails) if tails else None
    cpu = [row["server_cpu_us_per_op"] * row["throughput"] for row in rows
           if row.get("server_cpu_us_per_op") is not None]
    if cpu:
        result["server_cpu_us_per_op"] = sum(cpu) / len(cpu) / total
    if len(rows) == 1:
        for key in ("ssd_reads_per_s", "ssd_writes_per_s"):
            result[key] = rows[0].get(key)
    return result


def grouped(hardware, modules, setup):
    """{Served: points}, each server started once."""
    found = {}
    for module in modules:
        for job in module.jobs(setup):
            if hardware.has(job):
                found.setdefault(hardware.served(job), {})[job] = None
    return found


def run(options, modules, setup):
    """The exit status."""
    hardware = Hardware(options)
    chosen = [module for module in modules if module.NUMBER in FIGURES]
    try:
        for served, points in grouped(hardware, chosen, setup).items():
            try:
                hardware.measure(served, points)
            except RemoteFailed as failed:
                hardware.failures.append(str(failed))
        if any(module is figure_06 for module in chosen):
            hardware.fio(setup)
    except RemoteFailed as failed:
        hardware.failures.append(str(failed))
    if options.dry_run:
        return 0
    measured = dataclasses.replace(setup, on=f"{options.server}, {len(options.clients)} clients")
    output.write_all(options.output, chosen, measured, Results(hardware.rows), "on hardware",
                     hardware.failures)
    for failure in hardware.failures:
        print(f"evaluate: {failure}", file=sys.stderr)
    return 1 if hardware.failures else 0
