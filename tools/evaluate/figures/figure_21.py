"""Figure 21: larger values and full stores: what is written for what is stored."""

from evaluate import charts
from evaluate.job import Measurement
from evaluate.tables import Table, number

NUMBER = 21
TITLE = "Bytes written to SSDs per byte of records, uniform PUTs"
KIND = "measured"
SHOWS = """Every PUT replaces a record chosen at random among all: the worst case for whatever
gathers writes. Bytes are counted at the devices (of Scalio: log, images of buckets and buckets;
of LEED: values, buckets, and what compaction moves). "Full" is the share of the store's room
that records take, which for LEED decides how much compaction copies. Counted, so it does not
depend on this machine's speed; but at the default scale the store is small (32 MiB of records),
and the free room at which LEED begins to compact, which is fixed, weighs more than in a large
one."""
VALUES = (512, 1024, 4096)
FULL = (70, 80, 90)
SYSTEMS = ("scalio", "leed")
# Of its data, behind those of all figures.
COLUMNS = ("value_size", "store_full_percent", "written_per_byte")


def job(setup, system, value, full):
    return Measurement(f"bytes written by {system}", (
        "written", "--system", system, "--value-size", str(value), "--full", str(full),
        "--scale", setup.name))


def fills(setup):
    return FULL[:1] if setup.few else FULL


def sizes(setup):
    return VALUES[:1] if setup.few else VALUES


def jobs(setup):
    return [job(setup, s, v, f) for s in SYSTEMS for v in sizes(setup) for f in fills(setup)]


def row_of(setup, results, system, value, full):
    rows = results.rows(job(setup, system, value, full))
    return rows[0] if rows else None


def amplification(row):
    return row.get("written_per_byte")


def draw(setup, results):
    figure, axes = charts.canvas(len(fills(setup)), width=3.2)
    for axis, full in zip(axes, fills(setup)):
        found = [(s, {v: row_of(setup, results, s, v, full) for v in sizes(setup)})
                 for s in SYSTEMS]
        charts.bars(axis, sizes(setup), found, amplification)
        axis.set_title(f"{full} % full")
        axis.set_xlabel("value, bytes")
        axis.set_ylabel("bytes written a byte" if axis is axes[0] else "")
    charts.legend(figure, axes)
    charts.title(figure, NUMBER, TITLE, "measured: counted at the devices, on this machine")
    return figure


def tables(setup, results):
    rows = []
    for full in fills(setup):
        for system in SYSTEMS:
            found = [row_of(setup, results, system, v, full) for v in sizes(setup)]
            rows.append([f"{full} %", charts.look(system)[0],
                         *(number(row and amplification(row)) for row in found)])
    return [Table("Bytes written per byte of records", [
        "full", "system", *(f"{v} B" for v in sizes(setup))], rows)]
