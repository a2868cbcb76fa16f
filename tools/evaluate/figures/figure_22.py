"""Figure 22: what an operation costs in CPU and in energy."""

from evaluate import charts, watts
from evaluate.figures import figure_11, series
from evaluate.results import ratio
from evaluate.setup import SYSTEMS, WORKLOADS
from evaluate.tables import Table, number

NUMBER = 22
TITLE = "CPU-seconds of the server per million operations, and operations a joule; 7 SSDs"
KIND = "simulated"
SHOWS = """CPU-seconds are the model's. Watts are published ones (table): a core draws its share of
the processor's TDP for the time it works, NIC and SSDs draw theirs always. Idle power of the rest
of the server is left out, alike for all, and so are the clients' cores. A thread that polls is
charged for what it does, not for polling, which is for LEED and the paper's Scalio: their cores
would never sleep. So a system that needs no cores and one that is faster both win: the first by
the watts, the second by the time."""
LAST = 7


def point(setup, system, workload):
    return figure_11.point(setup, system, workload, LAST)


def jobs(setup):
    return [point(setup, s, w) for w in WORKLOADS for s in SYSTEMS]


def cpu_seconds(row):
    # Microseconds an operation are seconds a million operations.
    return row["server_cpu_us_per_op"]


def draw(setup, results):
    figure, axes = charts.canvas(2, width=4.6, height=2.8)
    found = [(s, {w: results.row(point(setup, s, w)) for w in WORKLOADS}) for s in SYSTEMS]
    charts.bars(axes[0], WORKLOADS, found, cpu_seconds)
    axes[0].set_ylabel("CPU-seconds a million operations")
    charts.bars(axes[1], WORKLOADS, found, watts.operations_a_joule)
    charts.count_axis(axes[1], "operations a joule")
    for axis in axes:
        axis.set_xticks(range(len(WORKLOADS)), [f"YCSB {w.upper()}" for w in WORKLOADS])
    axes[0].set_yscale("symlog", linthresh=0.01)
    charts.legend(figure, axes)
    charts.title(figure, NUMBER, TITLE, series.face(setup))
    return figure


def tables(setup, results):
    rows = []
    for workload in WORKLOADS:
        at = {s: results.row(point(setup, s, workload)) for s in SYSTEMS}
        for system, row in at.items():
            if row is None or row["server_cpu_us_per_op"] is None:
                continue
            other = at["leed-ditto"]
            less = ratio(other and other["server_cpu_us_per_op"], row["server_cpu_us_per_op"])
            if row["server_cpu_us_per_op"] == 0:
                less = "it needs none"
            rows.append([f"YCSB {workload.upper()}", charts.look(system)[0],
                         number(cpu_seconds(row)), number(less),
                         number(watts.operations_a_joule(row))])
    return [Table("CPU and energy", ["", "system", "CPU-s a million operations",
                                     "LEED + Ditto's / this", "operations a joule"], rows),
            Table("Watts", ["of", "watts", "source"], watts.SOURCES)]
