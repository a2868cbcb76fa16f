"""What is full at a point, and what would come of lifting it.

A model's row has the utilization of everything that can be full (`busy`). If the fullest kind of
thing were without limit, throughput could grow until the next fullest is full: by the ratio of the
two. That is a bound, not a promise: latency grows as well.
"""

# Below this nothing is full: the operations in flight are too few, or they wait for one another.
FULL = 0.9

# The first word that fits names the kind.
WORDS = (("client", "client"), ("offload", "offload"), ("ssd core", "core"), ("core", "core"),
         ("worker", "core"), ("thread", "core"), ("cpu", "core"), ("ssd", "ssd"),
         ("channel", "ssd"), ("link", "link"), ("nic", "link"), ("atomic", "link"),
         ("message", "link"), ("network", "link"))

NAMES = {"core": "server cores", "ssd": "SSDs", "link": "the link and NIC",
         "offload": "the offload engine", "client": "clients' cores",
         "": "nothing (operations in flight)"}

# What would lift each limit of Scalio.
REMEDIES = {
    "core": "fewer instructions for a PUT: cheaper batches, merging and replies; or more cores",
    "ssd": "fewer I/Os an operation: a larger cache, larger log batches, later merges; or SSDs",
    "link": "fewer bytes a hit: smaller blocks at equal capacity, or the slots' words and one body "
            "by two READs; or a faster link",
    "offload": "a faster offload engine, or reads by more than one of them",
    "client": "more client cores, or fewer instructions of the client",
    "": "more operations in flight, or shorter waits",
}


def kind_of(what):
    """core, ssd, link, offload, client, or "" of what a row calls full."""
    text = (what or "").lower()
    for word, kind in WORDS:
        if word in text:
            return kind
    return ""


def full_kind(row):
    return kind_of(row.get("full"))


def utilizations(row):
    """[(utilization, kind)], the fullest first; empty if the row has none."""
    most = {}
    for part in row.get("busy") or ():
        kind = kind_of(part["what"])
        most[kind] = max(most.get(kind, 0), part["utilization"])
    return sorted(((u, kind) for kind, u in most.items()), reverse=True)


def gain(row):
    """(kind that is full, by how much throughput could grow without it, kind that is full next).

    None if the row has no utilizations.
    """
    found = utilizations(row)
    if not found or found[0][0] <= 0:
        return None
    (first, kind), rest = found[0], found[1:]
    if first < FULL:
        return "", 1 / first, kind
    if not rest or rest[0][0] <= 0:
        return kind, None, ""
    return kind, first / rest[0][0], rest[0][1]
