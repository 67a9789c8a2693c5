"""What a reader of a built book would stumble over: every page in headless Chromium, wide and narrow, light and dark.

`found_in` serves the folder of a book on this machine, opens each page once, changes its width and its mode, and gives
a sentence for each fault. What only executed notebooks show, `notebook_faults` finds.

    python tests/browser.py _build/html    # all of it, page by page: minutes of one core
"""

import functools
import http.server
import importlib.util
import io
import json
import re
import shutil
import sys
import threading
from base64 import b64decode
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from PIL import Image

WIDE, NARROW, HEIGHT = 1280, 390, 900  # px
MODES = ("light", "dark")
SMALLEST = 9.0  # px of the type of a figure on a phone
HEAVIEST, SHARED, MOST_NODES = 1.5e6, 2.5e6, 8_000  # bytes of a page's own and of what all pages share; elements
SEARCH = ("genindex.html", "search.html", "py-modindex.html")  # pages of the builder, which nobody describes
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")

# A page's own faults, at the width and in the mode that it has. On a desktop no table but the data behind a figure is
# wider than its text; on a phone some scroll.
SEEN = """(WIDE_ENOUGH) => {
  const found = [], main = document.querySelector('main') || document.body;
  for (const image of document.images)
    if (!image.complete || !image.naturalWidth) found.push('an image that is not loaded: ' + image.src.slice(0, 120));
  const over = document.documentElement.scrollWidth - window.innerWidth;
  if (over > 1) {
    const sticksOut = (own) => own.getBoundingClientRect().right > window.innerWidth + 1;
    const last = [...(document.querySelector('article') ?? main).querySelectorAll('*')].filter(sticksOut).pop();
    const named = last ? `, for <${last.tagName.toLowerCase()} class="${last.className}">` : '';
    found.push(`${over} px to scroll sideways${named}`);
  }
  for (const table of WIDE_ENOUGH ? main.querySelectorAll('table') : []) {
    let box = table.parentElement;
    while (box !== main && !/auto|scroll/.test(getComputedStyle(box).overflowX)) box = box.parentElement;
    const wider = table.offsetWidth && !table.closest('details.data') ? box.scrollWidth - box.clientWidth : 0;
    const words = table.textContent.trim().replace(/\\s+/g, ' ').slice(0, 60);
    if (wider > 1 && box !== main) found.push(`a table ${wider} px wider than its text: ${words}`);
  }
  for (const formula of main.querySelectorAll('.math'))
    if (!formula.querySelector('mjx-container') || formula.querySelector('mjx-merror'))
      found.push('a formula that is not rendered: ' + formula.textContent.trim().slice(0, 60));
  for (const formula of /\\/api\\//.test(location.pathname) ? [] : main.querySelectorAll('div.math mjx-container')) {
    const wider = formula.scrollWidth - formula.clientWidth;  // docstrings are not written for a phone
    if (wider > 1) found.push(`a formula ${wider} px wider than the text: ${formula.closest('[id]')?.id}`);
  }
  return found;
}"""

# The theme makes what scrolls reachable by the keyboard as a page is loaded, and a third of a second after a change of
# width, of which axe asks.
SETTLED = """(ms) => new Promise(done =>
  requestAnimationFrame(() => requestAnimationFrame(() => ms ? setTimeout(done, ms) : done())))"""
LATER = 500  # ms

# What is the same at every width, to be compared with other pages or with files.
FACTS = """() => {
  const said = (name) => document.querySelector(`meta[name="${name}"], meta[property="${name}"]`)?.content ?? '';
  const loaded = performance.getEntriesByType('resource').map(own => own.name);
  const ids = [...document.querySelectorAll('[id]')].map(own => own.id);
  return {
    title: document.title, metadata: Object.fromEntries(NAMES.map(name => [name, said(name)])),
    nodes: document.querySelectorAll('*').length, loaded, ids: [...new Set(ids)],
    twice: [...new Set(ids.filter((id, place) => ids.indexOf(id) !== place))],
    links: [...new Set([...document.querySelectorAll('a[href]')].map(own => own.getAttribute('href')))],
  };
}"""
NAMES = ("description", "og:title", "og:description", "og:type", "og:site_name")

