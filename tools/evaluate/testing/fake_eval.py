#!/usr/bin/env python3
"""Stands in for scalio-eval in the tests: points out of closed formulas, at once.

The formulas are crude, but of the right shape. FAKE_EVAL in the environment breaks it: "fail" ends
every point of LEED with an error, "wake" one that changes the cost of a wake, "garbage" prints no
JSON, "hang" never ends.
"""

import argparse
import json
import os
import sys
import time

CORE_SECONDS = {"scalio": 2e-6, "paper": 4e-6, "leed": 8e-6, "leed-ditto": 8e-6,
                "leed-ditto-adaptive": 8e-6, "nvmf-standard": 1.6e-6, "nvmf-offloaded": 0}
READS = {"a": 0.5, "b": 0.95, "c": 1.0, "d": 0.95, "f": 0.5}


def options(words):
    result = argparse.ArgumentParser()
    for name in ("machine", "system", "workload"):
        result.add_argument(f"--{name}", required=True)
    for name in ("ssds", "cores", "in-flight", "batch", "records", "slots", "cache-blocks",
                 "value-size", "operations", "seed"):
        result.add_argument(f"--{name}", type=int, required=True)
    keys = result.add_mutually_exclusive_group(required=True)
    keys.add_argument("--skew", type=float, default=0)
    keys.add_argument("--uniform", action="store_true")
    for name in ("original-locks", "two-reads", "no-offload", "no-cache", "no-batching", "json"):
        result.add_argument(f"--{name}", action="store_true")
    result.add_argument("--cost", action="append", default=[])
    result.add_argument("--also", action="append", default=[])
    for name in ("settle", "ssd-cores", "ssd-size"):
        result.add_argument(f"--{name}", type=int, default=0)
    result.add_argument("--slices", type=int, default=1)
    return result.parse_args(words)


def point(o):
    cached = o.system.startswith(("scalio", "paper", "leed-ditto")) and not o.no_cache
    share = min(1, o.cache_blocks * o.slots / o.records)
    hit = share ** (1.2 - o.skew) * 0.95 if cached and o.skew < 1.2 else 0
    reads = READS[o.workload]
    # Of one operation: what the SSDs and the cores do.
    ssd_reads = reads * (1 - hit) * (1 if o.system == "scalio" else 2)
    ssd_writes = (1 - reads) * (0.5 if o.system == "scalio" and not o.no_batching else 2)
    offloaded = o.system in ("scalio", "paper") and not o.no_offload
    on_cores = (1 - reads) + (0 if offloaded else reads * (1 - hit))
    cpu = on_cores * CORE_SECONDS[o.system]
    each = 1_000_000 if o.machine == "bluefield3" else 500_000
    cores = o.cores / 2 if o.system.startswith("leed") else o.cores
    limits = {"ssds": o.ssds * each / max(1e-9, ssd_reads + ssd_writes),
              "core 0 (ssd)": min(cores, o.ssds * o.slices) / max(1e-9, cpu),
              "link": 12.5e9 / 1088, "": o.in_flight / 60e-6}
    throughput = min(limits.values())
    full = min(limits, key=limits.get)
    average = o.in_flight / throughput * 1e6
    return {"system": o.system, "machine": o.machine, "simulated": True, "workload": o.workload,
            "ssds": o.ssds, "cores": o.cores, "in_flight": o.in_flight, "batch": o.batch,
            "skew": o.skew, "records": o.records, "slots": o.slots, "value_size": o.value_size,
            "seed": o.seed, "operations": o.operations, "seconds": o.operations / throughput,
            "throughput": throughput, "avg_us": average, "p50_us": average * 0.8,
            "p99_us": average * 3, "hit_ratio": hit if cached else None,
            "ssd_reads_per_s": throughput * ssd_reads, "ssd_writes_per_s": throughput * ssd_writes,
            "ssd_ios_per_s_by_formula": None, "server_cpu_us_per_op": cpu * 1e6, "full": full,
            "busy": [{"what": what, "utilization": throughput / most}
                     for what, most in limits.items() if what],
            "bytes_read_per_op": 0, "bytes_written_per_op": 0, "network_bytes_per_op": 1088}


def measured(words):
    """Rows as evaluate.measured prints them."""
    row = {"system": words[0], "workload": "a", "ssds": 4, "cores": 2, "in_flight": 64,
           "skew": 0.99, "records": 1000, "slots": 8, "throughput": 1e5, "avg_us": 640.0,
           "p50_us": 600.0, "p99_us": 2000.0, "hit_ratio": 0.5, "ssd_reads_per_s": 5e4,
           "ssd_writes_per_s": 1e4, "server_cpu_us_per_op": 2.0, "full": None,
           "written_per_byte": 3.0}
    if words[0] == "rival":
        row["memory_limit"] = "maxmemory 100; a control group of 125 bytes"
    if words[0] == "written":
        asked = dict(zip(words[1::2], words[2::2]))
        return [{**row, "value_size": int(asked["--value-size"]),
                 "store_full_percent": int(asked["--full"])}]
    return [{**row, "workload": w} for w in "abc"]


def also(o, text):
    """The options of what is measured as well, by --also."""
    changes = [change.split("=") for change in text.split(",")]
    values = {name: int(value) for name, value in changes if name in ("operations", "settle")}
    return argparse.Namespace(**{**vars(o), **values})


def rows_of(words):
    if words[0] != "model":
        return measured(words)
    o = options(words[1:])
    return [point(o), *(point(also(o, text)) for text in o.also)]


def main(words):
    trouble = os.environ.get("FAKE_EVAL", "")
    if trouble == "hang":
        time.sleep(600)
    rows = rows_of(words)
    failed = len(rows)
    if trouble == "fail" and "leed" in words:
        failed = 0
    if trouble == "wake":
        asked = " ".join(words).split("--also ")
        failed = next((i for i, one in enumerate(asked) if "wake=" in one), failed)
    count = os.environ.get("FAKE_EVAL_COUNT")
    if count and failed > 0:
        with open(count, "a", encoding="utf-8") as file:
            file.write("x")
    for row in rows[:failed]:
        print("no JSON" if trouble == "garbage" else json.dumps(row))
    if failed < len(rows):
        print("scalio-eval: no such system today", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
