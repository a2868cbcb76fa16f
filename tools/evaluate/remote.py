"""Commands on other machines by ssh, or, in a dry run, on paper."""

import shlex
import subprocess
import sys
import time

READY_SECONDS = 600  # a server may have to format large SSDs


class RemoteFailed(Exception):
    """A command failed on another machine; the text says which and how."""


class Remote:
    def __init__(self, dry_run, out=sys.stdout):
        self.dry_run = dry_run
        self.out = out

    def words(self, host):
        return ["ssh", "-o", "BatchMode=yes", host]

    def show(self, host, command):
        print(f"{host}$ {command}", file=self.out)

    def run(self, host, command, script=None, timeout=7200):
        """What it prints; "" in a dry run. script: a local file that it reads from stdin."""
        if self.dry_run:
            self.show(host, command + (f" < {script}" if script else ""))
            return ""
        with open(script or "/dev/null", "rb") as given:
            return self.finish(host, command, self.begin(host, command, given), timeout)

    def run_all(self, hosts, commands, timeout=7200):
        """One command a host, all at one time; what each prints."""
        if self.dry_run:
            for host, command in zip(hosts, commands):
                self.show(host, command + " &")
            self.out.write("wait\n")
            return [""] * len(hosts)
        running = [self.begin(host, command, subprocess.DEVNULL)
                   for host, command in zip(hosts, commands)]
        return [self.finish(host, command, process, timeout)
                for host, command, process in zip(hosts, commands, running)]

    def begin(self, host, command, given):
        return subprocess.Popen([*self.words(host), command], stdin=given, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, host, command, process, timeout):
        try:
            said, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as late:
            process.kill()
            process.communicate()
            raise RemoteFailed(f"{host}: {command}: no end within {timeout} s") from late
        if process.returncode != 0:
            raise RemoteFailed(f"{host}: {command}: exit status {process.returncode}: "
                               f"{errors.strip()[-400:]}")
        return said

    def start(self, host, command, folder):
        """Starts a server in the background, and waits for its "ready". Its process id there."""
        out = f"{folder}/serve.out"
        line = (f"mkdir -p {shlex.quote(folder)}; nohup {command} >{out} 2>{folder}/serve.err "
                "</dev/null & echo $!")
        if self.dry_run:
            self.show(host, line)
            self.show(host, f"grep -q ^ready {out}  # until it is")
            return "PID"
        pid = str(int(self.run(host, line)))
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            check = (f"if grep -qs ^ready {out}; then echo ready; elif ! kill -0 {pid}; then "
                     f"tail -n 3 {folder}/serve.err; exit 1; fi")
            if "ready" in self.run(host, check):
                return pid
            time.sleep(1)
        self.stop(host, pid)
        raise RemoteFailed(f"{host}: {command}: not ready within {READY_SECONDS} s")

    def stop(self, host, pid):
        """Ends what start() has started, by its id."""
        self.run(host, f"kill {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.2; done")
