"""The gate of the built book finds each fault that it is there for, on the smallest page that has it."""

import json
from urllib.parse import quote

import browser
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

HEAD = (
    '<title>{name}</title><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
    '<meta name="description" content="About {name}."><meta property="og:title" content="{name}">'
    '<meta property="og:description" content="About {name}."><meta property="og:type" content="article">'
    '<meta property="og:site_name" content="Withstand">'
)
STYLE = (
    "body { background: #fff; color: #000 } figure { margin: 0 } a { color: #00c } "
    "[data-theme=dark] body { background: #111; color: #eee } [data-theme=dark] a { color: #8cf }"
)
BODY = (
    '<main><article><h1 id="top-of-it">A page</h1><p>See <a href="b.html#place">the other page</a>.</p>{}'
    "</article></main>"
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="360pt" height="90pt" viewBox="0 0 360 90">'
    '<g id="text_1"><g transform="translate(9 9) scale({scale} -{scale})"></g></g></svg>'
)
FIGURE = '<figure><img alt="A line." style="max-width: 100%" src="{}"></figure>'


def written(name, body, head=HEAD, style=STYLE):
    """A page without a fault, but for those of its parts."""
    head = head.format(name=name)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}<style>{style}</style></head>'
        f"<body>{BODY.format(body)}</body></html>"
    )


@pytest.fixture(scope="module")
def chromium():
    if browser.lacking():
        pytest.skip(browser.lacking())
    with browser.opened() as running:
        yield running


MANY = "<p>one</p>" * (browser.MOST_NODES + 1)
PLANTED = {
    "console": ("<script>console.error('too late')</script>", "the console: too late"),
    "script": ("<script>missing()</script>", "a script fails"),
    "elsewhere": ('<img alt="A line." src="https://example.org/line.png">', "asks for https://example.org/line.png"),
    "image": ('<img alt="A line." src="nowhere.png">', "asks for nowhere.png, which is not there"),
    "hollow image": ('<img alt="A line." src="hollow.svg">', "an image that is not loaded: "),
    "wide": ('<div style="width: 1400px">wide</div>', 'px to scroll sideways, for <div class="">'),
    "narrow": ('<div style="width: 500px">wide for a phone</div>', 'for <div class=""> (at 390 px, light)'),
    "broad table": (
        f'<div style="overflow-x: auto; width: 600px"><table><tr>{"<td>a_long_word_here</td>" * 12}</tr></table></div>',
        "px wider than its text: a_long_word_here",
    ),
    "wide formula": (
        '<div class="math" id="wide"><mjx-container style="display: block; overflow-x: auto; width: 200px">'
        '<div style="width: 250px">x</div></mjx-container></div>',
        "a formula 50 px wider than the text: wide",
    ),
    "formula": (r'<span class="math">\(x^2\)</span>', r"a formula that is not rendered: \(x^2\)"),
    "button": ('<button type="button"></button>', "button-name (critical"),
    "pale": ('<p style="color: #bbb; background: #fff">pale</p>', "color-contrast (serious, 1 times)"),
    "dark": ('<p style="color: #333">dim in the dark</p>', "(at 1280 px, dark)"),
    "dim on a phone": (
        "<style>@media (min-width: 600px) { .menu { display: none } }</style>"
        '</article><nav class="menu" style="color: #333">dim in the dark, on a phone</nav><article>',
        "(at 390 px, dark)",
    ),
    "anchor": ('<a href="b.html#elsewhere">there</a>', "a link to nowhere: b.html#elsewhere"),
    "link": ('<a href="c.html">there</a>', "a link to nowhere: c.html"),
    "id": ('<p id="top-of-it">again</p>', "ids that stand twice: top-of-it"),
    "drawing": (FIGURE.format("small.svg"), "type of 8.8 px in small.svg on a phone"),
    "photograph": (FIGURE.format("small.png"), "type of 8.8 px in small.png on a phone"),
    "heavy": (f"<p hidden>{'w' * 1_500_000}</p>", "1.50 MB of its own to load"),
    "laden": ('<link rel="stylesheet" href="_static/style.css">', "2.60 MB of scripts and styles to load"),
    "nodes": (f"<div hidden>{MANY}</div>", f"{browser.MOST_NODES + 20:,} elements"),
}
HEADS = {
    "another title": ("<title>another title", "<title>heavy", "a title that is not its own: 'heavy'"),
    "no title": ("<title>no title", "<title>", "a title that is not its own: ''"),
    "undescribed": ('content="About undescribed."', 'content=""', "no description in its head"),
    "described": ('name="description" content="About described."', 'name="description" content="About heavy."',
                  "a description that is not its own"),
    "unshared": ('property="og:title"', 'property="og:other"', "no og:title in its head"),
}  # fmt: skip


