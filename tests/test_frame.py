"""What stands around the text of a page: metadata, footer, buttons, and what is mended of the theme's."""

import re
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import browser
import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from lib import colab, frame, paths

PAGE = """# Fog and `noise`

**Question.** How much of what an encoder knows is left where an image is seen through fog, and where through snow?

```{note}
A box that stands first in the text, but does not say what the page is about at all.
```
"""
BOX = (
    "# Boxes\n\n```{note}\nA box that stands first in the text, but does not say what the page is about at all.\n```\n"
)
HEADS = ("system", "clean (%)", "corrupted (%)", "difference (points)", "verdict by the rule of the book", "source")
ROWS = [
    ("b", "9.5 [9, 10]", "1,000", "−2.0", "undecided", "ours"),
    ("a", "10.0 [9, 11]", "20", "–", "holds", "abstract"),
    ("d", "101", "3", "0.5", "holds", "ours"),
    ("c", "-1", "4", "< 0.1", "a longer text that needs a line of its own", "ours"),
]
TABLE = (
    '<table class="dataframe"><thead><tr>' + "".join(f"<th>{own}</th>" for own in HEADS) + "</tr></thead><tbody>"
    + "".join("<tr>" + "".join(f"<td>{own}</td>" for own in row) + "</tr>" for row in ROWS) + "</tbody></table>"
)  # fmt: skip
FOLDS = (
    '<details class="data"><summary>Data behind this figure</summary><p>many rows</p></details>'
    "<details><summary>Solution</summary><p>four</p></details>"
)
TOC = "format: jb-book\nroot: index\nparts:\n- chapters:\n"
TOC += "".join(f"  - file: {name}\n" for name in ("pages/fog", "pages/boxes", "notebooks/claims"))
PNG = b"\x89PNG what a cell glued"


