"""The command line: what can be asked for. It needs nothing that has to be installed."""

import argparse

from evaluate.setup import SETUPS

EPILOGUE = """figures: 2, 5, 6, 11 to 22; all if none is named.

  ./evaluate                 all figures; under 45 minutes on two cores, the second time seconds
  ./evaluate 11 12           these two
  ./evaluate --full          at the paper's 20 M records: hours
  ./evaluate --list          the figures, and how many points each has
  ./evaluate --json 11       what results.json has, on stdout

It writes evaluation/: index.html (everything on one page), figure-NN.svg, data/figure-NN.csv,
results.json; and kept/, the result of every point, which is used again as long as the point and
the program are the same. ^C stops it; the next run goes on.

On real hardware, over ssh (docs/evaluation.md, "On hardware"):
  ./evaluate --server rdma:10.0.0.1:7000 --clients c1 c2 --ssds /dev/nvme0n1 ... --dry-run

exit status: 0 all done; 1 something failed, and stderr says what; 2 wrong use; 130 stopped by ^C,
143 by TERM."""


def parser():
    result = argparse.ArgumentParser(
        prog="./evaluate", epilog=EPILOGUE, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Runs Scalio and what it is compared with, and draws the figures of its "
                    "paper and more.")
    result.add_argument("figures", nargs="*", type=int, metavar="FIGURE", help="its number")
    result.add_argument("--full", action="store_true", help="the paper's sizes")
    result.add_argument("--scale", choices=sorted(SETUPS), help=argparse.SUPPRESS)
    result.add_argument("--list", action="store_true", help="list the figures and run nothing")
    result.add_argument("--json", action="store_true", help="print everything as JSON as well")
    result.add_argument("--output", default="evaluation", metavar="DIR",
                        help="where to write (default: evaluation)")
    result.add_argument("--processes", type=int, default=2, metavar="N",
                        help="points at a time (default: 2)")
    result.add_argument("--no-measured", action="store_true",
                        help="leave out what is measured here; the page says what that is")
    result.add_argument("--program", default="build/bin/scalio-eval", help=argparse.SUPPRESS)
    # In place of what measures, in tests.
    result.add_argument("--measure-by", help=argparse.SUPPRESS)
    add_hardware(result)
    return result


def add_hardware(result):
    group = result.add_argument_group("on real hardware, over ssh")
    group.add_argument("--server", metavar="URI",
                       help="rdma: or tcp:, and where the server listens")
    group.add_argument("--clients", nargs="+", default=[], metavar="HOST",
                       help="machines that clients run on; ssh reaches them without a password")
    group.add_argument("--ssds", nargs="+", default=[], metavar="DEVICE",
                       help="the server's SSDs, by their names there; all that is on them is lost")
    group.add_argument("--server-host", metavar="HOST",
                       help="as ssh knows the server (default: the URI's address)")
    group.add_argument("--remote-programs", default="/usr/local/bin", metavar="DIR",
                       help="where scalio, scalio-eval and fio are there (default: %(default)s)")
    group.add_argument("--dry-run", action="store_true",
                       help="print the commands and run none")


def wrong(what):
    """Says what is wrong with the command line, and exits with 2."""
    parser().error(what)


def parse(words):
    """The options; exits with 2 if they make no sense, with 0 for --help."""
    options = parser().parse_args(words)
    if options.full and options.scale:
        wrong("--full is a scale already")
    options.scale = "full" if options.full else options.scale or "quick"
    if options.processes < 1:
        wrong("--processes takes a number from 1 on")
    if options.server and not (options.clients and options.ssds):
        wrong("--server needs --clients, the machines that drive it, and its --ssds")
    if not options.server and (options.clients or options.ssds or options.dry_run):
        wrong("--clients, --ssds and --dry-run need --server URI")
    if options.server and not options.server.startswith(("rdma:", "tcp:")):
        wrong(f"--server takes a URI such as rdma:10.0.0.1:7000, not {options.server}")
    return options