# How wide figures are drawn, each tab opened for its own.
FIGURES = """() => [...document.querySelectorAll('article figure img, article .figure img')].map(image => {
  const tab = image.closest('.sd-tab-content')?.previousElementSibling?.previousElementSibling;
  if (tab?.matches('input')) tab.checked = true;
  return [image.currentSrc || image.src, image.getBoundingClientRect().width];
})"""

# Of words that look alike on a ground of one colour, axe is asked about the first two of a book in each mode, which
# `looks` counts from page to page: its rules of colours are slow. The selector `within` names the words it is about.
AXE = """async ([rules, looks, within]) => {
  const grounds = new Map();
  const ground = (own) => {
    if (!own) return '';
    if (!grounds.has(own)) {
      const colour = getComputedStyle(own).backgroundColor;
      grounds.set(own, /^rgba\\(.* 0\\)$/.test(colour) ? ground(own.parentElement) : colour);
    }
    return grounds.get(own);
  };
  const worded = (own) => [...own.childNodes].some(part => part.nodeType === 3 && part.data.trim());
  const first = (own) => {
    if (!worded(own) || !own.checkVisibility()) return false;
    const {color, fontSize, fontWeight, opacity} = getComputedStyle(own);
    const around = getComputedStyle(own.parentElement).color;
    const look = [own.tagName, own.className, color, around, fontSize, fontWeight, opacity, ground(own)].join();
    return (looks[look] = (looks[look] ?? 0) + 1) <= 2;
  };
  const asked = {resultTypes: ['violations'], preload: false, ...rules};  // without loads of its own
  const where = rules.rules ? document : [...document.body.querySelectorAll(within)].filter(first);
  if (where.length === 0) return [[], looks];
  const found = (await axe.run(rules.rules ? where : {include: where}, asked)).violations;
  const why = (node) => [...node.any, ...node.all, ...node.none][0]?.message.slice(0, 160) ?? '';
  return [found.filter(own => ['serious', 'critical'].includes(own.impact)).map(own =>
    `${own.id} (${own.impact}, ${own.nodes.length} times), such as ${own.nodes[0].html.slice(0, 160)}: ` +
    why(own.nodes[0])), looks];
}"""
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
OTHERS = {"rules": {name: {"enabled": False} for name in COLOURS["runOnly"]}}
AROUND = "body *:not(article *)"
OF_WIDTHS = {"rules": {}, "runOnly": ["scrollable-region-focusable", "button-name", "link-name", "label"]}


def lacking():
    """Why no browser can be opened here, in a sentence; "" where one can."""
    if not chromium():
        return "no Chromium on this machine (Debian's package chromium), so no page was opened"
    for name in ("playwright", "axe_playwright_python"):
        if importlib.util.find_spec(name) is None:
            return f"the package {name} is not installed (extra `test`), so no page was opened"
    return ""


def chromium():
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


@contextmanager
def opened():
    """A browser, for as many books as one likes."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *given):
        pass


@contextmanager
def _served(book):
    """The address of a server of the files of a folder."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(book)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def pages_of(book):
    return [path for path in sorted(book.rglob("*.html")) if "_static" not in path.relative_to(book).parts]


def found_in(book, browser, log=None, alike=()):
    """What is wrong with the pages of a built book, a sentence each; `log` is told of each page as it is left.

    axe, which takes seconds for a page, is not asked about pages that are `alike` others.
    """
    faults, facts, looks = [], {}, {mode: {} for mode in MODES}
    with _served(book) as home:
        context = browser.new_context(viewport={"width": WIDE, "height": HEIGHT}, reduced_motion="reduce")
        context.set_default_timeout(600_000)  # ms: a busy machine is slow, and that is no fault of a page
        page, said = context.new_page(), []
        _listen(page, home, said)
        for path in pages_of(book):
            name = path.relative_to(book).as_posix()
            said.clear()
            page.set_viewport_size({"width": WIDE, "height": HEIGHT})
            page.goto(home + name, wait_until="load")
            facts[name], own = _looked_at(page, book, home, None if name in alike else looks)
            own = [f"{name}: {fault}" for fault in dict.fromkeys([*said, *own])]
            faults += own
            if log:
                log(name, own)
        context.close()
    return faults + _between_pages(book, facts)