def glued(name, data):
    """An output as `myst_nb.glue` leaves it where it is not to be shown."""
    prefix = "application/papermill.record/"
    told = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    return nbformat.v4.new_output("display_data", {prefix + kind: own for kind, own in data.items()}, metadata=told)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A book of four pages with the frame of ours, whose address and repository are known; claims are executed."""
    home = tmp_path_factory.mktemp("framed book")
    shutil.copytree(paths.ROOT / "pages", home / "pages", ignore=shutil.ignore_patterns("api", "*.md"))
    shutil.copy(paths.ROOT / "_config.yml", home)
    (home / "_toc.yml").write_text(TOC)
    (home / "index.md").write_text("# Withstand\n\nDoes an encoder that nobody has told anything still work in fog?\n")
    (home / "pages" / "fog.md").write_text(PAGE)
    (home / "pages" / "boxes.md").write_text(f"{BOX}\n{TABLE}\n\n{FOLDS}\n")
    executed = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Claims"), nbformat.v4.new_code_cell()])
    executed.cells[1].outputs = [
        glued("verdicts", {"text/plain": "Bars of verdicts, one a <paper>."}),
        glued("preview", {"image/png": b64encode(PNG).decode()}),
    ]
    (home / "notebooks").mkdir()
    nbformat.write(executed, home / "notebooks" / "claims.ipynb")
    config = yaml.safe_load((home / "_config.yml").read_text())
    config["execute"] = {"execute_notebooks": "off"}
    (home / "_config.yml").write_text(yaml.safe_dump(config))
    command = [Path(sys.executable).parent / "jupyter-book", "build", home, "--path-output", home, "-W", "-n"]
    environment = {"BOOK_URL": "https://example.org/book/", "BOOK_REPOSITORY": "https://github.com/someone/withstand"}
    done = subprocess.run(command, env=frame.os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return home / "_build" / "html"


def page(built, name):
    return BeautifulSoup((built / f"{name}.html").read_text(), "html.parser")


def told(parsed):
    return {tag.get("name") or tag["property"]: tag["content"] for tag in parsed.select("meta[property], meta[name]")}


def test_a_page_says_what_it_is_about(built):
    words = "How much of what an encoder knows is left where an image is seen through fog, and where through snow?"
    fog, boxes, first = (told(page(built, name)) for name in ("pages/fog", "pages/boxes", "index"))
    assert fog["description"] == fog["og:description"] == f"Fog and noise. {words}"
    assert fog["og:title"] == "Fog and noise · Withstand" and fog["og:type"] == "article"
    assert fog["og:url"] == "https://example.org/book/pages/fog.html" and fog["og:site_name"] == "Withstand"
    assert boxes["description"] == "Boxes, a page of a book on robust vision encoders."
    assert first["og:title"] == "Withstand" and first["og:type"] == "website"


def test_a_page_says_how_it_is_cited_and_where_its_source_is(built):
    parsed = page(built, "pages/fog")
    known = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text())
    text = " ".join(parsed.select_one(".extra_footer").get_text(" ").split())
    assert f"Version {known['version']} of" in text and "MIT licence" in text
    assert "Fog and noise. In Withstand, version" in text and "https://example.org/book/pages/fog.html" in text
    links = [link["href"] for link in parsed.select(".article-header-buttons a[href]")]
    repository = "https://github.com/someone/withstand"
    assert repository in links and any(link.startswith(f"{repository}/blob/main/pages/fog.md") for link in links)
    assert any(link.startswith(f"{repository}/issues/new") for link in links)


def test_a_link_to_a_page_has_an_image(built):
    for name in ("index", "pages/fog"):
        own = told(page(built, name))
        assert own["og:image"] == "https://example.org/book/_images/preview.png"
        assert (
            own["og:image:alt"] == "Bars of verdicts, one a <paper>." and own["twitter:card"] == "summary_large_image"
        )
    assert (built / "_images" / "preview.png").read_bytes() == PNG


def test_a_notebook_opens_elsewhere(built):
    links = [link["href"] for link in page(built, "notebooks/claims").select(".article-header-buttons a[href]")]
    on_colab = "https://colab.research.google.com/github/someone/withstand/blob/colab/notebooks/claims.ipynb"
    on_binder = "https://mybinder.org/v2/gh/someone/withstand/main?urlpath=lab/tree/notebooks/claims.ipynb"
    assert {on_colab, on_binder} <= set(links)


def test_on_colab_a_first_cell_fetches_the_book(tmp_path):
    colab.main("https://github.com/someone/withstand", str(tmp_path))
    copies = sorted((tmp_path / "notebooks").glob("*.ipynb"))
    assert [path.name for path in copies] == sorted(path.name for path in (paths.ROOT / "notebooks").glob("*.ipynb"))
    for path in copies:
        first, *others = nbformat.read(path, 4).cells
        assert "git clone --quiet --depth 1 https://github.com/someone/withstand /content/book" in first.source
        assert others == nbformat.read(paths.ROOT / "notebooks" / path.name, 4).cells


def test_a_page_loads_no_script_of_icons(built):
    for name in ("index", "pages/fog", "search"):
        assert not [own["src"] for own in page(built, name).select("script[src]") if "fontawesome" in own["src"]]
    assert len(page(built, "search").select("form.bd-search input")) == 2
    assert len(page(built, "search").select("#search-input")) == 1


def test_what_is_mended():
    given = (
        '<th class="head"><p></p></th><th>a</th><summary aria-label="Toggle hidden content">Show</summary>'
        '<div role="list" class="citation-list"></div><h1> </h1><h1>b</h1>'
        '<summary><span class="toctree-toggle"></span></summary>'
    )
    assert frame.mended(given) == (
        '<td class="head"></td><th>a</th><summary>Show</summary><div class="citation-list"></div><h1>b</h1>'
        '<summary aria-label="The pages below"><span class="toctree-toggle"></span></summary>'
    )


def test_a_signature_is_lighter_and_says_the_same():
    given = (
        '<dt class="sig sig-object py" id="lib.f"><span class="sig-name"><span class="pre">f</span></span>(<em>'
        '<span class="n"><span class="pre">a</span></span><span class="p"><span class="pre">:</span></span>'
        '<span class="w"> </span>int</em>)</dt><p><span class="pre">a</span></p>'
    )
    assert frame.mended(given) == (
        '<dt class="sig sig-object py" id="lib.f"><span class="sig-name">f</span>(<em><span class="n">a</span>: int'
        '</em>)</dt><p><span class="pre">a</span></p>'
    )


def test_a_description_ends_at_a_word(built):
    from docutils import nodes
    from docutils.utils import new_document

    document = new_document("page")
    document += nodes.paragraph("", "Words, " * 60)
    found = frame.described(document, "A page")
    assert len(found) <= frame.LONGEST and re.fullmatch(r"A page\. (Words, )+Words …", found)


@pytest.fixture(scope="module")
def opened(built):
    """The page of boxes in a browser, with a table of results and folds."""
    if browser.lacking():
        pytest.skip(browser.lacking())
    with browser.opened() as running:
        page = running.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
        page.goto((built / "pages" / "boxes.html").as_uri())
        yield page


def column(page, place):
    return page.locator("table.dataframe tbody tr").evaluate_all(
        f"rows => rows.map(row => row.cells[{place}].innerText)"
    )


def test_a_table_sorts_by_its_headings_and_is_saved(opened):
    opened.set_viewport_size({"width": 1280, "height": 900})
    button = opened.locator("table.dataframe th button")
    for place, expected in ((0, "abcd"), (1, "cbad"), (2, "dcab"), (3, "bcda")):  # a dash stands last
        button.nth(place).click()
        assert "".join(column(opened, 0)) == expected
    button.nth(3).click()
    assert "".join(column(opened, 0)) == "dcba"
    assert opened.locator("th[aria-sort=descending]").inner_text().startswith("difference (points)")
    with opened.expect_download() as saved:
        opened.locator(".save-table").click()
    assert saved.value.suggested_filename == "boxes_table_1.csv"
    text = Path(saved.value.path()).read_text()
    assert text.splitlines()[:2] == [",".join(f'"{own}"' for own in HEADS), '"d","101","3","0.5","holds","ours"']


def test_on_a_phone_a_line_of_a_wide_table_is_a_card(opened):
    opened.set_viewport_size({"width": 390, "height": 844})
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    cells = opened.locator("table.dataframe tbody tr").first.locator("td")
    boxes = [cells.nth(place).bounding_box() for place in range(6)]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes) and boxes[1]["y"] > boxes[0]["y"]
    label = "own => getComputedStyle(own, '::before').content"
    assert "clean (%)" in cells.nth(1).evaluate(label) and cells.nth(0).evaluate(label) == "none"
    tree = opened.locator("table.dataframe").aria_snapshot()
    assert "- table" in tree and tree.count("- columnheader") == 6 and tree.count("- row ") == 5
    assert tree.count("- cell") == 24


def test_on_a_phone_no_box_cuts_a_figure_off(opened):
    """It has the width of the screen: by itself, and in tabs, whose box has it too. A slider stays in its output."""
    svg = "data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 width=%22900%22 height=%22500%22/%3E"
    figure = f'<figure><img src="{svg}"><figcaption>A caption.</figcaption></figure>'
    slider = f'<figure><img src="{svg}" style="max-width: 100%"><input type="range"></figure>'
    themes = "figure { margin: 0 } .output { overflow: auto } .sd-tab-content { border: 1px solid; padding: 1rem }"
    style = (paths.ROOT / "pages" / "_static" / "withstand.css").read_text()
    page = opened.context.browser.new_page(viewport={"width": 390, "height": 844})
    page.set_content(
        f"<style>body {{ margin: 0 }} {themes} {style}</style>"
        f'<main class="bd-main"><article class="bd-article" style="margin: 0 16px">{figure}'
        f'<div class="sd-tab-set"><div class="sd-tab-content">{figure}</div></div>'
        f'<div class="output">{slider}</div></article></main>'
    )
    boxes = [own.bounding_box() for own in page.locator("img, .sd-tab-content, .output").all()]
    page.close()
    alone, tab, in_tab, output, in_slider = [(round(own["x"]), round(own["width"])) for own in boxes]
    assert alone == tab == in_tab == (0, 390) and output == in_slider == (16, 358)


def test_paper_is_light_and_says_what_it_leaves_out(opened):
    opened.set_viewport_size({"width": 1280, "height": 900})
    mode = "document.documentElement.dataset.theme"
    assert opened.evaluate(mode) == "dark"
    opened.emulate_media(media="print")
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.evaluate(mode) == "light" and opened.get_by_text("four").is_visible()
    for hidden in ("details.data", ".save-table", ".bd-sidebar-primary", ".bd-header-article", ".bd-footer-content"):
        assert not opened.locator(hidden).first.is_visible(), hidden
    told = "getComputedStyle(document.querySelector('.bd-article'), '::after').content"
    assert "data behind the figures" in opened.evaluate(told)
    opened.evaluate("dispatchEvent(new Event('afterprint'))")
    opened.emulate_media(media="screen")
    assert opened.evaluate(mode) == "dark" and not opened.get_by_text("four").is_visible()
