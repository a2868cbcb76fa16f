"""A grid of workloads, in each a line a system over what is varied: most figures are one."""

from evaluate import charts, limits


def throughput(row):
    return row["throughput"]


def grid(workloads, systems, xs, row, value, axis_label, columns=5):
    """(figure, axes). row(system, workload, x) gives a row or None; markers say what is full."""
    rows = -(-len(workloads) // columns)
    figure, axes = charts.canvas(min(columns, len(workloads)), rows)
    for axis, workload in zip(axes, workloads):
        for system in systems:
            charts.line(axis, system, xs, [row(system, workload, x) for x in xs], value,
                        kinds=limits.full_kind)
        axis.set_title(f"YCSB {workload.upper()}")
        axis.set_ylim(bottom=0)
        charts.count_axis(axis, axis_label if axis is axes[0] else "")
    return figure, axes


def face(setup, machine="the paper's machine, 100 Gb/s"):
    """What a picture says of itself."""
    if setup.on:
        return f"measured: {setup.on}; {setup.says()}"
    return f"simulated: {machine}; {setup.says()}"