def _listen(page, home, said):
    """What the page says to the console, and asks of others, is told in `said`."""

    def stopped(route):
        said.append(f"asks for {route.request.url[:120]}, which is elsewhere")
        route.abort()

    def heard(told):
        if told.type == "error" and not told.text.startswith("Failed to load resource"):
            said.append(f"the console: {told.text[:150]}")

    def answered(response):
        if response.status >= 400:
            said.append(f"asks for {response.url.removeprefix(home)}, which is not there")

    page.on("console", heard)
    page.on("response", answered)
    page.on("pageerror", lambda error: said.append(f"a script fails: {str(error)[:150]}"))
    page.route(re.compile(f"^(?!{re.escape(home)}|data:|blob:)"), stopped)


def _looked_at(page, book, home, looks):
    """The facts of an open page, and its faults, at both widths and in both modes; `looks` are as in `AXE`, by mode.

    Where these are None axe is not asked.
    """
    page.evaluate("() => window.MathJax?.startup?.promise?.then(() => true)")
    facts = page.evaluate(f"() => {{ const NAMES = {json.dumps(NAMES)}; return ({FACTS})() }}")
    facts["loaded"] = [url.removeprefix(home) for url in facts["loaded"] if url.startswith(home)]
    faults = []
    if looks is not None:
        page.evaluate(_axe())
    page.add_style_tag(content="*, ::before, ::after { transition: none !important }")  # see `_in_mode`
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.evaluate(SETTLED, LATER if width == NARROW and looks is not None else 0)
        for mode in MODES:
            _in_mode(page, mode)
            own = page.evaluate(SEEN, width == WIDE) if mode == MODES[0] else []
            own += [] if looks is None else _inaccessible(page, width, mode, looks)
            faults += [f"{fault} (at {width} px, {mode})" for fault in own]
    for url, shown in page.evaluate(FIGURES):
        faults += _small_type(book, url, shown)
    return facts, faults


def _inaccessible(page, width, mode, looks):
    """What axe finds, each of its rules where it can find something else than before. Colours of an article are the
    same at both widths: they are asked for in each mode once; those of what stands around it on a phone as well."""

    def asked(rules):
        faults, told = page.evaluate(AXE, [rules, looks[mode], "*" if width == WIDE else AROUND])
        looks[mode].update(told)
        return faults

    if (width, mode) == (WIDE, MODES[0]):
        return asked(COLOURS) + asked(OTHERS)
    return asked(OF_WIDTHS) if mode == MODES[0] else asked(COLOURS)


def _in_mode(page, mode):
    """In a mode at once, since nothing fades: colours on their way from one to the other are those of neither."""
    page.emulate_media(color_scheme=mode, reduced_motion="reduce")
    page.evaluate("mode => { document.documentElement.dataset.theme = mode }", mode)


@functools.cache
def _axe():
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()


# A text of matplotlib's in an SVG: as outlines, of fonts 100 units high, or as text. Parts of formulas are set smaller
# inside, as exponents are anywhere.
_OUTLINES = re.compile(r"scale\(([\d.]+) -\1\)")
_TEXT = re.compile(r"font(?:-size)?:\s*(?:[a-z]+ |\d{3} )*([\d.]+)px")


def _small_type(book, url, shown):
    """A fault where the type of a figure, `shown` so many px wide, is too small to be read."""
    path = book / unquote(urlsplit(url).path).lstrip("/")
    data = b64decode(url.split(",", 1)[1]) if url.startswith("data:") else path.read_bytes() if path.is_file() else b""
    size, width = type_in(data)
    pixels = size * shown / width if width else SMALLEST
    name = "a figure" if url.startswith("data:") else path.name
    return [f"type of {pixels:.1f} px in {name} on a phone"] if 0 < pixels < SMALLEST - 0.05 else []


