"""Figure 5: LEED's cores."""

from evaluate import charts, limits
from evaluate.figures import series
from evaluate.published import LEED_C_UNIFORM
from evaluate.tables import beside_published

NUMBER = 5
TITLE = "LEED over the number of SSDs, YCSB C with uniform keys: throughput, and CPU of its server"
KIND = "simulated"
SHOWS = """Nothing is cached and every GET is two I/Os on a core of the server. The SSDs are bound
to 4 cores in turn, so that from 5 SSDs on one core has two. The CPU is that of the whole server, by
what an operation costs. This is the figure to which the one scale of all CPU costs was fitted (its
point at 4 SSDs); everything else on this page is predicted with it."""


def point(setup, ssds):
    return setup.point("leed", "c", ssds=ssds, skew=0)


def jobs(setup):
    return [point(setup, ssds) for ssds in setup.ssds]


def cpu_percent(row):
    """CPU of the server, 100 a core."""
    if row["server_cpu_us_per_op"] is None:
        return None
    return row["throughput"] * row["server_cpu_us_per_op"] / 1e4


def draw(setup, results):
    figure, axes = charts.canvas(2, width=3.6)
    rows = [results.row(point(setup, n)) for n in setup.ssds]
    charts.line(axes[0], "leed", setup.ssds, rows, series.throughput, kinds=limits.full_kind)
    axes[0].axhspan(LEED_C_UNIFORM.low, LEED_C_UNIFORM.high, color="#cccccc", alpha=0.5,
                    label="published plateau")
    charts.count_axis(axes[0], "operations/s")
    charts.line(axes[1], "leed", setup.ssds, rows, cpu_percent)
    axes[1].set_ylabel("CPU of the server, %")
    for axis in axes:
        axis.set_ylim(bottom=0)
        axis.set_xlabel("SSDs")
    charts.legend(figure, axes, markers=True)
    charts.title(figure, NUMBER, TITLE, series.face(setup))
    return figure


def tables(setup, results):
    found = {n: results.value(point(setup, n), "throughput") for n in setup.ssds}
    known = [value for value in found.values() if value]
    return [beside_published([
        (LEED_C_UNIFORM, found.get(4), "at 4 SSDs: fitted"),
        (LEED_C_UNIFORM, max(known) if known else None, "the most: predicted")])]
