"""Figure 14: latency, at equal load."""

from evaluate import charts
from evaluate.figures import series
from evaluate.published import UNBATCHED_LATENCY
from evaluate.results import ratio
from evaluate.setup import WORKLOADS
from evaluate.tables import Table, beside_published, number

NUMBER = 14
TITLE = "Latency over throughput, by operations in flight, 7 SSDs"
KIND = "simulated"
SHOWS = """Along a line the operations in flight grow: 32, 64, 128, 256, 512, and for Scalio on to
2,048 (markers from left to right). Further right is more throughput, further down is less latency.
The paper compares averages at unequal load; the tables compare at the same operations in flight,
and at the throughput that LEED + Ditto reaches at its most."""
# In flight: operations that clients put in one message.
LOADS = {32: 2, 64: 4, 128: 8, 256: 8, 512: 8}
BEYOND = {1024: 8, 2048: 8}
SYSTEMS = ("scalio", "scalio-unbatched", "paper-unbatched", "leed-ditto", "leed")
UNBATCHED = {"scalio-unbatched": "scalio", "paper-unbatched": "paper"}
# What is published without batching is 0.7 to 0.8 of LEED + Ditto's latency at 2 to 3 times its
# throughput: by Little's law 1.4 to 2.4 times as many in flight. Here twice: (the paper's, its).
AT = (256, 128)
KINDS = (("avg_us", "average"), ("p50_us", "p50"), ("p99_us", "p99"))


def loads(setup, system):
    """In flight: operations of one message."""
    most = {**LOADS, **BEYOND} if system == "scalio" else LOADS
    return {n: most[n] for n in (32, 512)} if setup.few else most


def point(setup, system, workload, in_flight):
    if system in UNBATCHED:
        return setup.point(UNBATCHED[system], workload, in_flight=in_flight, batch=1,
                           switches=("--no-batching",), variant=system)
    return setup.point(system, workload, in_flight=in_flight, batch=loads(setup, system)[in_flight])


def jobs(setup):
    return [point(setup, s, w, n) for w in WORKLOADS for s in SYSTEMS for n in loads(setup, s)]


def draw(setup, results):
    figure, axes = charts.canvas(len(WORKLOADS), len(KINDS), height=2.1)
    for i, (key, label) in enumerate(KINDS):
        for j, workload in enumerate(WORKLOADS):
            axis = axes[i * len(WORKLOADS) + j]
            for system in SYSTEMS:
                rows = [results.row(point(setup, system, workload, n))
                        for n in loads(setup, system)]
                rows = [row for row in rows if row is not None]
                charts.line(axis, system, [row["throughput"] for row in rows], rows,
                            lambda row, key=key: row[key])
            charts.log_axis(axis)
            axis.xaxis.set_major_locator(charts.MaxNLocator(4))
            axis.xaxis.set_major_formatter(charts.FuncFormatter(charts.amount))
            axis.tick_params(axis="x", labelsize=7)
            if i == 0:
                axis.set_title(f"YCSB {workload.upper()}")
            if i == len(KINDS) - 1:
                axis.set_xlabel("operations/s")
            if j == 0:
                axis.set_ylabel(f"{label}, us")
    charts.legend(figure, axes)
    charts.title(figure, NUMBER, TITLE, series.face(setup))
    return figure


def at_throughput(rows, wanted, key):
    """Latency at a throughput, between the two points around it; None if it is not reached."""
    rows = sorted((row["throughput"], row[key]) for row in rows if row and row[key] is not None)
    if not rows or wanted > rows[-1][0]:
        return None
    if wanted <= rows[0][0]:
        return rows[0][1]
    for (x0, y0), (x1, y1) in zip(rows, rows[1:]):
        if wanted <= x1:
            return y0 + (y1 - y0) * (wanted - x0) / (x1 - x0)
    return None


def tables(setup, results):
    def rows_of(system, workload):
        return [results.row(point(setup, system, workload, n)) for n in loads(setup, system)]

    flight, load = [], []
    for workload in WORKLOADS:
        for system in SYSTEMS:
            row = results.row(point(setup, system, workload, 512))
            flight.append([f"YCSB {workload.upper()}", charts.look(system)[0],
                           *(number(row and row[k]) for k in ("throughput", "avg_us", "p50_us",
                                                              "p99_us"))])
        known = [r["throughput"] for r in rows_of("leed-ditto", workload) if r]
        if known:
            most = max(known)
            load += [[f"YCSB {workload.upper()}", charts.look(system)[0], number(most),
                      *(number(at_throughput(rows_of(system, workload), most, k))
                        for k, _ in KINDS)]
                     for system in SYSTEMS[:-1]]
    heads = ["", "system", "operations/s", "average, us", "p50, us", "p99, us"]
    return [Table("At equal operations in flight: 512", heads, flight),
            Table("At equal throughput: the most of LEED + Ditto", heads, load),
            unbatched(setup, results)]


def unbatched(setup, results):
    """The paper's Scalio without batching beside what is published of it."""
    pairs = []
    for workload in WORKLOADS:
        rows = [results.row(point(setup, s, workload, n)) if n in loads(setup, s) else None
                for s, n in zip(("paper-unbatched", "leed-ditto"), AT)]
        latency, throughput = (ratio(*(row and row[key] for row in rows))
                               for key in ("avg_us", "throughput"))
        pairs.append((UNBATCHED_LATENCY, latency,
                      f"the paper's, {workload.upper()}, {AT[0]} in flight of {AT[1]}, at "
                      f"{number(throughput)} times the throughput: predicted"))
    return beside_published(pairs)
