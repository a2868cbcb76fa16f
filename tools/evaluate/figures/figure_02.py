"""Figure 2: the systems that are there stop scaling at 4 SSDs."""

from evaluate import charts, limits
from evaluate.figures import series
from evaluate.published import SSD_IOS
from evaluate.tables import Table, number

NUMBER = 2
TITLE = "LEED and LEED + Ditto over the number of SSDs, YCSB C"
KIND = "simulated"
SHOWS = """Why Scalio is there. LEED answers every GET by its server's cores, with two I/Os each;
with 4 SSDs these cores are full, and more SSDs add little. LEED + Ditto answers most GETs from a
cache that clients read by themselves, but its misses meet the same cores. The grey line is what the
SSDs alone would allow LEED: two reads a GET."""
SYSTEMS = ("leed", "leed-ditto")


def point(setup, system, ssds):
    return setup.point(system, "c", ssds=ssds)


def jobs(setup):
    return [point(setup, system, ssds) for system in SYSTEMS for ssds in setup.ssds]


def draw(setup, results):
    figure, axes = charts.canvas(1, width=5)
    for system in SYSTEMS:
        charts.line(axes[0], system, setup.ssds,
                    [results.row(point(setup, system, n)) for n in setup.ssds],
                    series.throughput, kinds=limits.full_kind)
    charts.limit(axes[0], setup.ssds, [n * SSD_IOS / 2 for n in setup.ssds],
                 "two reads a GET, all SSDs full")
    axes[0].set_ylim(bottom=0)
    axes[0].set_xlabel("SSDs")
    charts.count_axis(axes[0], "operations/s")
    charts.legend(figure, axes, columns=3, markers=True)
    charts.title(figure, NUMBER, TITLE, series.face(setup))
    return figure


def tables(setup, results):
    last = setup.ssds[-1]
    rows = []
    for system in SYSTEMS:
        four = results.value(point(setup, system, 4), "throughput")
        most = results.value(point(setup, system, last), "throughput")
        rows.append([charts.look(system)[0], number(four), number(most),
                     number(most / four if four and most else None)])
    return [Table("What more than 4 SSDs add", ["system", "4 SSDs", f"{last} SSDs", "ratio"],
                  rows)]
