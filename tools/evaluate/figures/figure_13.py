"""Figure 13: what each part of the design brings."""

from evaluate import charts, published
from evaluate.figures import series
from evaluate.results import ratio
from evaluate.setup import WORKLOADS
from evaluate.tables import Table, beside_published, number

NUMBER = 13
TITLE = "What each part brings, 7 SSDs"
KIND = "simulated"
SHOWS = """Scalio's own server, each time with one part more. At first GETs look for the record in
the write slots and read the SSD by the kernel's target on the server's cores; nothing is cached
(this client is the model's, of parts of Scalio's). Then SSDs are read by the NIC's offload; hits
are read from the server's memory; writes share log batches. The scale is logarithmic, and the
ratios are to the step before. The published ratios are of the paper's code, whose baseline is
another one."""
NO_BATCHING, NO_CACHE, NO_OFFLOAD = "--no-batching", "--no-cache", "--no-offload"
STEPS = (("baseline", (NO_OFFLOAD, NO_CACHE, NO_BATCHING), "#bbbbbb"),
         ("+ offloaded read", (NO_CACHE, NO_BATCHING), "#edae49"),
         ("+ inline cache", (NO_BATCHING,), "#30638e"),
         ("+ batched write", (), "#0b6e4f"))


def variant(step):
    """The step's name in the data: the whole is the system itself."""
    name, switches, _ = step
    return "scalio-" + name.strip("+ ").replace(" ", "-") if switches else ""


def point(setup, step, workload):
    return setup.point("scalio", workload, switches=step[1], variant=variant(step))


def jobs(setup):
    return [point(setup, step, w) for w in WORKLOADS for step in STEPS]


def draw(setup, results):
    figure, axes = charts.canvas(1, width=7.5)
    for i, step in enumerate(STEPS):
        values = [results.value(point(setup, step, w), "throughput") or 0 for w in WORKLOADS]
        axes[0].bar([j + (i - 1.5) * 0.2 for j in range(len(WORKLOADS))], values, 0.18,
                    color=step[2], label=step[0])
    if any(bar.get_height() for bar in axes[0].patches):
        charts.log_axis(axes[0])
    axes[0].set_xticks(range(len(WORKLOADS)), [f"YCSB {w.upper()}" for w in WORKLOADS])
    axes[0].set_ylabel("operations/s")
    charts.legend(figure, axes)
    charts.title(figure, NUMBER, TITLE, series.face(setup))
    return figure


def gains(setup, results, workload):
    found = [results.value(point(setup, step, workload), "throughput") for step in STEPS]
    return [ratio(after, before) for before, after in zip(found, found[1:])]


def tables(setup, results):
    by = {w: gains(setup, results, w) for w in WORKLOADS}
    rows = [[f"YCSB {w.upper()}", *(number(results.value(point(setup, step, w), "throughput"))
                                    for step in STEPS), *map(number, by[w])] for w in WORKLOADS]
    pairs = [(published.OFFLOADED_READ, by[w][0], f"{w.upper()}: predicted") for w in WORKLOADS]
    pairs += [(value, by[w][1], "predicted") for w, value in published.INLINE_CACHE.items()]
    pairs += [(published.BATCHED_WRITE, by[w][2], f"{w.upper()}: predicted") for w in "af"]
    return [Table("Operations/s, and each part's gain",
                  ["", *(step[0] for step in STEPS), *(f"gain: {s[0][2:]}" for s in STEPS[1:])],
                  rows), beside_published(pairs)]
