"""The page: one HTML file with everything in it, which needs nothing else to be read."""

import base64
import html

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 1180px;
       margin: 2em auto; padding: 0 1.5em; }
h1 { font-size: 1.7em; } h2 { margin-top: 2.2em; border-top: 1px solid #ddd; padding-top: 1em; }
img { width: 100%; height: auto; } p { max-width: 50em; }
table { border-collapse: collapse; margin: .4em 0 1.2em; font-size: .88em; }
td, th { padding: .15em .7em; border-bottom: 1px solid #e5e5e5; text-align: right;
         vertical-align: top; }
td:first-child, th:first-child, td:nth-child(2), th:nth-child(2) { text-align: left; }
td.words { text-align: left; }
th { border-bottom: 2px solid #999; } .scroll { overflow-x: auto; }
.kind { display: inline-block; padding: 0 .6em; border-radius: 1em; font-size: .8em;
        background: #e8eef7; } .measured { background: #e3f3e6; } .bad { background: #fbe3e4; }
summary { cursor: pointer; color: #30638e; } code { background: #f4f4f4; padding: 0 .2em; }
nav a { margin-right: .8em; } caption { text-align: left; font-weight: 600; padding: .3em 0; }
"""


def text(value):
    return html.escape(str(value))


def paragraph(words):
    return f"<p>{text(' '.join(words.split()))}</p>"


def is_words(cell):
    return len(cell) > 24


def table(one):
    if not one.rows:
        return ""
    head = "".join(f"<th>{text(name)}</th>" for name in one.columns)
    body = "".join(
        "<tr>" + "".join(f'<td class="words">{text(cell)}</td>' if is_words(str(cell)) else
                         f"<td>{text(cell)}</td>" for cell in row) + "</tr>\n"
        for row in one.rows)
    return (f'<div class="scroll"><table><caption>{text(one.heading)}</caption>'
            f"<tr>{head}</tr>\n{body}</table></div>\n")


def picture(svg, alternative):
    data = base64.b64encode(svg).decode()
    return f'<img alt="{text(alternative)}" src="data:image/svg+xml;base64,{data}">\n'


def figure(number, title, kind, shows, svg, tables, data):
    """A section. data: a Table of every point, folded away."""
    face = "measured" if kind.startswith("measured") else "simulated"
    return (f'<h2 id="figure-{number:02}">Figure {number}. {text(title)}</h2>\n'
            f'<p><span class="kind {face}">{text(kind)}</span></p>\n{paragraph(shows)}\n'
            f"{picture(svg, title)}{''.join(map(table, tables))}"
            f"<details><summary>Every point of this figure, and what is full at it</summary>"
            f"{table(data)}</details>\n")


def page(title, introduction, sections, numbers):
    """introduction and sections are HTML; numbers are the figures for the contents."""
    contents = "".join(f'<a href="#figure-{n:02}">{n}</a>' for n in numbers)
    return ("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            '<meta name="viewport" content="width=device-width">'
            f"<title>{text(title)}</title><style>{STYLE}</style></head><body>\n"
            f"<h1>{text(title)}</h1>\n<nav>Figures: {contents}</nav>\n{introduction}\n"
            f"{''.join(sections)}</body></html>\n")
