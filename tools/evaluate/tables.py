"""Tables: what stands under a picture, and the files of data."""

import csv
import dataclasses
import io
import json

from evaluate.job import COLUMNS
from evaluate.published import deviation


@dataclasses.dataclass
class Table:
    """heading, names of columns, rows of text."""

    heading: str
    columns: list
    rows: list


def number(value, digits=3):
    """For people; "-" if not known."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if abs(value) >= 1000:
        return f"{float(f'{value:.{digits}g}'):,.0f}"
    return f"{value:.{digits}g}"


def beside_published(pairs):
    """pairs: [(Published, value, "fitted", "predicted" or "")]."""
    rows = []
    for published, value, how in pairs:
        off = deviation(published, value)
        low, high = number(published.low), number(published.high)
        rows.append([published.what, low if low == high else f"{low} to {high}", published.source,
                     number(value), "-" if off is None else f"{off:+.0%}" if off else "within",
                     how])
    return Table("Published beside predicted (P: the paper, C: computed from it)",
                 ["what", "published", "source", "ours", "deviation", ""], rows)


def ends(values):
    """The least and the most of what is known, to stand beside a range; None twice of nothing."""
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else (None, None)


def least_and_most(published, values, what):
    """Two pairs for beside_published."""
    return [(published, value, f"{what}, {which}: predicted")
            for value, which in zip(ends(values), ("least", "most"))]


def csv_text(rows, more=()):
    """data/figure-NN.csv: COLUMNS, and `more` behind them; what is not known is empty."""
    columns = (*COLUMNS, *more)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([plain(row.get(column)) for column in columns])
    return out.getvalue()


def plain(value):
    """A number with as many digits as it can be believed to have."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{float(f'{value:.6g}'):.15g}"
    return str(value)


def json_text(document):
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
