"""How far the headline depends on any one cost: each 30 % lower and higher, alone."""

from evaluate.results import ratio

RATIOS = (("scalio", "leed-ditto"), ("scalio", "leed"), ("paper", "leed-ditto"))
SYSTEMS = ("scalio", "paper", "leed-ditto", "leed")
WORKLOADS = ("a", "c")
FACTORS = (0.7, 1.3)
# The costs of the model (`scalio-eval model --cost`).
COSTS = ("message", "io", "copy", "checksum", "hop", "step")


def point(setup, system, workload, cost, factor):
    return setup.point(system, workload, costs=((cost, factor),))


def jobs(setup):
    if setup.name == "smoke":
        return []
    return [point(setup, s, w, cost, factor) for w in WORKLOADS for cost in COSTS
            for factor in FACTORS for s in SYSTEMS]


def span(setup, results, workload, above, below, value):
    """(least, most) of a ratio over all costs, and `value` itself; (None, None) if none was run."""
    found = [ratio(results.value(point(setup, above, workload, cost, factor), "throughput"),
                   results.value(point(setup, below, workload, cost, factor), "throughput"))
             for cost in COSTS for factor in FACTORS]
    found = [r for r in found if r]
    if not found or value is None:
        return None, None
    return min(*found, value), max(*found, value)
