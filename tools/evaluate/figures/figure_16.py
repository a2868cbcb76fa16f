"""Figure 16: more records, the cache as it is."""

from evaluate.figures import bars_and_hits
from evaluate.published import RECORDS
from evaluate.results import ratio
from evaluate.tables import Table, beside_published, number

NUMBER = 16
TITLE = "Records, 7 SSDs, the cache as it is: throughput (bars) and hits (lines)"
KIND = "simulated"
SHOWS = """The names of the groups are the published sizes in millions; at a smaller scale records
and cache are divided alike, by one factor for all points, so that the largest fits 20 GiB of
memory. Beyond 80 M is beyond the paper. LEED keeps 5 bytes of memory a bucket,
Scalio none a record."""
MILLIONS = (20, 40, 60, 80, 160)
PUBLISHED = (20, 80)
WORKLOADS = ("a", "b", "c", "f")
SYSTEMS = ("scalio", "paper", "leed-ditto", "leed")


def scale(setup):
    """One for all its points: the largest has to fit."""
    return setup.fitting(MILLIONS[-1] * 1_000_000)


def point(setup, system, workload, millions):
    setup = scale(setup)
    return setup.point(system, workload, records=setup.records(millions * 1_000_000))


def sizes(setup):
    return MILLIONS[:2] if setup.few else MILLIONS


def jobs(setup):
    return [point(setup, s, w, m) for w in WORKLOADS for s in SYSTEMS for m in sizes(setup)]


def draw(setup, results):
    return bars_and_hits.draw(
        scale(setup), WORKLOADS, SYSTEMS, sizes(setup),
        lambda s, w, m: results.row(point(setup, s, w, m)), NUMBER, TITLE, "records, millions")


def tables(setup, results):
    rows = []
    for workload in WORKLOADS:
        for system in SYSTEMS:
            found = [results.row(point(setup, system, workload, m)) for m in sizes(setup)]
            rows.append([f"YCSB {workload.upper()}", system,
                         *(number(row and row["throughput"]) for row in found),
                         *(number(row and row["hit_ratio"]) for row in found)])
    return [Table("Operations/s and share of GETs that hit",
                  ["", "system", *(f"{m} M" for m in sizes(setup)),
                   *(f"hits, {m} M" for m in sizes(setup))], rows),
            beside_published([(RECORDS, kept(setup, results, w), f"the paper's, {w.upper()}: "
                               "predicted") for w in WORKLOADS])]


def kept(setup, results, workload):
    """What the paper's Scalio does with the most records that are published, of what with fewest;
    None at a scale that has not both."""
    if PUBLISHED[1] not in sizes(setup):
        return None
    few, many = (results.value(point(setup, "paper", workload, m), "throughput")
                 for m in PUBLISHED)
    return ratio(many, few)
