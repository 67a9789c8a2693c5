"""A Sphinx extension for what stands around the text of a page: what search engines and previews of a link are told,
the footer, the buttons of a repository, and faults of the theme that it mends.

Two variables of the environment say where the book will stand: `BOOK_URL` its address, and `BOOK_REPOSITORY` that of
its repository on GitHub, such as https://github.com/owner/name. Without them those of `_config.yml` count,
`html_baseurl` and `book_repository`; where these are empty too, links to them are left out.
"""

from __future__ import annotations

import gc
import html
import json
import os
import re
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from markupsafe import Markup

from lib import paths

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.config import Config
    from sphinx.environment import BuildEnvironment

LONGEST = 200  # characters of a description, of which engines show about 160
SHORTEST = 50  # of a paragraph that describes a page; labels are shorter
PREVIEW = "_images/preview.png"  # what is shown beside a link, in the built book
COLAB = "colab"  # the branch whose notebooks install what they need: see lib.colab


def setup(app: Sphinx) -> dict[str, bool]:
    gc.disable()  # millions of nodes live until the end: to search them for garbage takes a third of Sphinx's time
    app.connect("build-finished", lambda app, error: gc.enable())
    app.add_config_value("book_repository", "", "html")
    app.add_config_value("preview_alt", "", "")  # set by `_previewed`
    app.connect("config-inited", _placed)
    app.connect("builder-inited", _images_in_files)
    app.connect("env-updated", _previewed)
    app.connect("html-page-context", _framed, priority=900)  # the last to touch a page
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _placed(app: Sphinx, config: Config) -> None:
    """The address of the book, and buttons that need that of its repository."""
    config.html_baseurl = os.environ.get("BOOK_URL") or config.html_baseurl
    if repository := os.environ.get("BOOK_REPOSITORY") or config.book_repository:
        config.html_theme_options |= {
            "repository_url": repository, "repository_branch": "main", "use_repository_button": True,
            "use_issues_button": True, "use_source_button": True,
            "launch_buttons": {"binderhub_url": "https://mybinder.org", "notebook_interface": "jupyterlab",
                               "colab_url": "https://colab.research.google.com"},
        }  # fmt: skip


def _images_in_files(app: Sphinx) -> None:
    """Images of notebooks become files, which are loaded beside the text and are a third smaller than within it."""
    app.builder.supported_data_uri_images = False


def _previewed(app: Sphinx, env: BuildEnvironment) -> None:
    """What the page of claims glued as `preview` becomes a file, which `alt` describes; nothing where none is."""
    name = "notebooks/claims.ipynb"
    places = Path(app.srcdir) / name, Path(app.outdir).parent / "jupyter_execute" / name
    glued = next(filter(None, (_glued(path) for path in places if path.is_file())), {})
    png = glued.get("preview", {}).get("image/png")
    app.config.preview_alt = glued["verdicts"]["text/plain"] if png else ""
    if png:
        (path := Path(app.outdir) / PREVIEW).parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b64decode(png))


def _glued(notebook: Path) -> dict[str, dict[str, str]]:
    """What the cells of an executed notebook glued: name -> kind of data -> data."""
    outputs = [own for cell in json.loads(notebook.read_text())["cells"] for own in cell.get("outputs", ())]
    return {
        own["metadata"]["scrapbook"]["name"]: {
            kind.removeprefix("application/papermill.record/"): "".join(data) for kind, data in own["data"].items()
        }
        for own in outputs
        if "scrapbook" in own.get("metadata", {})
    }


