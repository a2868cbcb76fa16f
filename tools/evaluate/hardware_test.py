"""Which commands a run on real hardware gives; none is run."""

import io
import json
import subprocess
import unittest

from evaluate import hardware, options
from evaluate.figures import figure_06, figure_11
from evaluate.job import Measurement
from evaluate.remote import Remote
from evaluate.setup import SETUPS
from evaluate.testing import fakes

WORDS = ["--server", "rdma:10.0.0.1:7000", "--clients", "c1", "c2", "--ssds", "/dev/nvme0n1",
         "/dev/nvme1n1", "/dev/nvme2n1", "/dev/nvme3n1", "--dry-run"]


class HardwareTest(unittest.TestCase):
    def commands(self, *words):
        asked = options.parse([*WORDS, "--scale", "smoke", *words])
        one = hardware.Hardware(asked)
        out = io.StringIO()
        one.remote = Remote(dry_run=True, out=out)
        return one, out

    def test_a_server_is_started_once_for_all_that_it_can_answer(self):
        one, out = self.commands()
        groups = hardware.grouped(one, [figure_11], SETUPS["smoke"])
        # 3 systems with 1 and 4 SSDs; 7 there are not.
        self.assertEqual(len(groups), 6)
        for served, points in groups.items():
            self.assertEqual({p.workload for p in points}, set("abcdf"))
            one.measure(served, points)
        said = out.getvalue()
        self.assertEqual(said.count("nohup"), 6)
        self.assertEqual(said.count("kill -0 PID 2>/dev/null; do"), 6)
        self.assertEqual(said.count("target configure"), 2)
        self.assertEqual(said.count("target remove"), 2)
        self.assertNotIn("--no-offload", said)
        # The clients run at one time, with other seeds, and share what is in flight.
        self.assertIn("--threads 32 --depth 8 ", said)
        self.assertEqual(said.count("c1$ /usr/local/bin/scalio-eval ycsb --system leed "),
                         said.count("c2$ /usr/local/bin/scalio-eval ycsb --system leed ") + 2)
        self.assertIn("--seed 2", said)
        # All have warmed the cache before anyone is measured, but of D: a wait after each.
        points = [p for group in groups.values() for p in group]
        inserting = [p for p in points if p.workload == "d"]
        self.assertEqual(said.count("wait\n"), 2 * len(points) - len(inserting))
        self.assertEqual(said.count("--seconds 20 "), 2 * len(points))
        self.assertEqual(said.count("--warm-up"), 2 * len(inserting))

    def test_operations_in_flight_are_all_shared_out(self):
        self.assertEqual(hardware.shares(512, 5), (32, [4, 3, 3, 3, 3]))
        for in_flight in (1, 3, 32, 64, 103, 512, 1024):
            for clients in (1, 2, 3, 5, 7):
                threads, depths = hardware.shares(in_flight, clients)
                self.assertEqual(threads * sum(depths), in_flight)
                self.assertEqual(len(depths), min(clients, in_flight))
                self.assertLessEqual(threads, 32)

    def test_scalios_store_is_as_full_as_the_models(self):
        one, out = self.commands()
        points = {p: None for p in [SETUPS["full"].point("scalio", "c", ssds=4)]}
        one.measure(one.served(next(iter(points))), points)
        # 20 M records of 90 B over 4 SSDs, 60 %, and a log of 256 MiB.
        taken = 750_000_000 + (256 << 20) + (1 << 20)
        self.assertIn(f"--log-size {256 << 20} --values $(($(blockdev --getsize64 /dev/nvme0n1 "
                      "/dev/nvme1n1 /dev/nvme2n1 /dev/nvme3n1 | sort -n | head -n 1) - "
                      f"{taken}))", out.getvalue())

    def test_without_batching_the_server_is_another(self):
        one, out = self.commands()
        setup = SETUPS["smoke"]
        points = [setup.point("scalio", "a", ssds=4),
                  setup.point("scalio", "a", ssds=4, switches=("--no-batching",))]
        found = {one.served(p): [p] for p in points if one.has(p)}
        self.assertEqual(len(found), 2)
        for served, at in found.items():
            one.measure(served, at)
        self.assertEqual(out.getvalue().count("--batch-max 1"), 1)

    def test_energy_is_of_figure_11s_points(self):
        self.assertLessEqual({11, 22}, set(hardware.FIGURES))

    def test_what_the_hardware_has_not_is_left_out(self):
        one, _ = self.commands()
        point = SETUPS["smoke"].point
        self.assertTrue(one.has(point("leed", "a", ssds=4)))
        for other in (point("leed", "a", ssds=5), point("paper", "a", ssds=4),
                      point("scalio", "a", ssds=4, machine="bluefield3"),
                      point("scalio", "a", ssds=4, switches=("--no-cache",)),
                      point("leed", "a", ssds=4, switches=("--no-batching",)),
                      Measurement("here", ("here",))):
            self.assertFalse(one.has(other))

    def test_fio_reads_through_both_targets(self):
        one, out = self.commands()
        one.fio(SETUPS["smoke"])
        said = out.getvalue()
        self.assertEqual(said.count("--no-offload"), 1)
        self.assertEqual(said.count("tools/fio-reads"), 4)
        self.assertIn(figure_06.point(SETUPS["smoke"], "nvmf-standard", 4), one.rows)

    def test_clients_are_added_up(self):
        rows = [{"throughput": 300.0, "avg_us": 10.0, "p99_us": 20.0, "server_cpu_us_per_op": 2.0},
                {"throughput": 100.0, "avg_us": 30.0, "p99_us": 50.0, "server_cpu_us_per_op": 6.0}]
        row = hardware.combined(rows)
        self.assertEqual(row["throughput"], 400)
        self.assertEqual(row["avg_us"], 15)
        self.assertEqual(row["p99_us"], 50)
        # Both have seen the server's CPU, 600 us a second.
        self.assertEqual(row["server_cpu_us_per_op"], 1.5)
        self.assertIsNone(row["ssd_reads_per_s"])

    def test_fio_is_read(self):
        said = json.dumps({"jobs": [{"read": {"iops": 2e6}}]})
        row = hardware.fio_row(said, (10.0, 5.0), (20.0, 45.0))
        self.assertEqual(row["server_cpu_us_per_op"], 2)

    def test_the_script_says_what_it_would_do(self):
        done = subprocess.run(["bash", f"{fakes.ROOT}/tools/fio-reads", "--dry-run", "rdma",
                               "10.0.0.1", "4420", "2", "20"], capture_output=True, text=True,
                              check=True)
        self.assertIn("nvme connect-all -t rdma -a 10.0.0.1 -s 4420", done.stderr)
        self.assertIn("--rw=read --bs=512 --iodepth=32", done.stdout)
        self.assertEqual(done.stdout.count("--filename="), 2)

    def test_a_dry_run_is_a_list_of_commands(self):
        done = subprocess.run(fakes.command(*WORDS, "11"), capture_output=True, text=True,
                              env=fakes.environment(), timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in done.stdout.splitlines():
            self.assertRegex(line, r"^((10\.0\.0\.1|c1|c2)\$ .*|wait)$")


if __name__ == "__main__":
    unittest.main()
