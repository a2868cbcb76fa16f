"""Figure 17: cores."""

from evaluate import published
from evaluate.figures import bars_and_hits, sliced
from evaluate.results import ratio
from evaluate.setup import SYSTEMS, WORKLOADS
from evaluate.tables import Table, beside_published, least_and_most, number

NUMBER = 17
TITLE = "Cores of the server, 7 SSDs, 64 in flight a core"
KIND = "simulated"
SHOWS = """The weaker the server, the more it matters that GETs need none of it. A slice of an SSD
has one thread, so with one slice each seven cores have work. On A and F, where cores are what is
full, Scalio is also shown with SSDs in slices: at least two for each core, and so many that none
has over a sixth more than its share."""
SSDS = 7
CORES = (4, 8, 16)
IN_FLIGHT = 64
ALL_SYSTEMS = (SYSTEMS[0], sliced.NAME, *SYSTEMS[1:])


def shows(system, workload):
    return system != sliced.NAME or workload in sliced.WORKLOADS


def point(setup, system, workload, cores):
    in_flight = IN_FLIGHT * cores
    if system == sliced.NAME:
        return sliced.point(setup, workload, SSDS, cores, in_flight=in_flight)
    return setup.point(system, workload, ssds=SSDS, cores=cores, in_flight=in_flight)


def jobs(setup):
    return [point(setup, s, w, c)
            for w in WORKLOADS for s in ALL_SYSTEMS if shows(s, w) for c in setup.some(CORES)]


def draw(setup, results):
    def row(system, workload, cores):
        if not shows(system, workload):
            return None
        return results.row(point(setup, system, workload, cores))

    return bars_and_hits.draw(setup, WORKLOADS, ALL_SYSTEMS, setup.some(CORES), row, NUMBER, TITLE,
                              "cores")


def tables(setup, results):
    def throughput(system, workload, cores):
        return results.value(point(setup, system, workload, cores), "throughput")

    def of_leed_ditto(top, workload, cores):
        return ratio(throughput(top, workload, cores), throughput("leed-ditto", workload, cores))

    counts = setup.some(CORES)
    tops = {"scalio": "Scalio", sliced.NAME: "in slices", "paper": "paper's"}
    rows = [[f"YCSB {w.upper()}",
             *(number(of_leed_ditto(top, w, c)) if shows(top, w) else "-"
               for top in tops for c in counts)] for w in WORKLOADS]
    papers = {c: [of_leed_ditto("paper", w, c) for w in WORKLOADS] if c in counts else []
              for c in CORES}
    return [
        Table("Ratio to LEED + Ditto",
              ["", *(f"{name}, {c} cores" for name in tops.values() for c in counts)], rows),
        Table("Slices of each SSD", ["", *(f"{c} cores" for c in counts)],
              [["in slices", *(str(sliced.slices(SSDS, c)) for c in counts)]]),
        beside_published([pair for c, value in published.CORES.items()
                          for pair in least_and_most(value, papers[c], "the paper's")])]
