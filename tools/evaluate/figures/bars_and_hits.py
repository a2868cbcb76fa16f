"""Throughput as bars, hit ratio as lines, in a grid of workloads: figures 15 to 18."""

from evaluate import charts
from evaluate.figures import series


def draw(setup, workloads, systems, groups, row, number, title, label):
    """row(system, workload, group) gives a row or None."""
    figure, axes = charts.canvas(len(workloads))
    hits = []
    for axis, workload in zip(axes, workloads):
        found = [(s, {g: row(s, workload, g) for g in groups}) for s in systems]
        charts.bars(axis, groups, found, series.throughput)
        axis.set_title(f"YCSB {workload.upper()}")
        axis.set_xlabel(label)
        charts.count_axis(axis, "operations/s" if axis is axes[0] else "")
        other = axis.twinx()
        hits.append(other)
        for system, rows in found:
            known = [(i, rows[g]["hit_ratio"]) for i, g in enumerate(groups)
                     if rows[g] is not None and rows[g]["hit_ratio"] is not None]
            if known and any(value for _, value in known):
                other.plot([k[0] for k in known], [k[1] for k in known], ".--", linewidth=1,
                           color=charts.look(system)[1])
        other.set_ylim(0, 1)
        other.grid(False)
        other.spines["right"].set_visible(True)
        other.set_ylabel("share of GETs that hit" if axis is axes[-1] else "")
    charts.legend(figure, axes)
    charts.title(figure, number, title, series.face(setup))
    return figure
