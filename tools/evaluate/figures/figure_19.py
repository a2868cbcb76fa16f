"""Figure 19: beyond the paper, up to 36 SSDs on a BlueField-3."""

from evaluate import charts, limits
from evaluate.figures import series, sliced
from evaluate.setup import SYSTEMS, WORKLOADS
from evaluate.tables import Table, number

NUMBER = 19
TITLE = "1 to 36 SSDs of 1 M reads/s on a BlueField-3: 16 Arm cores, 400 Gb/s"
KIND = "simulated"
SHOWS = """Beyond the paper. With every SSD come 128 operations in flight more, of all systems
alike, so that waiting is no limit. A marker says what is full at its point; the table names it. Of
the 16 cores LEED has half for its SSDs, as of the paper's 8; no other split was tried here. With
more SSDs than cores, but not a multiple of them, some cores have twice the work of others, or half
as much again: there, on A and F, Scalio is also shown with SSDs in slices, as in figure 17."""
SSDS = (1, 2, 4, 8, 16, 24, 36)
SLICED = (24, 36)
CORES = 16
ALL_SYSTEMS = (SYSTEMS[0], sliced.NAME, *SYSTEMS[1:])


def counts(setup):
    return setup.some(SSDS)


def shows(system, workload, ssds):
    return system != sliced.NAME or (workload in sliced.WORKLOADS and ssds in SLICED)


def point(setup, system, workload, ssds):
    settings = {"machine": "bluefield3", "in_flight": max(512, 128 * ssds)}
    if system == sliced.NAME:
        return sliced.point(setup, workload, ssds, CORES, **settings)
    return setup.point(system, workload, ssds=ssds, cores=CORES, **settings)


def jobs(setup):
    return [point(setup, s, w, n) for w in WORKLOADS for s in ALL_SYSTEMS for n in counts(setup)
            if shows(s, w, n)]


def row_of(setup, results, system, workload, ssds):
    if not shows(system, workload, ssds):
        return None
    return results.row(point(setup, system, workload, ssds))


def draw(setup, results):
    figure, axes = series.grid(
        WORKLOADS, ALL_SYSTEMS, counts(setup),
        lambda s, w, n: row_of(setup, results, s, w, n), series.throughput, "operations/s")
    for axis in axes:
        axis.set_xlabel("SSDs")
    charts.legend(figure, axes, columns=5, markers=True)
    charts.title(figure, NUMBER, TITLE, series.face(setup, "BlueField-3, 400 Gb/s"))
    return figure


def tables(setup, results):
    rows = []
    for workload in WORKLOADS:
        for system in ALL_SYSTEMS:
            if not any(shows(system, workload, n) for n in counts(setup)):
                continue
            found = [row_of(setup, results, system, workload, n) for n in counts(setup)]
            rows.append([f"YCSB {workload.upper()}", charts.look(system)[0],
                         *(f"{number(row['throughput'])} ({limits.full_kind(row) or 'nothing'})"
                           if row else "-" for row in found)])
    return [Table("Operations/s, and what is full",
                  ["", "system", *(f"{n} SSDs" for n in counts(setup))], rows)]
