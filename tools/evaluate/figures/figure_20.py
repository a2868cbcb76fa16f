"""Figure 20: this machine, measured."""

from evaluate import charts
from evaluate.job import Measurement
from evaluate.tables import Table, number

NUMBER = 20
TITLE = "All systems and rivals on this machine"
KIND = "measured"
SHOWS = """Real servers, clients and files on this machine, one after the other: what it measures is
this machine's CPU and disk, which all share with the clients. Latency and throughput depend on
both; CPU and I/Os an operation are the systems' own. Memory is equal for all. Records have 16 B +
200 B. Rivals are held to their memory by a control group where one can be made, which the second
table says; the systems have no more than their caches. "-4x" behind a name means that they take
four times the memory that a system has for them, else it has three times what they take. The
systems, rocksdb and redis acknowledge a write when it survives a power cut; the others promise
less, and only equal ones should be compared."""
SYSTEMS = ("scalio", "paper", "leed-ditto", "leed-ditto-adaptive", "leed")
RIVALS = ("rocksdb", "rocksdb-nosync", "redis", "redis-memory", "memcached")
WORKLOADS = ("a", "b", "c")
# Of its data, behind those of all figures.
COLUMNS = ("memory_limit",)


def jobs(setup):
    return [Measurement(name, (kind, "--system", name, "--workloads", "".join(WORKLOADS),
                               "--scale", setup.name))
            for kind, names in (("systems", SYSTEMS), ("rival", RIVALS)) for name in names]


def rows_of(setup, results):
    return [row for job in jobs(setup) for row in results.rows(job)]


def draw(setup, results):
    rows = rows_of(setup, results)
    workloads = [w for w in WORKLOADS if any(row["workload"] == w for row in rows)] or ["-"]
    figure, axes = charts.canvas(len(workloads), 2, width=3.6, height=3)
    keys = (("throughput", "operations/s"), ("server_cpu_us_per_op", "server CPU, us an operation"))
    for i, (key, label) in enumerate(keys):
        for j, workload in enumerate(workloads):
            axis = axes[i * len(workloads) + j]
            found = [row for row in rows if row["workload"] == workload
                     and row.get(key) is not None]
            names = [row["system"] for row in found][::-1]
            axis.barh(range(len(names)), [row[key] for row in found][::-1],
                      color=[charts.look(name)[1] for name in names])
            axis.set_yticks(range(len(names)), names, fontsize=7)
            axis.xaxis.set_major_locator(charts.MaxNLocator(4))
            axis.xaxis.set_major_formatter(charts.FuncFormatter(charts.amount))
            axis.set_xlabel(label)
            if i == 0:
                axis.set_title(f"YCSB {workload.upper()}")
    charts.title(figure, NUMBER, TITLE, "measured on this machine; clients share its cores")
    return figure


def tables(setup, results):
    rows = [[row["system"], str(row.get("workload") or "-").upper(), number(row["throughput"]),
             *(number(row.get(key)) for key in ("p50_us", "p99_us", "hit_ratio",
                                                "server_cpu_us_per_op")),
             number(per_op(row, "ssd_reads_per_s")), number(per_op(row, "ssd_writes_per_s"))]
            for row in rows_of(setup, results)]
    return [Table("Measured here", ["system", "YCSB", "operations/s", "p50, us", "p99, us", "hits",
                                    "server CPU, us/op", "SSD reads/op", "SSD writes/op"], rows),
            Table("What held each rival to its memory", ["system", "limit"], list(map(
                list, limits(setup, results).items())))]


def limits(setup, results):
    """By system; what was started without one is not in it."""
    return {row["system"]: row["memory_limit"] for row in rows_of(setup, results)
            if row.get("memory_limit")}


def per_op(row, key):
    return None if row.get(key) is None else row[key] / row["throughput"]
