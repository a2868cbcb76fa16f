"""Figure 6: what a target of NVMe over Fabrics costs its server."""

from evaluate import charts
from evaluate.figures import series
from evaluate.figures.figure_05 import cpu_percent
from evaluate.job import Measurement
from evaluate.published import OFFLOADED_CPU, SSD_IOS, STANDARD_CPU
from evaluate.setup import FITTED_SCALE
from evaluate.tables import Table, beside_published, number

NUMBER = 6
TITLE = "Reads of SSDs over NVMe-oF: a target on the server's cores, and one in the NIC"
KIND = "simulated, and measured"
SHOWS = """As fio reads: depth 32, one job an SSD. What reads is GETs without a cache, each one
read of a bucket of an SSD by the client; the paper has fio read 512 B. Published, both targets
reach the same reads a second, which is not how many. The price of the kernel's target is not
scaled: no code of LEED's is in it. With the scale it takes the CPU that the table has last, which
is all there is. What is in flight limits both. The second table is our own small
NVMe/TCP target, which stands in where there is no offload, measured on this machine from memory and
over loopback."""
# GETs of Scalio without a cache: each is one read of an SSD by a client, through either target.
SYSTEMS = {"nvmf-standard": ("--no-cache", "--no-offload"), "nvmf-offloaded": ("--no-cache",)}
DEPTH = 32


def point(setup, system, ssds):
    """In threads of 4: a GET is more work for a client's core than a read of fio."""
    return setup.point("scalio", "c", ssds=ssds, skew=0, in_flight=DEPTH * ssds, batch=4,
                       switches=SYSTEMS[system], variant=system)


def scaled(setup):
    """The standard target with its price scaled as all others are."""
    return setup.point("scalio", "c", ssds=setup.ssds[-1], skew=0,
                       in_flight=DEPTH * setup.ssds[-1], batch=4,
                       switches=SYSTEMS["nvmf-standard"], costs=(("target-io", FITTED_SCALE),),
                       variant="nvmf-standard-scaled")


def measured(setup):
    return Measurement("the embedded target", ("embedded-target", "--scale", setup.name))


def jobs(setup):
    points = [point(setup, s, n) for s in SYSTEMS for n in setup.ssds]
    return [*points, scaled(setup), measured(setup)]


def draw(setup, results):
    figure, axes = charts.canvas(2, width=3.6)
    for system in SYSTEMS:
        rows = [results.row(point(setup, system, n)) for n in setup.ssds]
        charts.line(axes[0], system, setup.ssds, rows, series.throughput)
        charts.line(axes[1], system, setup.ssds, rows, cpu_percent)
    charts.limit(axes[0], setup.ssds, [n * SSD_IOS for n in setup.ssds], "the makers' line")
    axes[1].plot([7], [STANDARD_CPU.low], "*", color="#d1495b", markersize=10,
                 label="published: 562 %")
    charts.count_axis(axes[0], "reads/s")
    axes[1].set_ylabel("CPU of the server, %")
    for axis in axes:
        axis.set_ylim(bottom=0)
        axis.set_xlabel("SSDs")
    charts.legend(figure, axes)
    charts.title(figure, NUMBER, TITLE, series.face(setup))
    return figure


def tables(setup, results):
    last = setup.ssds[-1]
    cpu = {}
    asked = {"scaled": scaled(setup), **{s: point(setup, s, last) for s in SYSTEMS}}
    for system, one in asked.items():
        row = results.row(one)
        cpu[system] = None if row is None else cpu_percent(row)
    here = [[row["system"], number(row["in_flight"]), number(row["throughput"]),
             number(row.get("p50_us")), number(row.get("server_cpu_us_per_op"))]
            for row in results.rows(measured(setup))]
    return [beside_published([(STANDARD_CPU, cpu["nvmf-standard"], "predicted"),
                              (OFFLOADED_CPU, cpu["nvmf-offloaded"], "predicted"),
                              (STANDARD_CPU, cpu["scaled"], "with the fitted scale")]),
            Table("The embedded target, measured on this machine",
                  ["read", "depth", "reads/s", "p50, us", "CPU of the target, us a read"],
                  here)]