def _framed(app: Sphinx, name: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Metadata, footer and mended HTML of one page."""
    site = app.config.html_title
    title = plain(context.get("title") or name)
    own = title if title == site else f"{title} · {site}"
    address = f"{app.config.html_baseurl.rstrip('/')}/{name}.html" if app.config.html_baseurl else ""
    if doctree is not None:
        told = described(doctree, title)
        facts = {"og:title": own, "og:description": told, "og:type": "website" if name == app.config.root_doc else
                 "article", "og:site_name": site, "og:url": address}  # fmt: skip
        if address and app.config.preview_alt:
            image = f"{app.config.html_baseurl.rstrip('/')}/{PREVIEW}"
            facts |= {"og:image": image, "og:image:alt": app.config.preview_alt, "twitter:card": "summary_large_image"}
        tags = [f'<meta property="{fact}" content="{html.escape(said)}"/>' for fact, said in facts.items() if said]
        tags.insert(0, f'<meta name="description" content="{html.escape(told)}"/>')
        context["metatags"] = context.get("metatags", "") + "\n".join(tags)
    for button in (own for group in context.get("header_buttons", ()) for own in group.get("buttons", ())):
        if button.get("text") == "Colab":  # opens one notebook without what lies around it
            button["url"] = re.sub(r"/blob/[^/]+/", f"/blob/{COLAB}/", button["url"])
    context["theme_extra_footer"] = footer(title, site, address)
    context["mended"] = lambda part: Markup(mended(str(part)))  # for pages/_templates/layout.html


def plain(text: str) -> str:
    """A title without its tags and the number of its chapter."""
    return re.sub(r"^\d+\. ", "", html.unescape(re.sub(r"<[^>]+>", "", text)).strip())


def described(doctree: nodes.document, title: str) -> str:
    """A page in a sentence or two: its first paragraphs that are none of a box, a figure or a table."""
    from docutils import nodes

    boxes = (
        nodes.Admonition,
        nodes.figure,
        nodes.table,
        nodes.list_item,
        nodes.definition,
        nodes.footnote,
        nodes.citation,
    )
    words = ""
    for paragraph in doctree.findall(nodes.paragraph):
        if any(isinstance(own, boxes) for own in _above(paragraph)):
            continue
        text = " ".join(paragraph.astext().split()).removeprefix("Question. ")
        if len(text) >= SHORTEST:
            words = text
            break
    words = f"{title}. {words}".removesuffix(". ") + ("" if words else ", a page of a book on robust vision encoders.")
    return words if len(words) <= LONGEST else words[: LONGEST - 2].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def _above(node: nodes.Node) -> list[nodes.Node]:
    found = []
    while (node := node.parent) is not None:
        found.append(node)
    return found


def footer(title: str, site: str, address: str) -> str:
    """Version, date, licence, and how the page is cited, as `CITATION.cff` has them."""
    known = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text())
    authors = ", ".join(own.get("name", "") for own in known["authors"])
    version, date = known["version"], known["date-released"]
    cited = f"{authors} ({date:%Y}). {title}. In {site}, version {version}." + (f" {address}" if address else "")
    return (
        f"<p>Version {version} of {date:%d %B %Y}. {known['license']} licence.</p>"
        f"<details><summary>Cite this page</summary><p>{html.escape(cited)}</p></details>"
    )


# What the theme and the builders write that it would be better without, and what stands there instead.
_FAULTS = (
    # icons by a script of 1.5 MB, which the theme has as letters as well
    (re.compile(r'<script[^>]*/fontawesome/[^>]*></script>'), ""),
    # a heading for the printer that a page without a title leaves empty
    (re.compile(r"<h1>\s*</h1>"), ""),
    # a label that hides from a screen reader what the fold says
    (re.compile(r'(<summary) aria-label="Toggle hidden content"'), r"\1"),
    # a fold of the list of pages that says nothing of itself
    (re.compile(r'<summary>(?=<span class="toctree-toggle")'), '<summary aria-label="The pages below">'),
    # a cell that is empty is no heading
    (re.compile(r"<th(\s[^>]*)?>\s*(?:<p>\s*</p>)?\s*</th>"), r"<td\1></td>"),
    # items of a bibliography have another role than those of a list
    (re.compile(r'<div role="list" class="citation-list">'), '<div class="citation-list">'),
)  # fmt: skip


# Of a signature: elements around each word and each sign, two or three deep, that no style tells apart.
_SIGNATURE = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)
_AROUND = re.compile(r'<span class="(?:pre|w|p|o)">([^<]*)</span>')


def mended(page: str) -> str:
    """A part of a page without `_FAULTS` and with lighter signatures; of two search fields, one keeps the id."""
    page = _SIGNATURE.sub(lambda found: _AROUND.sub(r"\1", _AROUND.sub(r"\1", found[0])), page)
    for fault, other in _FAULTS:
        page = fault.sub(other, page)
    first, *others = page.split('id="search-input"')
    return 'id="search-input"'.join([first, 'id="search-input-here"'.join(others)]) if others else first
