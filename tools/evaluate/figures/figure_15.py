"""Figure 15: skew."""

from evaluate.figures import bars_and_hits
from evaluate.published import SKEW
from evaluate.results import ratio
from evaluate.tables import Table, beside_published, least_and_most, number

NUMBER = 15
TITLE = "Skew of the keys, 7 SSDs: throughput (bars) and hits (lines)"
KIND = "simulated"
SHOWS = """Keys are drawn from a zipfian distribution over the records themselves, then scrambled,
as the paper's artifact does it; a standard YCSB draws over 10,000,000,000 items and folds them,
which is much flatter. The less skew, the less a cache helps, and the more the SSDs and the cores
before them decide."""
SKEWS = (0.5, 0.9, 0.99, 1.01)
WORKLOADS = ("a", "b", "c", "f")
SYSTEMS = ("scalio", "paper", "leed-ditto", "leed")


def point(setup, system, workload, skew):
    return setup.point(system, workload, skew=skew)


def jobs(setup):
    return [point(setup, s, w, x) for w in WORKLOADS for s in SYSTEMS for x in setup.some(SKEWS)]


def draw(setup, results):
    return bars_and_hits.draw(
        setup, WORKLOADS, SYSTEMS, setup.some(SKEWS),
        lambda s, w, x: results.row(point(setup, s, w, x)), NUMBER, TITLE, "skew")


def tables(setup, results):
    rows = []
    for workload in WORKLOADS:
        for skew in setup.some(SKEWS):
            at = {s: results.value(point(setup, s, workload, skew), "throughput")
                  for s in SYSTEMS}
            hits = results.value(point(setup, "scalio", workload, skew), "hit_ratio")
            rows.append([f"YCSB {workload.upper()}", f"{skew:g}",
                         number(ratio(at["scalio"], at["leed-ditto"])),
                         number(ratio(at["paper"], at["leed-ditto"])), number(hits)])
    return [Table("Ratios, and share of GETs that hit", [
        "", "skew", "Scalio / LEED + Ditto", "paper's / LEED + Ditto", "Scalio's hits"], rows),
            beside_published([pair for w in WORKLOADS for pair in least_and_most(
                SKEW, over_leed_ditto(setup, results, w), f"the paper's, {w.upper()}")])]


def over_leed_ditto(setup, results, workload):
    """The paper's Scalio, by skew."""
    return [ratio(*(results.value(point(setup, s, workload, skew), "throughput")
                    for s in ("paper", "leed-ditto"))) for skew in setup.some(SKEWS)]
