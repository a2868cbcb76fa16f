"""How pictures look, and how they are written: the same data give the same bytes."""

import io
import re
import textwrap

import matplotlib

matplotlib.use("svg")

# pylint: disable=wrong-import-position
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator  # noqa: E402

# What a system is called in pictures, its colour and its line. A variant of a system is dashed.
SYSTEMS = {
    "scalio": ("Scalio", "#0b6e4f", "-"),
    "scalio-200g": ("Scalio, 200 Gb/s", "#0b6e4f", "--"),
    "scalio-sliced": ("Scalio, SSDs in slices", "#0b6e4f", "--"),
    "scalio-unbatched": ("Scalio, no batching", "#0b6e4f", ":"),
    "paper": ("the paper's Scalio", "#d1495b", "-"),
    "paper-unbatched": ("the paper's Scalio, no batching", "#d1495b", ":"),
    "paper-200g": ("the paper's Scalio, 200 Gb/s", "#d1495b", "--"),
    "leed-ditto": ("LEED + Ditto", "#30638e", "-"),
    "leed-ditto-200g": ("LEED + Ditto, 200 Gb/s", "#30638e", "--"),
    "leed-ditto-adaptive": ("LEED + Ditto, adaptive", "#30638e", ":"),
    "leed-ditto-best": ("LEED + Ditto, its best split of cores", "#30638e", "--"),
    "leed-ditto-original-locks": ("LEED + Ditto, its locks as published", "#30638e", ":"),
    "leed": ("LEED", "#edae49", "-"),
    "leed-original-locks": ("LEED, its locks as published", "#edae49", ":"),
    "nvmf-standard": ("standard target", "#30638e", "-"),
    "nvmf-offloaded": ("offloaded target", "#0b6e4f", "-"),
}
OTHERS = ("#6a4c93", "#8d6a9f", "#5c6b73", "#9a8c98", "#c08552", "#7d8597")

# The marker of a point says what is full there.
MARKERS = {"core": "s", "ssd": "o", "link": "^", "offload": "v", "client": "X", "": "D"}
MARKER_NAMES = {"core": "a server core", "ssd": "SSDs", "link": "the link or NIC",
                "offload": "the offload engine", "client": "clients' cores", "": "nothing"}

matplotlib.rcParams.update({
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.alpha": 0.3, "lines.linewidth": 1.6, "lines.markersize": 4.5,
    "axes.titlesize": 9.5, "legend.frameon": False, "figure.dpi": 100, "axes.axisbelow": True})


def look(system):
    """(label, colour, line) of a system, also of one that no table has."""
    if system in SYSTEMS:
        return SYSTEMS[system]
    # Such as leed-4x.
    for name in sorted(SYSTEMS, key=len, reverse=True):
        if system.startswith(name + "-"):
            return system, SYSTEMS[name][1], "--"
    return system, OTHERS[sum(map(ord, system)) % len(OTHERS)], "-"


def canvas(columns, rows=1, width=2.9, height=2.5):
    """(figure, list of axes), row by row. There is room for a title and a legend."""
    figure, axes = pyplot.subplots(rows, columns, squeeze=False, layout="constrained",
                                   figsize=(max(5.5, width * columns), height * rows + 0.9))
    return figure, [axis for row in axes for axis in row]


def amount(value, _position=None):
    """A number with K or M, as short as can be."""
    if value is None:
        return "-"
    for unit, letter in ((1e6, " M"), (1e3, " K")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"


def count_axis(axis, label):
    axis.yaxis.set_major_formatter(FuncFormatter(amount))
    axis.set_ylabel(label)


def line(axis, system, xs, rows, value, kinds=None):
    """A series: value(row) over xs; rows may be None where there is no result.

    kinds: what is full at each row, shown by the marker.
    """
    label, colour, style = look(system)
    known = [(x, value(row), row) for x, row in zip(xs, rows)
             if row is not None and value(row) is not None]
    if not known:
        return
    axis.plot([k[0] for k in known], [k[1] for k in known], style, color=colour, label=label,
              marker=None if kinds else "o")
    if kinds:
        for x, y, row in known:
            axis.plot([x], [y], MARKERS[kinds(row)], color=colour)


def limit(axis, xs, ys, label):
    """A line that nothing can be above."""
    axis.plot(xs, ys, color="#888888", linestyle=(0, (1, 1)), linewidth=1.2, label=label)


def bars(axis, groups, series, value):
    """Bars in groups: series is [(system, {group: row})]."""
    wide = 0.8 / max(1, len(series))
    for i, (system, rows) in enumerate(series):
        label, colour, style = look(system)
        found = [(j, value(rows[group])) for j, group in enumerate(groups)
                 if rows.get(group) is not None and value(rows[group]) is not None]
        axis.bar([j + (i - (len(series) - 1) / 2) * wide for j, _ in found],
                 [y for _, y in found], wide * 0.92, color=colour, label=label,
                 alpha=1 if style == "-" else 0.5)
    axis.set_xticks(range(len(groups)), [str(group) for group in groups])


def legend(figure, axes, columns=4, markers=False):
    """One legend under all axes."""
    seen = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels()):
            seen.setdefault(label, handle)
    if markers:
        for kind, marker in MARKERS.items():
            label = f"full: {MARKER_NAMES[kind]}"
            seen[label] = axes[0].plot([], [], marker, color="#888888")[0]
    columns = min(columns, max(1, len(seen)))
    room = (0.08 + 0.18 * -(-len(seen) // columns)) / figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, room, 1, 1 - room))
    figure.legend(seen.values(), seen.keys(), loc="lower center", ncols=columns, fontsize=8)


def log_axis(axis):
    """A logarithmic y axis, with as many numbers as can be read."""
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(amount))
    axis.yaxis.set_minor_locator(NullLocator())


def title(figure, number, text, face):
    """The heading: what it is, and on its face whether it is measured or simulated."""
    columns = int(figure.get_figwidth() * 13)
    text = f"Figure {number}. {text}" if number else text
    lines = [*textwrap.wrap(text, columns), *textwrap.wrap(face, columns)]
    figure.suptitle("\n".join(lines), fontsize=9.5, x=0.01, ha="left")


def svg(figure, number):
    """The picture as bytes; closes it. Nothing in them depends on when or where."""
    out = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": f"figure-{number}"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    names = {}
    # Some names of clip paths come from addresses in memory.
    for i, name in enumerate(re.findall(rb'<clipPath id="([^"]+)"', out.getvalue())):
        names[name] = b"clip-%d" % i
    content = re.sub(rb'(?<=[#"])[a-z][0-9a-f]{10}(?=[")])',
                     lambda match: names.get(match.group(0), match.group(0)), out.getvalue())
    # Hundredths of a point are enough; and matplotlib leaves blanks at the ends of lines.
    short = re.sub(rb"(?<=[\d])(\.\d\d)\d+", rb"\1", content)
    return b"\n".join(text.rstrip() for text in short.split(b"\n"))
