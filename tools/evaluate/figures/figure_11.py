"""Figure 11: the headline. Throughput over the number of SSDs."""

from evaluate import charts, published
from evaluate.figures import series
from evaluate.results import ratio
from evaluate.setup import SYSTEMS, WORKLOADS
from evaluate.tables import Table, number

NUMBER = 11
TITLE = "Throughput over the number of SSDs"
KIND = "simulated"
SHOWS = """All systems with the same 512 operations in flight, 8 cores and cache. A marker says what
is full at its point. "The paper's Scalio" is the design of the paper, built apart: if its published
speed-ups come out, the model can be believed of the rest. What is published stands beside the
headline."""
LAST = 7
# By Little's law, what LEED + Ditto has in flight at its published latency (119), nearly.
PUBLISHED_IN_FLIGHT = 128
LOCKED = ("leed-ditto", "leed")
# Also at LAST SSDs, in the table: the faster link, and Ditto's choice of policies.
ASIDE = (("scalio-200g", "scalio", "paper-200g"), ("paper-200g", "paper", "paper-200g"),
         ("leed-ditto-200g", "leed-ditto", "paper-200g"),
         ("leed-ditto-adaptive", "leed-ditto-adaptive", "paper"))


def point(setup, system, workload, ssds):
    return setup.point(system, workload, ssds=ssds)


def aside(setup, workload):
    return [setup.point(system, workload, ssds=LAST, machine=machine, variant=name)
            for name, system, machine in ASIDE]


def at_published_load(setup):
    return setup.point("leed-ditto", "a", in_flight=PUBLISHED_IN_FLIGHT)


def original_locks(setup, system):
    """LEED on A, whose lock of a bucket hands on what was read alone, as the original's does."""
    return setup.point(system, "a", switches=("--original-locks",),
                       variant=f"{system}-original-locks")


def jobs(setup):
    return [*(point(setup, s, w, n) for w in WORKLOADS for s in SYSTEMS for n in setup.ssds),
            at_published_load(setup), *(original_locks(setup, s) for s in LOCKED),
            *(p for w in WORKLOADS for p in aside(setup, w))]


def draw(setup, results):
    figure, axes = series.grid(
        WORKLOADS, SYSTEMS, setup.ssds,
        lambda s, w, n: results.row(point(setup, s, w, n)), series.throughput, "operations/s")
    for axis in axes:
        axis.set_xlabel("SSDs")
    charts.legend(figure, axes, columns=5, markers=True)
    charts.title(figure, NUMBER, TITLE, series.face(setup))
    return figure


def speed_ups(setup, results):
    """{workload: {system: throughput at LAST SSDs}}"""
    return {w: {s: results.value(point(setup, s, w, LAST), "throughput") for s in SYSTEMS}
            for w in WORKLOADS}


def tables(setup, results):
    at = speed_ups(setup, results)
    rows = []
    for workload in WORKLOADS:
        found = at[workload]
        rows.append([f"YCSB {workload.upper()}", *(number(found[s]) for s in SYSTEMS),
                     *(number(ratio(found[top], found[base])) for top in ("scalio", "paper")
                       for base in ("leed-ditto", "leed"))])
    names = [charts.look(s)[0] for s in SYSTEMS]
    result = [Table(f"{LAST} SSDs: operations/s, and ratios", [
        "", *names, "Scalio / LEED + Ditto", "Scalio / LEED", "paper's / LEED + Ditto",
        "paper's / LEED"], rows)]
    others = [[f"YCSB {w.upper()}", *(number(results.value(p, "throughput"))
                                      for p in aside(setup, w))] for w in WORKLOADS]
    result.append(Table(f"{LAST} SSDs: with a link of 200 Gb/s, and Ditto's adaptive choice",
                        ["", *(charts.look(name)[0] for name, _, _ in ASIDE)], others))
    return result


def comparisons(setup, results):
    """What is published beside points of a scale: pairs for tables.beside_published."""
    at = speed_ups(setup, results)
    locks = {s: results.value(original_locks(setup, s), "throughput") for s in LOCKED}
    pairs = [(published.LEED_A, at["a"]["leed"], "predicted"),
             (published.LEED_A, locks["leed"], "its locks as published: predicted"),
             (published.LEED_DITTO_A, at["a"]["leed-ditto"], "predicted"),
             (published.LEED_DITTO_A, locks["leed-ditto"], "its locks as published: predicted"),
             (published.LEED_DITTO_C, at["c"]["leed-ditto"], "predicted"),
             (published.PAPER_A, at["a"]["paper"], "predicted"),
             (published.PAPER_C, at["c"]["paper"], "predicted")]
    for base, value in (("leed-ditto", published.OVER_LEED_DITTO), ("leed", published.OVER_LEED)):
        found = [r for r in (ratio(at[w]["paper"], at[w][base]) for w in WORKLOADS) if r]
        pairs.append((value, min(found) if found else None, "the paper's, least: predicted"))
        pairs.append((value, max(found) if found else None, "the paper's, most: predicted"))
    latencies = ((published.PAPER_A_LATENCY, point(setup, "paper", "a", LAST)),
                 (published.LEED_DITTO_A_LATENCY, at_published_load(setup)))
    for value, at_load in latencies:
        pairs.append((value, results.value(at_load, "avg_us"),
                      f"at {at_load.in_flight} in flight: predicted"))
    for workload in WORKLOADS:
        hits = results.value(point(setup, "paper", workload, LAST), "hit_ratio")
        absorbed = None if hits is None else hits * gets(workload)
        pairs.append((published.ABSORBED[workload], absorbed, f"{setup.says()}: predicted"))
    return pairs


def gets(workload):
    """The share of GETs in what is counted as published: there, a read-modify-write is two."""
    return published.READS[workload] if workload != "f" else 2 / 3
