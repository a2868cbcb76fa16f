"""The command line of ./evaluate."""

import os
import shutil
import sys

from evaluate import options as command_line

# Before the rest is imported, which needs matplotlib.
ASKED = command_line.parse(sys.argv[1:]) if __name__ == "__main__" else None

# pylint: disable=wrong-import-position
from evaluate import hardware, kept, output  # noqa: E402
from evaluate.figures import ALL  # noqa: E402
from evaluate.job import Programs  # noqa: E402
from evaluate.results import Results  # noqa: E402
from evaluate.runner import Runner, Stopped  # noqa: E402
from evaluate.setup import SETUPS  # noqa: E402

# Exit statuses.
SUCCESS, FAILURE = 0, 1  # and 2 for wrong use, by argparse
SIGNALLED = 128

def chosen(numbers):
    by = {module.NUMBER: module for module in ALL}
    wrong = [n for n in numbers if n not in by]
    if wrong:
        known = ", ".join(map(str, by))
        raise ValueError(f"there is no figure {wrong[0]}; there are {known}")
    return [module for module in ALL if not numbers or module.NUMBER in numbers]


def list_figures(modules, setup):
    for module in modules:
        print(f"{module.NUMBER:3}  {len(module.jobs(setup)):4} points  {module.KIND:24}"
              f"{module.TITLE}")


def evaluate(options, modules, setup):
    if shutil.which(options.program) is None:
        print(f"evaluate: there is no program {options.program}; build it by "
              "`cmake --build --preset release --target scalio-eval`", file=sys.stderr)
        return FAILURE
    version = kept.version_of(shutil.which(options.program))
    store = kept.Kept(os.path.join(options.output, "kept"), version)
    left_out = ()
    if options.no_measured:
        modules, left_out = output.simulated(modules, setup)
    jobs = [job for job in output.jobs_of(modules, setup, all_figures=not options.figures)
            if not (options.no_measured and job.alone)]
    programs = Programs([options.program], options.measure_by.split() if options.measure_by else [
        sys.executable, "-B", "-m", "evaluate.measured", "--program", options.program])
    runner = Runner(programs, store, options.processes,
                    timeout=3600 if setup.divisor > 1 else 24 * 3600)
    try:
        found = runner.run(jobs)
    except Stopped as stopped:
        print(f"evaluate: {stopped}; {len(runner.results)} of {len(set(jobs))} points are kept, "
              "and the next run goes on from there", file=sys.stderr)
        return SIGNALLED + stopped.number
    failures = runner.failures
    everything = output.write_all(options.output, modules, setup, Results(found), version,
                                  failures, left_out)
    if options.json:
        sys.stdout.write(output.tables.json_text(everything))
    for failure in failures:
        print(f"evaluate: {failure}", file=sys.stderr)
    print(f"The page is {os.path.join(options.output, 'index.html')}", file=sys.stderr)
    return FAILURE if failures else SUCCESS


def main(options):
    setup = SETUPS[options.scale]
    try:
        modules = chosen(options.figures)
    except ValueError as error:
        command_line.wrong(str(error))
    if options.list:
        list_figures(modules, setup)
        return SUCCESS
    if options.no_measured and not output.simulated(modules, setup)[0]:
        command_line.wrong("--no-measured leaves nothing of the figures that are asked for")
    if options.server:
        return hardware.run(options, modules, setup)
    return evaluate(options, modules, setup)


if __name__ == "__main__":
    sys.exit(main(ASKED))
