"""HTML that a report is made of: all in one file, every name escaped, readable from 390 px on, without scripts."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import pandas as pd

from lib.figures.figure import Figure
from lib.figures.tables import unbroken

STYLE = """
:root { --text: #323232; --muted: #5f5f66; --line: #d8dbe0; --soft: #f5f6f8; --link: #176de8; --page: #fff;
        --warn: #fff4e0; --edge: #c98a00; }
@media (prefers-color-scheme: dark) {
  :root { --text: #ced6dd; --muted: #a2abb5; --line: #40464d; --soft: #1d2127; --link: #7fb2ff; --page: #14181e;
          --warn: #33290f; --edge: #d9a326; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.6 -apple-system, BlinkMacSystemFont,
       "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: .2rem 0 .6rem; overflow-wrap: anywhere; }
h2 { font-size: 1.4rem; margin: 2.6rem 0 .4rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .3rem; overflow-wrap: anywhere; }
a { color: var(--link); }
p, li, dd { overflow-wrap: anywhere; }
.kind, figcaption, .scope, summary { color: var(--muted); font-size: .92rem; }
.kind { text-transform: uppercase; letter-spacing: .06em; }
nav { margin: 1rem 0; font-size: .95rem; display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
.box { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line);
         max-width: 22rem; overflow-wrap: break-word; }
thead th { border-bottom-width: 2px; }
figure { margin: 1.2rem 0; } figure img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
details { margin: .4rem 0 1.4rem; overflow-x: auto; } summary { cursor: pointer; }
details table { font-size: .82rem; }
.note { background: var(--soft); border-left: 4px solid var(--link); padding: .6rem .9rem; margin: 1rem 0; }
.warning { background: var(--warn); border-left-color: var(--edge); }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .25rem 1rem; margin: .6rem 0; }
dt { color: var(--muted); } dd { margin: 0; }
code { font-size: .9em; overflow-wrap: anywhere; }
@media (max-width: 32rem) { dl { display: block; } dd { margin: 0 0 .5rem; } h1 { font-size: 1.5rem; }
  figure { overflow-x: auto; } figure img { min-width: 34rem; } }
@media print { nav { display: none; } }
"""


def escaped(text: object) -> str:
    return html.escape(str(text))


def document(title: str, parts: Sequence[str]) -> str:
    """A whole page. Nothing in it is fetched from anywhere."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def heading(text: str, name: str) -> str:
    return f'<h2 id="{escaped(name)}">{escaped(text)}</h2>'


def smaller(text: str) -> str:
    return f"<h3>{escaped(text)}</h3>"


def paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{escaped(kind)}">{escaped(text)}</p>' if kind else f"<p>{escaped(text)}</p>"


def note(text: str, warning: bool = False) -> str:
    return f'<p class="note{" warning" if warning else ""}">{escaped(text)}</p>'


def bullets(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escaped(line)}</li>" for line in lines) + "</ul>"


def pairs(values: Mapping[str, object]) -> str:
    """What is called what, one below the other on a phone."""
    lines = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(value)}</dd>" for name, value in values.items())
    return f"<dl>{lines}</dl>"


def table(data: pd.DataFrame) -> str:
    """A table that scrolls in a box of its own."""
    if data.empty:
        return ""
    text = data.to_html(index=False, border=0, float_format="{:.2f}".format, na_rep="–", escape=True)
    return f'<div class="box">{unbroken(text)}</div>'


def figure(made: Figure) -> str:
    return made.page()


def contents(titles: Mapping[str, str]) -> str:
    """Links to the sections, by their names."""
    links = "".join(f'<a href="#{escaped(name)}">{escaped(title)}</a>' for name, title in titles.items())
    return f'<nav aria-label="Sections">{links}</nav>'
