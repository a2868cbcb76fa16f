"""Energy, from published watts."""

# Of one core: Intel's TDP of a Xeon Gold 6230, 125 W, shared by its 20 cores. The paper says "Xeon
# Gold" and no more.
CORE = 125 / 20
# A Samsung 970 PRO at work, by its data sheet: 5.2 W on average (512 GB).
SSD = 5.2
# A ConnectX-6 of one port. We found no published number that could be checked; what a low-profile
# PCIe card may draw. It is the same for all systems.
NIC = 25.0

SOURCES = [["a core at work", f"{CORE:g}", "Xeon Gold 6230: TDP 125 W, 20 cores (Intel)"],
           ["an SSD", f"{SSD:g}", "970 PRO 512 GB, active, average (Samsung's data sheet)"],
           ["the NIC", f"{NIC:g}", "assumed: the limit of a low-profile PCIe card"]]


def operations_a_joule(row):
    """None if the row has no CPU."""
    if row["server_cpu_us_per_op"] is None:
        return None
    cores = row["throughput"] * row["server_cpu_us_per_op"] / 1e6
    return row["throughput"] / (cores * CORE + row["ssds"] * SSD + NIC)