def type_in(data):
    """The smallest type of an image and its width, both in points; zeros where it has none or does not say so."""
    if not data.startswith(b"\x89PNG"):
        text = data.decode(errors="replace")
        sizes = [100 * float(own) for own in _OUTLINES.findall(text)] + [float(own) for own in _TEXT.findall(text)]
        width = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ', text)
        return (min(sizes), float(width[1])) if sizes and width else (0.0, 0.0)
    with Image.open(io.BytesIO(data)) as image:
        told = getattr(image, "text", {}).get("Smallest type", "")
        return (float(told), 72 * image.width / round(image.info["dpi"][0])) if told else (0.0, 0.0)


def _between_pages(book, facts):
    """What is wrong between pages, or between a page and the files that it loads."""
    faults = []
    titles = Counter(own["title"] for own in facts.values())
    told = Counter(own["metadata"]["description"] for own in facts.values())
    for name, own in facts.items():
        if not own["title"].strip() or titles[own["title"]] > 1:
            faults.append(f"{name}: a title that is not its own: {own['title']!r}")
        if own["twice"]:
            faults.append(f"{name}: ids that stand twice: {', '.join(own['twice'][:5])}")
        if name not in SEARCH:
            faults += [f"{name}: no {field} in its head" for field, said in own["metadata"].items() if not said.strip()]
            if told[own["metadata"]["description"]] > 1:
                faults.append(f"{name}: a description that is not its own")
        faults += [f"{name}: {fault}" for fault in _weight(book, {name, *own["loaded"]})]
        if own["nodes"] > MOST_NODES:
            faults.append(f"{name}: {own['nodes']:,} elements")
        faults += [f"{name}: a link to nowhere: {link}" for link in own["links"] if not _leads(book, name, link, facts)]
    return faults


def _weight(book, parts):
    """Whether a page with its images is too heavy, or what it shares with others: style, scripts, letters, formulas."""
    files = [path for path in {book / unquote(urlsplit(part).path) for part in parts} if path.is_file()]
    shared = sum(path.stat().st_size for path in files if "_static" in path.parts)
    own = sum(path.stat().st_size for path in files) - shared
    faults = [f"{own / 1e6:.2f} MB of its own to load"] if own > HEAVIEST else []
    return faults + ([f"{shared / 1e6:.2f} MB of scripts and styles to load"] if shared > SHARED else [])


def _leads(book, name, link, facts):
    """Whether a link leads somewhere: to a page and a place on it, to a file, or out of the book."""
    parts = urlsplit(urljoin(f"http://book/{name}", link))
    if urlsplit(link).scheme or urlsplit(link).netloc:
        return True
    target = unquote(parts.path).lstrip("/")
    if target in facts:
        return parts.fragment in ("", "top") or unquote(parts.fragment) in facts[target]["ids"]
    return (book / target).is_file()


# What the outputs of a notebook do not show: a place on the machine that executed it, or a warning.
_WARNED = re.compile(r"\b\w*Warning: ")
_BARE = re.compile(r"^<(?:Figure size|Axes|seaborn\.|matplotlib\.).*>$")


def notebook_faults(path, places=()):
    """What is wrong with the outputs of an executed notebook, a sentence each. `places` are folders not to be named."""
    places = [str(place) for place in (Path.home(), sys.prefix, *places) if str(place) != "/"]
    faults = []
    for place, cell in enumerate(json.loads(path.read_text())["cells"]):
        for output in cell.get("outputs", ()):
            told = "".join(_texts(output))
            if named := next((own for own in places if own in told), None):
                faults.append(f"{path.name}, cell {place}: names the folder {named}")
            if found := _WARNED.search(told):
                faults.append(f"{path.name}, cell {place}: a warning, {told[found.start() :][:120]!r}")
            if output.get("data") and _BARE.match("".join(output["data"].get("text/plain", "")).strip()):
                faults.append(f"{path.name}, cell {place}: an image that says nothing of itself")
    return faults


def _texts(output):
    """What of an output is text; no images."""
    yield from output.get("text", ())
    for kind, data in output.get("data", {}).items():
        if kind.startswith("text/"):
            yield re.sub(r"data:image/[^\"')\s]+", "", "".join(data))


def main():
    """Print what is wrong with the book in the folder that is named; 1 if anything is."""
    if lacking():
        sys.exit(lacking())
    with opened() as running:
        faults = found_in(Path(sys.argv[1]), running, log=lambda name, own: print(name, *own, sep="\n  ", flush=True))
    print(*faults, sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
