"""Figure 12: how much of the SSDs each system uses."""

from evaluate import charts
from evaluate.figures import figure_11, series
from evaluate.published import SSD_IOS
from evaluate.setup import SYSTEMS, WORKLOADS
from evaluate.tables import Table, number

NUMBER = 12
TITLE = "SSD I/Os a second over the number of SSDs, counted at the devices"
KIND = "simulated"
SHOWS = """The grey line is what the SSDs' maker promises: 500,000 I/Os a second each. A system near
it is limited by its SSDs. One below it is limited by something else, or needs fewer I/Os because
its cache absorbs them: see figure 11 for what it achieves with them. The paper computes its I/Os
from counters of operations; the table has both where there are both."""


def jobs(setup):
    return [figure_11.point(setup, s, w, n)
            for w in WORKLOADS for s in SYSTEMS for n in setup.ssds]


def ios(row):
    if row["ssd_reads_per_s"] is None:
        return None
    return row["ssd_reads_per_s"] + (row["ssd_writes_per_s"] or 0)


def draw(setup, results):
    figure, axes = series.grid(
        WORKLOADS, SYSTEMS, setup.ssds,
        lambda s, w, n: results.row(figure_11.point(setup, s, w, n)), ios, "SSD I/Os/s")
    for axis in axes:
        charts.limit(axis, setup.ssds, [n * SSD_IOS for n in setup.ssds], "the makers' line")
        axis.set_xlabel("SSDs")
    charts.legend(figure, axes, columns=5, markers=True)
    charts.title(figure, NUMBER, TITLE, series.face(setup))
    return figure


def tables(setup, results):
    rows = []
    for workload in WORKLOADS:
        for system in SYSTEMS:
            row = results.row(figure_11.point(setup, system, workload, setup.ssds[-1]))
            if row is not None:
                rows.append([f"YCSB {workload.upper()}", charts.look(system)[0],
                             number(row["ssd_reads_per_s"]), number(row["ssd_writes_per_s"]),
                             number(ios(row)), number(row.get("ssd_ios_per_s_by_formula"))])
    return [Table(f"{setup.ssds[-1]} SSDs", ["", "system", "reads/s", "writes/s",
                                             "I/Os/s at the devices", "by the paper's formula"],
                  rows)]