@pytest.fixture(scope="module")
def found(chromium, tmp_path_factory):
    """The faults of a book that has each of the above on a page of its own, and two sound pages."""
    book = tmp_path_factory.mktemp("book of faults")
    for name, scale in (("large", 0.11), ("small", 0.085)):
        (book / f"{name}.svg").write_text(SVG.format(scale=scale))
        lettered(book / f"{name}.png", 100 * scale)
    (book / "hollow.svg").write_text("not an image")
    (book / "_static").mkdir()
    (book / "_static" / "style.css").write_text(" " * 2_600_000)
    sound = FIGURE.format("large.svg") + FIGURE.format("large.png") + '<p id="place">Here.</p>'
    pages = {"b": written("b", sound), "search": written("search", "").replace('content="About search."', "")}
    pages |= {name: written(name, body) for name, (body, _) in PLANTED.items()}
    for name, (given, other, _) in HEADS.items():
        assert written(name, "").count(given) == 1 + given.startswith("content")
        pages[name] = written(name, "").replace(given, other)
    for name, page in pages.items():
        (book / f"{name}.html").write_text(page)
    return browser.found_in(book, chromium)


FAULTS = {name: fault for name, (*_, fault) in (PLANTED | HEADS).items()}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(found, name):
    own = [fault for fault in found if fault.startswith(f"{name}.html: ")]
    assert any(FAULTS[name] in fault for fault in own), own


def test_a_page_without_a_fault_has_none(found):
    assert {fault.split(".html: ")[0] for fault in found} == set(FAULTS)


def lettered(path, size):
    """A PNG of 5 inches that says how small its type is."""
    told = PngImagePlugin.PngInfo()
    told.add_text("Smallest type", f"{size}")
    Image.fromarray(np.zeros((50, 500, 3), np.uint8)).save(path, dpi=(100, 100), pnginfo=told)


def test_type_is_measured_in_the_drawing(tmp_path):
    lettered(tmp_path / "a.png", 9)
    drawings = (
        SVG.format(scale=0.095),
        '<svg viewBox="0 0 200 90"><text style="font: 700 10.5px Arial">a</text></svg>',
    )
    assert browser.type_in((tmp_path / "a.png").read_bytes()) == (9, 360)
    assert [browser.type_in(own.encode()) for own in drawings] == [(9.5, 360), (10.5, 200)]
    assert browser.type_in(b'<svg viewBox="0 0 200 90"></svg>') == (0, 0)


@pytest.mark.parametrize(("output", "fault"), [
    ({"output_type": "stream", "text": ["in /opt/clone/of/it/lib/a.py\n"]}, "names the folder /opt/clone/of/it"),
    ({"output_type": "stream", "text": ["a.py:3: UserWarning: too few\n"]}, "a warning, 'UserWarning: too few"),
    ({"data": {"text/plain": "<Figure size 640x480 with 1 Axes>", "image/png": "aaaa"}}, "says nothing of itself"),
])  # fmt: skip
def test_a_fault_of_a_notebook_is_found(tmp_path, output, fault):
    good = {
        "data": {"text/plain": "A line.", "text/html": f"<img src='data:image/png;base64,{quote('UserWarning: ')}'>"}
    }
    for outputs, count in (([good], 0), ([good, output], 1)):
        (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [{}, {"outputs": outputs}]}))
        found = browser.notebook_faults(tmp_path / "a.ipynb", ["/opt/clone/of/it"])
        assert len(found) == count and all(own.startswith("a.ipynb, cell 1: ") and fault in own for own in found)


def test_a_machine_without_a_browser_is_told_so(monkeypatch):
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    assert "no Chromium on this machine" in browser.lacking()
