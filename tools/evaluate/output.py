"""What is written: pictures, data, the page. From the same results the same bytes."""

import os

from evaluate import charts, headline, page, ranges, reach, summary, tables
from evaluate.job import COLUMNS
from evaluate.setup import RECORDS, SKEW, SSDS, WORKLOADS

TITLE = "Scalio: the evaluation"
BOTH = "simulated, and measured"  # the KIND of a figure


def jobs_of(modules, setup, all_figures):
    found = [job for module in modules for job in module.jobs(setup)]
    # The longest first: what is left for the end is short.
    return [*headline.jobs(setup), *found, *ranges.jobs(setup)] if all_figures else found


def rows_of(module, setup, results):
    return [row for job in module.jobs(setup) for row in results.rows(job)]


def write(folder, name, content):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = f"{path}.{os.getpid()}"
    with open(new, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    os.replace(new, path)


def section(module, setup, results, folder):
    """Writes a figure's picture and data; its section of the page, and its rows."""
    rows = rows_of(module, setup, results)
    picture = charts.svg(module.draw(setup, results), module.NUMBER)
    name = f"figure-{module.NUMBER:02}"
    write(folder, f"{name}.svg", picture)
    write(folder, f"data/{name}.csv", tables.csv_text(rows, getattr(module, "COLUMNS", ())))
    data = tables.Table("", list(COLUMNS),
                        [[tables.number(row.get(c)) if c not in ("system", "workload", "full")
                          else row.get(c) or "-" for c in COLUMNS] for row in rows])
    return page.figure(module.NUMBER, module.TITLE, kind_of(module, setup, results), module.SHOWS,
                       picture, module.tables(setup, results), data), rows


def kind_of(module, setup, results):
    """As it came out: a figure of both kinds may have had nothing measured."""
    if setup.on:
        return "measured"
    if module.KIND == BOTH and not any(results.rows(job) for job in module.jobs(setup)
                                       if job.alone):
        return "simulated"
    return module.KIND


def simulated(modules, setup):
    """(the modules of which something is simulated, what --no-measured leaves out, in words)."""
    kept = [m for m in modules if not all(job.alone for job in m.jobs(setup))]
    figures = [f"figure {m.NUMBER}" for m in modules if m not in kept]
    parts = [f"{job.name} in figure {m.NUMBER}"
             for m in kept for job in m.jobs(setup) if job.alone]
    return kept, [*figures, *parts]


def document(modules, setup, version, results, rows, failures, left_out):
    """Everything, for programs."""
    figures = [{"figure": module.NUMBER, "title": module.TITLE,
                "kind": kind_of(module, setup, results), "rows": rows[module.NUMBER]}
               for module in modules]
    return {"scale": setup.name, "records": setup.records(), "program": version,
            "failures": failures, "left_out": left_out, "figures": figures}


def troubles(failures, left_out):
    text = ""
    if left_out:
        text += (f'<p><span class="kind bad">incomplete</span> Left out, as asked for by '
                 f"--no-measured: {page.text(', '.join(left_out))}.</p>")
    if failures:
        listed = "".join(f"<li><pre>{page.text(one)}</pre></li>" for one in failures)
        text += (f'<p><span class="kind bad">incomplete</span> {len(failures)} points failed and '
                 f"are missing from the figures:</p><ul>{listed}</ul>")
    return text


def write_all(folder, modules, setup, results, version, failures, left_out=()):
    """left_out: what was not asked for, in words. Returns the document that results.json has."""
    sections, rows = [], {}
    for module in modules:
        one, rows[module.NUMBER] = section(module, setup, results, folder)
        sections.append(one)
    numbers = [module.NUMBER for module in modules]
    introduction = page.paragraph(summary.INTRODUCTION)
    introduction += page.paragraph(
        f"Scale of the figures: {setup.says()}; {lengths(setup)}, warm caches. One factor "
        "divides records and cache alike; everything else is as published. Program: "
        f"{version[:12]}. " + hottest(setup) + how_to_read())
    introduction += troubles(failures, left_out)
    found = headline.rows(setup, results)
    if 11 in numbers:
        picture = charts.svg(headline.draw(setup, results), headline.NAME)
        write(folder, f"{headline.NAME}.svg", picture)
        write(folder, f"data/{headline.NAME}.csv", tables.csv_text(found))
        introduction += (page.picture(picture, headline.TITLE)
                         + page.table(headline.table(setup, results))
                         + page.table(headline.beside(setup, results))
                         + page.table(reach.table(setup, headline.scale(setup, results), results)))
    depends = ranges.rows(setup, results)
    if depends:
        write(folder, "data/ranges.csv", tables.csv_text(depends, ranges.COLUMNS))
        introduction += ("<details><summary>What the headline depends on</summary>"
                         + page.table(headline.costs(setup, results))
                         + page.table(summary.splits(setup, results))
                         + page.table(summary.room(setup, results)) + "</details>")
    if 11 in numbers and 19 in numbers:
        sections.append('<h2 id="limits">What would lift each limit</h2>\n'
                        + page.paragraph(LIFTS) + page.table(summary.lifts(setup, results)))
    write(folder, "index.html", page.page(TITLE, introduction, sections, numbers))
    everything = document(modules, setup, version, results, rows, failures, list(left_out))
    everything["headline"] = found
    everything["ranges"] = depends
    write(folder, "results.json", tables.json_text(everything))
    return everything


LIFTS = """The model knows how busy each thing is. If what is full had no limit, throughput could
grow until the next thing is full: that is the gain. It is a bound, by utilization alone."""


def hottest(setup):
    """What a smaller scale changes: the most popular key is more popular."""
    if setup.records() >= RECORDS:
        return ""
    # One over the sum of k^-SKEW for all ranks k, by the integral and Euler's constant.
    shares = [1 / ((n ** (1 - SKEW) - 1) / (1 - SKEW) + 0.577)
              for n in (setup.records(), RECORDS)]
    return (f"With fewer records a larger share of the operations is for the most popular one, "
            f"{shares[0]:.1%} and not {shares[1]:.1%}, which costs the systems that are limited by "
            "one core or one lock, and hit ratios are lower by some points. ")


def lengths(setup):
    """How many operations points have."""
    found = {}
    for workload in WORKLOADS:
        operations, _ = setup.length("scalio", workload, SSDS[-1])
        found.setdefault(operations, []).append(workload.upper())
    text = ", ".join(f"{n:,} operations a point of {', '.join(which)}"
                     for n, which in found.items())
    if not setup.steady:
        return text
    return (f"{text} with {SSDS[-1]} SSDs; of what writes fewer with fewer and more beyond, and "
            "those of LEED and LEED + Ditto, whose log is the SSD, no more than of A")


def how_to_read():
    markers = ", ".join(f"{name}" for kind, name in charts.MARKER_NAMES.items() if kind)
    return ("The marker of a point says what is full there, which is what holds it back: "
            f"{markers}, or nothing: then the operations in flight are too few.")
