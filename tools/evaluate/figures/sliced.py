"""Scalio on SSDs in slices, as the manual advises (docs/operations.md, "scalio format")."""

import itertools

NAME = "scalio-sliced"
# Where slices are to help: half of these are writes, which one thread does for a slice.
WORKLOADS = ("a", "f")
SLICES_A_CORE = 2  # at least
# What the core with most slices may have, of an equal share.
MOST = 7 / 6


def slices(ssds, cores):
    """Of each SSD: as few as the advice allows, for more of them make smaller batches."""
    for count in itertools.count(1):
        shards = ssds * count
        if shards >= SLICES_A_CORE * cores and -(-shards // cores) * cores <= MOST * shards:
            return count


def point(setup, workload, ssds, cores, **changes):
    return setup.point("scalio", workload, ssds=ssds, cores=cores, variant=NAME,
                       switches=("--slices", str(slices(ssds, cores))), **changes)
