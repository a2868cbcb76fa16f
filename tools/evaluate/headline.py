"""The headline: 7 SSDs, at the paper's size where that is not too long, with LEED's cores split as
in the paper and as is best for LEED."""

from evaluate import charts, ranges, reach
from evaluate.figures import figure_11, series
from evaluate.results import ratio
from evaluate.setup import SYSTEMS, WORKLOADS
from evaluate.tables import Table, beside_published, number

# LEED's cores for SSDs that the headline runs: the paper's; and what is best for LEED + Ditto or
# for LEED on A or C at the default scale, where all splits are tried. Where the figures are of the
# paper's size the others are there too, and are looked at.
SPLITS = {"leed-ditto": (4, 7), "leed": (4, 5, 7)}
NAME = "headline"
TITLE = "Throughput with 7 SSDs, 8 cores, 512 operations in flight"


def splits(system, workload):
    return SPLITS.get(system, (4,)) if workload in ranges.WORKLOADS else (4,)


def jobs(setup):
    if setup.few:
        return []
    at = setup.of_headline()
    return [*points(at), figure_11.at_published_load(at), *reach.points(at)]


def scale(setup, results):
    """The scale that the headline is at: the figures', if its own points were not run."""
    at = setup.of_headline()
    return at if results.row(at.point("scalio", "c")) else setup


def points(at):
    return [*(ranges.split(at, s, w, n)
              for w in WORKLOADS for s in SYSTEMS for n in splits(s, w)),
            *(figure_11.original_locks(at, s) for s in figure_11.LOCKED)]


def rows(setup, results):
    at = scale(setup, results)
    asked = [*points(at), figure_11.at_published_load(at), *reach.points(at)]
    return [row for point in asked for row in results.rows(point)]


def best(at, results, system, workload):
    """(most operations/s, SSD cores) of a system over the splits that were run; (None, None): no
    other than the paper's was."""
    found = [(results.value(ranges.split(at, system, workload, n), "throughput"), n)
             for n in ranges.SPLITS]
    known = [(value, n) for value, n in found if value]
    return max(known) if len(known) > 1 else (None, None)


def ratio_with_range(setup, results, workload, above, below):
    at = scale(setup, results)
    value = ratio(*(results.value(at.point(s, workload), "throughput") for s in (above, below)))
    least, most = ranges.span(setup, results, workload, above, below)
    if value is None or least is None:
        return number(value)
    return f"{number(value)} ({number(least * value)} to {number(most * value)})"


def table(setup, results):
    at = scale(setup, results)
    cells = []
    for workload in WORKLOADS:
        found = {s: results.value(at.point(s, workload), "throughput") for s in SYSTEMS}
        top = {s: best(at, results, s, workload) for s in SPLITS}
        cells.append([
            f"YCSB {workload.upper()}", *(number(found[s]) for s in SYSTEMS),
            *(f"{number(value)} ({cores})" if value else "-" for value, cores in top.values()),
            *(ratio_with_range(setup, results, workload, "scalio", s) for s in SPLITS),
            *(number(ratio(found["scalio"], value)) for value, _ in top.values()),
            ratio_with_range(setup, results, workload, "paper", "leed-ditto")])
    names = [charts.look(s)[0] for s in SYSTEMS]
    return Table(
        f"The headline: 7 SSDs, 8 cores, 512 in flight, {at.says()}; operations/s and ratios. "
        "Best: with the split of cores that is best for LEED, in brackets its cores for SSDs. "
        "Ranges: as much lower and higher as it is at the figures' scale if any one CPU cost "
        "is 30 % lower or higher, or LEED was fitted at 0.5 or 0.6 M/s",
        ["", *names, *(f"{charts.look(s)[0]}, best" for s in SPLITS),
         *(f"Scalio / {charts.look(s)[0]}" for s in SPLITS),
         *(f"Scalio / {charts.look(s)[0]}, best" for s in SPLITS), "the paper's / LEED + Ditto"],
        cells)


def beside(setup, results):
    at = scale(setup, results)
    return beside_published(figure_11.comparisons(at, results))


def draw(setup, results):
    at = scale(setup, results)
    figure, axes = charts.canvas(1, width=8.5, height=3)
    names = [w.upper() for w in WORKLOADS]
    found = [(system, {w.upper(): results.row(at.point(system, w)) for w in WORKLOADS})
             for system in SYSTEMS]
    found.insert(3, ("leed-ditto-best", {
        w.upper(): {"throughput": best(at, results, "leed-ditto", w)[0]} for w in WORKLOADS}))
    charts.bars(axes[0], names, found, series.throughput)
    axes[0].set_xlabel("YCSB")
    charts.count_axis(axes[0], "operations/s")
    charts.legend(figure, axes, columns=5)
    charts.title(figure, 0, TITLE, series.face(at))
    return figure


def costs(setup, results):
    """Scalio's ratio to LEED + Ditto, and the paper's, with each CPU cost changed."""
    cells = []
    for change in (*ranges.COSTS, ranges.UNSCALED):
        words = [change.what, " and ".join(f"x {f:.3g}" for f in change.factors)]
        for above in ("scalio", "paper"):
            for workload in ranges.WORKLOADS:
                found = ranges.ratios(setup, results, workload, above, "leed-ditto", change)
                words.append(", ".join(map(number, found)))
        cells.append(words)
    return Table("Ratios to LEED + Ditto with one CPU cost changed (SSDs, link and NIC are not), "
                 f"{setup.says()}",
                 ["cost", "changed", *(f"{name}, {w.upper()}" for name in ("Scalio", "the paper's")
                                       for w in ranges.WORKLOADS)], cells)
