"""How far the headline depends on any one cost: each 30 % lower and higher, alone; and on how LEED
shares out its cores.

Costs that are two ends of one thing, such as a message sent and received, are changed together.
"""

from evaluate.results import ratio

RATIOS = (("scalio", "leed-ditto"), ("scalio", "leed"), ("paper", "leed-ditto"))
SYSTEMS = ("scalio", "paper", "leed-ditto", "leed")
WORKLOADS = ("a", "c")
FACTORS = (0.7, 1.3)
# By what they are of; the names are those of `scalio-eval model --cost`.
COSTS = {
    "messages": ("message-receive", "message-send", "message-kib"),
    "hops between threads": ("hop-give", "hop-take"),
    "one-sided operations": ("one-sided-post", "one-sided-done"),
    "I/Os through the kernel": ("kernel-submit", "kernel-complete"),
    "I/Os by a polled driver": ("driver-submit", "driver-complete"),
    "reads over NVMe-oF": ("fabric-submit", "fabric-complete"),
    "waking threads": ("wake", "turn"),
    "the systems' own instructions": ("instructions",),
}


def point(setup, system, workload, cost, factor):
    return setup.point(system, workload, costs=tuple((name, factor) for name in COSTS[cost]))


# Of 8 cores, those for LEED's SSDs; 4 is what the paper has. With 7 each SSD has its own, and one
# is left for control and network.
SPLITS = (2, 3, 4, 5, 6, 7)
SPLIT_SYSTEMS = ("leed", "leed-ditto")


def split(setup, system, workload, ssd_cores):
    return setup.point(system, workload, ssd_cores=0 if ssd_cores == 4 else ssd_cores)


def jobs(setup):
    if setup.few:
        return []
    splits = [split(setup, s, w, n) for s in SPLIT_SYSTEMS for w in WORKLOADS for n in SPLITS]
    return splits + [point(setup, s, w, cost, factor) for w in WORKLOADS for cost in COSTS
            for factor in FACTORS for s in SYSTEMS]


def ratios(setup, results, workload, above, below):
    """{(cost, factor): ratio}"""
    found = {(cost, factor): ratio(
        results.value(point(setup, above, workload, cost, factor), "throughput"),
        results.value(point(setup, below, workload, cost, factor), "throughput"))
        for cost in COSTS for factor in FACTORS}
    return {key: value for key, value in found.items() if value}


def span(setup, results, workload, above, below, value):
    """(least, most) of a ratio over all costs, and `value` itself; (None, None) if none was run."""
    found = ratios(setup, results, workload, above, below).values()
    if not found or value is None:
        return None, None
    return min(*found, value), max(*found, value)
