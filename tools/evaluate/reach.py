"""What Scalio was designed to reach on the model, beside what it does there, and what holds it."""

from evaluate import limits
from evaluate.figures import figure_19
from evaluate.results import ratio
from evaluate.tables import Table, number

# With more operations in flight than the paper has, where those are what is full.
MORE, MOST = 1024, 2048
# Of a hash block its header, then one slot: fewer bytes, a round trip more.
TWO_READS = ("--two-reads",)
READING = ("b", "c")


def fast(at):
    """C with the faster link."""
    return at.point("scalio", "c", machine="paper-200g", in_flight=MORE, variant="scalio-200g")


def fastest(at):
    return at.point("scalio", "c", machine="paper-200g", in_flight=MOST, switches=TWO_READS,
                    variant="scalio-200g-two-reads")


def two_reads(at, workload):
    return at.point("scalio", workload, in_flight=MORE, switches=TWO_READS,
                    variant="scalio-two-reads")


def beside(at, workload):
    return at.point("leed-ditto", workload, in_flight=MORE)


def points(at):
    return [fast(at), fastest(at),
            *(make(at, w) for w in READING for make in (two_reads, beside))]


def full(row):
    return "-" if row is None else row.get("full") or "nothing"


def allowed(row):
    """How much of the SSDs or the link, whichever is fuller, is used."""
    used = [share for share, kind in limits.utilizations(row or {}) if kind in ("ssd", "link")]
    return max(used, default=None)


def line(what, reach, value, row):
    return [what, reach, number(value), full(row)]


def table(setup, at, results):
    """`at`: the scale of the headline; the large machine is at that of the figures."""
    of = results.value
    a, ditto_a = at.point("scalio", "a"), at.point("leed-ditto", "a")
    ratios = {w: ratio(of(two_reads(at, w), "throughput"), of(beside(at, w), "throughput"))
              for w in READING}
    best = max((w for w in READING if ratios[w]), key=ratios.get, default=READING[0])
    large = figure_19.point(setup, "scalio", "c", figure_19.counts(setup)[-1])
    cpu = [of(point, "server_cpu_us_per_op") for point in (a, ditto_a)]
    latencies = [f"{number(of(a, key))} of {number(of(ditto_a, key))}"
                 for key in ("p50_us", "p99_us")]
    rows = [
        line(f"C, 200 Gb/s, {MORE:,} in flight, operations/s", "16 M", of(fast(at), "throughput"),
             results.row(fast(at))),
        line(f"C, 200 Gb/s, two READs, {MOST:,} in flight, operations/s", "-",
             of(fastest(at), "throughput"), results.row(fastest(at))),
        line("the same, of what SSDs and link allow", "0.95", allowed(results.row(fastest(at))),
             results.row(fastest(at))),
        line("A, operations/s", "1.6 M", of(a, "throughput"), results.row(a)),
        line(f"over LEED + Ditto on {best.upper()}, two READs, both {MORE:,} in flight", "5",
             ratios[best], results.row(two_reads(at, best))),
        ["A, p50, us, of LEED + Ditto's", "below", latencies[0], full(results.row(a))],
        ["A, p99, us, of LEED + Ditto's", "below", latencies[1], full(results.row(a))],
        line("A, server CPU of LEED + Ditto's, over Scalio's", "3", ratio(cpu[1], cpu[0]),
             results.row(a)),
        line("C, server CPU, us an operation", "0.01 of LEED + Ditto's",
             of(at.point("scalio", "c"), "server_cpu_us_per_op"), results.row(fast(at))),
        line(f"C, BlueField-3, {large.ssds} SSDs, {setup.says()}, operations/s",
             "until the link is full", of(large, "throughput"), results.row(large))]
    return Table("What Scalio was designed to reach, and what is full where it stands",
                 ["what", "reach", "simulated", "full"], rows)
