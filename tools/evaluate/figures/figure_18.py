"""Figure 18: slots a block."""

from evaluate import published
from evaluate.figures import bars_and_hits
from evaluate.results import ratio
from evaluate.setup import CACHE_BLOCKS, SLOTS, WORKLOADS
from evaluate.tables import Table, beside_published, least_and_most, number

NUMBER = 18
TITLE = "Read slots a block at equal capacity, 7 SSDs: throughput (bars) and hits (lines)"
KIND = "simulated"
SHOWS = """A hit reads its whole block: small blocks move fewer bytes, large ones choose better what
to evict. The number of blocks is changed so that the cache holds as many records; the artifact of
the paper does not vary it."""
SIZES = (4, 8, 16)
SYSTEMS = ("scalio", "paper")


def point(setup, system, workload, slots):
    return setup.point(system, workload, slots=slots,
                       cache_blocks=setup.blocks(CACHE_BLOCKS * SLOTS // slots))


def jobs(setup):
    return [point(setup, s, w, n)
            for w in WORKLOADS for s in SYSTEMS for n in setup.some(SIZES)]


def draw(setup, results):
    return bars_and_hits.draw(
        setup, WORKLOADS, SYSTEMS, setup.some(SIZES),
        lambda s, w, n: results.row(point(setup, s, w, n)), NUMBER, TITLE, "slots a block")


def tables(setup, results):
    sizes = setup.some(SIZES)
    rows = [[f"YCSB {w.upper()}", s,
             *(number(results.value(point(setup, s, w, n), key))
               for key in ("throughput", "hit_ratio", "network_bytes_per_op") for n in sizes)]
            for w in WORKLOADS for s in SYSTEMS]
    return [Table("Operations/s, share of GETs that hit, bytes on the link an operation",
                  ["", "system", *(f"{what}, {n}" for what in ("op/s", "hits", "bytes")
                                   for n in sizes)], rows),
            beside_published([pair for w in WORKLOADS for pair in least_and_most(
                published.SLOTS, of_eight(setup, results, w), f"the paper's, {w.upper()}")])]


def of_eight(setup, results, workload):
    """What the paper's Scalio does with fewer and more slots, of what it does with 8."""
    eight = results.value(setup.point("paper", workload), "throughput")
    return [ratio(results.value(point(setup, "paper", workload, n), "throughput"), eight)
            for n in setup.some(SIZES) if n != SLOTS]
