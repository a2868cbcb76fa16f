"""Figure 17: cores."""

from evaluate.figures import bars_and_hits
from evaluate.results import ratio
from evaluate.setup import SYSTEMS, WORKLOADS
from evaluate.tables import Table, number

NUMBER = 17
TITLE = "Cores of the server, 7 SSDs, 64 in flight a core"
KIND = "simulated"
SHOWS = """The weaker the server, the more it matters that GETs need none of it. Published for the
paper's: 2 to 5 times LEED + Ditto with 4 cores, 1 to 2 times with 16."""
CORES = (4, 8, 16)
IN_FLIGHT = 64


def point(setup, system, workload, cores):
    return setup.point(system, workload, cores=cores, in_flight=IN_FLIGHT * cores)


def jobs(setup):
    return [point(setup, s, w, c)
            for w in WORKLOADS for s in SYSTEMS for c in setup.some(CORES)]


def draw(setup, results):
    return bars_and_hits.draw(
        setup, WORKLOADS, SYSTEMS, setup.some(CORES),
        lambda s, w, c: results.row(point(setup, s, w, c)), NUMBER, TITLE, "cores")


def tables(setup, results):
    rows, counts = [], setup.some(CORES)
    for workload in WORKLOADS:
        at = {(s, c): results.value(point(setup, s, workload, c), "throughput")
              for s in SYSTEMS for c in counts}
        rows.append([f"YCSB {workload.upper()}",
                     *(number(ratio(at[top, c], at["leed-ditto", c]))
                       for top in ("scalio", "paper") for c in counts)])
    return [Table("Ratio to LEED + Ditto", [
        "", *(f"{name}, {c} cores" for name in ("Scalio", "paper's") for c in counts)], rows)]
