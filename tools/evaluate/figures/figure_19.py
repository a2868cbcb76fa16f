"""Figure 19: beyond the paper, up to 36 SSDs on a BlueField-3."""

from evaluate import charts, limits
from evaluate.figures import series
from evaluate.setup import SYSTEMS, WORKLOADS
from evaluate.tables import Table, number

NUMBER = 19
TITLE = "1 to 36 SSDs of 1 M reads/s on a BlueField-3: 16 Arm cores, 400 Gb/s"
KIND = "simulated"
SHOWS = """Beyond the paper. With every SSD come 128 operations in flight more, of all systems
alike, so that waiting is no limit. A marker says what is full at its point; the table names it."""
SSDS = (1, 2, 4, 8, 16, 24, 36)
CORES = 16


def counts(setup):
    return setup.some(SSDS)


def point(setup, system, workload, ssds):
    return setup.point(system, workload, machine="bluefield3", ssds=ssds, cores=CORES,
                       in_flight=max(512, 128 * ssds))


def jobs(setup):
    return [point(setup, s, w, n) for w in WORKLOADS for s in SYSTEMS for n in counts(setup)]


def draw(setup, results):
    figure, axes = series.grid(
        WORKLOADS, SYSTEMS, counts(setup),
        lambda s, w, n: results.row(point(setup, s, w, n)), series.throughput, "operations/s")
    for axis in axes:
        axis.set_xlabel("SSDs")
    charts.legend(figure, axes, columns=5, markers=True)
    charts.title(figure, NUMBER, TITLE, series.face(setup, "BlueField-3, 400 Gb/s"))
    return figure


def tables(setup, results):
    rows = []
    for workload in WORKLOADS:
        for system in SYSTEMS:
            found = [results.row(point(setup, system, workload, n)) for n in counts(setup)]
            rows.append([f"YCSB {workload.upper()}", charts.look(system)[0],
                         *(f"{number(row['throughput'])} ({limits.full_kind(row) or 'nothing'})"
                           if row else "-" for row in found)])
    return [Table("Operations/s, and what is full",
                  ["", "system", *(f"{n} SSDs" for n in counts(setup))], rows)]
