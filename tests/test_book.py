"""The book as a reader gets it, and the quick preset through papermill: the slowest tests of all."""

import json
import os
import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path

import browser
import nbformat
import pytest
from bs4 import BeautifulSoup

from lib import book, paths
from lib.cells import COMPARED
from lib.chapters import PLANS
from lib.chapters import __main__ as chapters_command
from lib.chapters.severity.__main__ import README_FIGURE, drawing
from lib.errors import BadInput
from lib.figures import standing_words
from lib.figures.figure import LEFT_OUT
from lib.figures.prose import UNTOLD
from lib.figures.reading import PACE
from lib.runs import PRESETS, Study
from lib.runs.plan import all_systems, configs_of, datasets_of
from lib.verdicts import UNJUDGED

PAGES = sorted(PLANS)  # each study has one
NOTEBOOK = paths.ROOT / "notebooks" / "severity_degradation.ipynb"
QUIETLY = ("--no-progress-bar", "--start-timeout", "3600")  # seconds that a kernel may take to start


@pytest.mark.parametrize(("html", "fault"), [
    ('<div class="output traceback highlight-ipythontb">', "a traceback"),
    ('<span class="pasted-text"></span>', "an empty glued value"),
    ('<img src="a.png">', "without alternative text"),
    ('<img alt="" src="a.png">', "without alternative text"),
    ('<img alt="../_images/0123456789abcdef0123456789abcdef01234567.png" src="a.png">', "is a file name"),
    ('<span class="default_value"><span class="pre">&lt;function</span> mean&gt;</span>', "its name belongs"),
    ("<p>Define the computation performed at every call.</p>", "torch says"),
])  # fmt: skip
def test_faults_are_found(tmp_path, html, fault):
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\nparts:\n- chapters:\n  - file: a/b\n")
    assert book.pages(tmp_path) == ["index", "a/b"]
    (tmp_path / "index.html").write_text('<img alt="A line chart." src="x.svg"><span class="pasted-text">4</span>')
    assert book.faults(tmp_path, tmp_path) == ["a/b was not built"]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.html").write_text(html)
    (found,) = book.faults(tmp_path, tmp_path)
    assert found.startswith("a/b holds") and fault in found


def test_pages_below_a_page_are_pages(tmp_path):
    chapters = "  - file: a\n    sections:\n    - file: b\n      sections:\n      - file: c\n  - file: d\n"
    (tmp_path / "_toc.yml").write_text(f"format: jb-book\nroot: index\nparts:\n- chapters:\n{chapters}")
    assert book.pages(tmp_path) == ["index", "a", "b", "c", "d"]


# What a reader of a chapter meets before tiring; what is longer is for its details.
PROSE, FIGURES, ANSWER = 3_000, 12, 60  # words; figures; words
UNREAD = "table, pre, script, style, nav, .math, .cell_input, .headerlink, details > summary, .standing"
CHAPTERS = [name for name in PAGES if (paths.ROOT / "notebooks" / f"{name}{book.DETAILS}.ipynb").exists()]


def told_in(page, *unread):
    """The words of a built page that are read as prose, captions and hidden solutions among them: not those of tables,
    formulas and code, nor the list of what is stale, which is as long as it is."""
    article = BeautifulSoup(page, "html.parser").find("article")
    for part in article.select(", ".join((UNREAD, *unread))):
        part.decompose()
    return [word for word in article.get_text(" ").split() if any(letter.isalnum() for letter in word)]


def shown_in(page):
    """How many figures of a built page are in view at a time: of a set of tabs, one."""
    article = BeautifulSoup(page, "html.parser").find("article")
    figures = article.find_all("figure")
    sets = [figure.find_parent(class_="sd-tab-set") for figure in figures]
    return sum(own is None for own in sets) + len({id(own) for own in sets if own is not None})


def open_code(page):
    """The code of a built page that no fold hides, which the page's one button would not reach."""
    article = BeautifulSoup(page, "html.parser").find("article")
    return [cell.get_text() for cell in article.select(".cell_input") if not cell.find_parent("details", class_="hide")]


def test_budgets_count_what_is_read_and_seen():
    table, code = "<table><tr><td>one</td></tr></table>", '<div class="cell_input"><pre>x = 1</pre></div>'
    tabs = '<div class="sd-tab-set"><figure></figure><figure></figure></div>'
    folded = f'<details class="admonition hide above-input"><summary><p>Show the code</p></summary>{code}</details>'
    page = (
        f"<nav>no</nav><article><h1>Two words</h1><p>and – three more</p>{table}{tabs}{folded}"
        '<span class="math">x</span><figure><figcaption>A caption.</figcaption></figure>'
        '<details class="standing"><summary>Some</summary><p>stale</p></details></article>'
    )
    assert told_in(page) == ["Two", "words", "and", "three", "more", "A", "caption."]
    assert told_in(page, "figure") == ["Two", "words", "and", "three", "more"]
    assert shown_in(page) == 2 and open_code(page) == []
    assert open_code(page.replace("</h1>", f"</h1>{code}")) == ["x = 1"]


def check_budgets(page, taught=0):
    """Of a chapter's built page: its length, its figures, its answer, its code and the time that it asks for. Cells
    that are `taught` are read as text is."""
    assert long_captions(page) == [], "a caption is long"
    assert len(told_in(page)) <= PROSE and shown_in(page) <= FIGURES and len(open_code(page)) == taught
    article = BeautifulSoup(page, "html.parser").find("article")
    (answer,) = [own.get_text() for own in article.find_all("p") if own.get_text().startswith("Answer.")]
    assert 5 < len(answer.split()) - 1 <= ANSWER
    (minutes,) = re.findall(r"Reading the text takes about (\d+) minutes", article.get_text())
    assert int(minutes) * PACE == pytest.approx(len(told_in(page, "figure", "details.data")), rel=0.15, abs=PACE)
    for list_of in article.select("section#exercises > ol"):
        exercises = list_of.find_all("li", recursive=False)
        assert exercises and all(own.select("details") for own in exercises), "every exercise has a hidden solution"


CAPTION = 60  # words of one caption: a phone shows as many in eight to ten lines


def long_captions(page):
    """The captions of a built page with too many words."""
    article = BeautifulSoup(page, "html.parser").find("article")
    told = [own.get_text(" ") for own in article.find_all("figcaption")]
    return [text for text in told if sum(any(map(str.isalnum, word)) for word in text.split()) > CAPTION]


def test_captions_that_are_too_long_are_found():
    page = "<article><figure><figcaption>{}</figcaption></figure><p>{}</p></article>"
    long, longest = "word " * 61, "word – " * 60
    assert long_captions(page.format(long, "")) == [long] and long_captions(page.format(longest, long)) == []
    with pytest.raises(AssertionError, match="a caption"):
        check_budgets(page.format(long, ""))


def test_a_section_without_results_is_a_line():
    """With its label; one that has a result of several stays whole, and so does one that shows nothing at all."""
    new = nbformat.v4
    glue = {"output_type": "display_data", "data": {"text/plain": repr(UNTOLD)}, "metadata": {}}
    words = new.new_code_cell("glue", outputs=[nbformat.from_dict(glue | {"metadata": {"scrapbook": {"name": "a"}}})])
    number, figure = (
        new.new_code_cell("x", outputs=[nbformat.from_dict(glue | {"data": {"text/plain": text}})])
        for text in ("5.0", f"{LEFT_OUT}: rows have none.")
    )
    text = new.new_markdown_cell
    cells = [words, text("(b)=\n## Empty\n\n{glue:text}`a` Words."), figure, text("More.\n\n## Words\n\nAlone."),
             text("## Half\n\n{glue:text}`a`"), number]  # fmt: skip
    kept = [cell.source for cell in book.without_empty_sections(cells)]
    assert kept == ["glue", f"(b)=\n*Empty.* {UNTOLD}", "## Words\n\nAlone.", "## Half\n\n{glue:text}`a`", "x"]


@pytest.mark.parametrize(("data", "empty"), [
    ({"text/html": f"<p><strong>a</strong></p><p>{UNTOLD}</p><p><strong>b</strong></p><p>{UNTOLD}</p>"}, True),
    ({"text/html": f"<p><strong>a</strong></p><p>{UNTOLD}</p><strong>b</strong><table><td>5</td></table>"}, False),
    ({"text/markdown": f"**a.** {UNTOLD}\n\n**b.** {UNTOLD}", "text/plain": "<Markdown object>"}, True),
    ({"text/markdown": f"**a.** {UNTOLD}\n\n**b.** It gains 2 points.", "text/plain": "<Markdown object>"}, False),
    ({"text/markdown": "```{figure} data:\n" + LEFT_OUT, "text/html": "<p></p>"}, True),
    ({"text/markdown": "```{figure} data:\n" + LEFT_OUT + "\n```{figure} data:\nGains."}, False),
    ({"image/png": "iVBO"}, False),
    ({"text/plain": repr(UNJUDGED)}, True),
])  # fmt: skip
def test_a_section_stays_where_one_data_set_has_results(data, empty):
    output = nbformat.from_dict({"output_type": "display_data", "data": data, "metadata": {}})
    cells = [nbformat.v4.new_markdown_cell("## Own"), nbformat.v4.new_code_cell("x", outputs=[output])]
    assert (len(book.without_empty_sections(cells)) == 1) == empty


INTERVAL = re.compile(r"\[[-−]?[\d.,]*\d(?: %)?, [-−]?[\d.,]*\d(?: %)?\]")


def crowded(page):
    """The paragraphs of running text with more than one interval: these stand in figures and tables."""
    article = BeautifulSoup(page, "html.parser").find("article")
    for beside in article.select("figure, table, details, pre, .cell_input"):
        beside.decompose()
    told = [own.get_text() for own in article.find_all(["p", "li"])]
    return [text for text in told if len(INTERVAL.findall(text)) > 1]


def test_paragraphs_with_two_intervals_are_found():
    page = "<article><p>It gains 2.0 [1.0, 3.0] points.</p><p>{}</p><table><td><p>{}</p></td></table></article>"
    two = "2.0 [1.0, 3.0] points clean and −1 [−2.5, 0] under PGD"
    assert crowded(page.format(two, two)) == [two] and crowded(page.format("[1] and [2, see 3]", two)) == []


# Sizes in files of a clone, each text on the left once. A book shows that it is made: every cell and every run of it
# is executed, and what is learned from so little is not asked for. No rows are published of the quick preset.
CUTS = {
    "lib/images/__init__.py": {
        '"train": 10_000, "validation": 1_000}': '"train": 400, "validation": 100}',
        "SCENES_SIZE.get(split, 2_000)": "SCENES_SIZE.get(split, 400)",
        "SCENES_BLOCK = 1_000 ": "SCENES_BLOCK = 100 ",
    },
    "lib/training/masks.py": {"\nTRAINED_ON = 5_000 ": "\nTRAINED_ON = 240 ", "\nBATCHES = 100 ": "\nBATCHES = 10 "},
    "lib/runs/presets.py": {
        "            2_000,\n            200,\n": "            400,\n            60,\n",
        "            epochs=4,\n": "            epochs=1,\n",
        "            passes=12,\n": "            passes=4,\n",
    },
    "lib/chapters/tradeoff/plan.py": {
        "[RobustAccuracy(60, (2, 8), 10, 1), SyntheticInvariance(60, 4)]": (
            "[RobustAccuracy(20, (2, 8), 3, 1), SyntheticInvariance(20, 4)]"
        ),
    },
}
# Images to train on in a notebook's live cell.
LIVE = {
    "2000": "400",
    '"scenes", "test", 600': '"scenes", "test", 200',
    '("train", 300), ("validation", 100)': '("train", 60), ("validation", 30)',
}

# Pages of rooms are made alike from docstrings, and large: of them axe is asked here about two, and about all by
# `python tests/browser.py`.
ROOMS = [path.with_suffix(".html").name for path in (paths.ROOT / "pages" / "api").glob("*.md")]
ALIKE = {f"pages/api/{name}" for name in ROOMS} - {"pages/api/index.html", "pages/api/images.html"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of what is committed or about to be, without builds, runs or data, and with the least to compute."""
    home = tmp_path_factory.mktemp("clone of the book")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=paths.ROOT, capture_output=True, text=True
    )
    names = listed.stdout.splitlines() if listed.returncode == 0 else []
    if not names:
        pytest.skip("not a git checkout")
    for name in names:
        if (paths.ROOT / name).is_file():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(paths.ROOT / name, home / name)
    assert not list(paths.RESULTS.glob("*/quick"))  # rows of the sizes that are cut here would not be found
    cut(home, CUTS)
    notebooks = sorted((home / "notebooks").glob("*.ipynb"))
    for given, less in LIVE.items():
        given, less = (json.dumps(own)[1:-1] for own in (given, less))
        live = [path for path in notebooks if given in path.read_text()]
        assert len(live) >= (4 if given == "2000" else 1), given  # of pages that fit something to scenes
        for path in live:
            path.write_text(path.read_text().replace(given, less))
    return home


def cut(home, cuts):
    for name, own in cuts.items():
        for given, less in own.items():
            text = (home / name).read_text()
            assert text.count(given) == 1, (name, given)
            (home / name).write_text(text.replace(given, less))


def run(*command, cwd, **environment):
    home = cwd.parent if cwd.name == "notebooks" else cwd if "clone" in str(cwd) else paths.ROOT
    environment = {**os.environ, "PYTHONPATH": str(home), **environment}
    options = () if command[0] == "-c" else ("-m",)
    return subprocess.run(
        [sys.executable, *options, *command], cwd=cwd, env=environment, capture_output=True, text=True
    )


# Papermill's command, with kernels that cannot lose their ports to those of other tests.
OVER_FILES = """
import tempfile
from papermill.cli import papermill
from papermill.clientwrap import PapermillNotebookClient
from lib.kernels import kernels

plain = PapermillNotebookClient.__init__
PapermillNotebookClient.__init__ = lambda self, *given, **options: plain(
    self, *given, kernel_manager_class=kernels(tempfile.mkdtemp()), **options
)
papermill()
"""


def papermill(*arguments, cwd, **environment):
    return run("-c", OVER_FILES, *arguments, cwd=cwd, **environment)


def test_published_book_is_whole(clone, tmp_path):
    """From the published rows alone: no data set, no earlier run, no network. Live cells learn from the least."""
    done = run("lib.book", cwd=clone, WITHSTAND_RUNS=str(tmp_path / "runs"), WITHSTAND_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    html = clone / "_build" / "html"
    assert book.faults(clone, html) == []
    page = (html / "notebooks" / "severity_degradation.html").read_text()
    assert len(re.findall(r"<figure ", page)) >= 5 and "Preset " in page and "cifar10" in page
    assert 'id="fig-how-sure"' in (html / "pages" / "how_sure.html").read_text()  # a page with code is executed as well
    for name in PAGES:  # what is stale or left out is said at the top, and nothing else is called stale
        page, results = (html / "notebooks" / f"{name}.html").read_text(), Study(PLANS[name]).results()
        assert escape(standing_words(results), quote=False) in page.replace("’", "'")
        assert (", stale in part" in page) == results.stale
    for own in (html / "notebooks").glob("*.html"):
        assert crowded(own.read_text()) == [] == long_captions(own.read_text()), own.name
    for name in CHAPTERS:
        taught = 2 if name == "methods" else 0  # how a method is added
        check_budgets((html / "notebooks" / f"{name}.html").read_text(), taught)
    for found in html.rglob("*.html"):
        assert not re.findall(r'(?:src|href)="https?://[^"]+\.(?:js|css)"', found.read_text()), found
    executed = (clone / "_build" / "source" / "notebooks").glob("*.ipynb")
    assert [fault for own in executed for fault in browser.notebook_faults(own, [clone])] == []
    if browser.lacking():
        pytest.skip(f"the book is whole as its files tell; {browser.lacking()}")
    with browser.opened() as running:
        found = browser.found_in(html, running, alike=ALIKE)
    assert found == []


def test_quick_book_is_trained_here_and_now(clone, tmp_path):
    """Every notebook is executed and every run of it trained, of one seed and with the fewest steps. The pages of the
    toolbox, which are the published book's, are left out."""
    home = tmp_path / "small clone of the book"
    shutil.copytree(clone, home, ignore=shutil.ignore_patterns("_build"))
    toc = (home / "_toc.yml").read_text()
    (home / "_toc.yml").write_text(toc[: toc.index("  - caption: The toolbox")])
    done = run(
        "lib.book", "--preset", "quick", "--seeds", "[0]", cwd=home,
        WITHSTAND_RUNS=str(tmp_path / "runs"), WITHSTAND_CACHE=str(tmp_path / "cache"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    html = home / "_build" / "quick" / "html"
    assert book.faults(home, html) == [] and {f"notebooks/{name}" for name in PAGES} <= set(book.pages(home))
    for name in PAGES:
        assert "Preset quick: scenes" in (html / "notebooks" / f"{name}.html").read_text()
    runs = len(list((tmp_path / "runs").glob("*/record.json")))
    studies = [set(configs_of(PLANS[name], "quick", Study(PLANS[name], preset="quick").methods, [0])) for name in PAGES]
    assert runs == len(set.union(*studies)) + 1  # what studies share is trained once; and the methods page's toy


def notebook(path, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)


KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


@pytest.fixture
def two_notebooks(tmp_path, monkeypatch):
    """A book of two notebooks, each of which ends only when the other one has begun."""
    for name in ("pages", "notebooks"):
        (tmp_path / name).mkdir()
    for name in ("_toc.yml", "_config.yml", "index.md"):
        shutil.copy(paths.ROOT / name, tmp_path / name)
    for own, other in (("a", "b"), ("b", "a")):
        waits = f"import pathlib, time\npathlib.Path('{own}').touch()\nwhile not pathlib.Path('{other}').exists():\n"
        notebook(tmp_path / "notebooks" / f"{own}.ipynb", "word = 'own'", waits + "    time.sleep(0.1)", "print(word)")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(book, "cores", lambda: 2)
    return tmp_path


def test_notebooks_are_executed_side_by_side_with_their_parameters(two_notebooks, capsys):
    """By kernels that are reached by files: a port that was free when it was chosen may be taken when the kernel binds
    it, and then both wait for ever."""
    asked = "import json\nfrom ipykernel.connect import get_connection_info\nprint(json.loads(get_connection_info()))"
    for path in sorted((two_notebooks / "notebooks").iterdir()):
        begun = nbformat.read(path, 4)
        begun.cells.append(nbformat.v4.new_code_cell(asked))
        nbformat.write(begun, path)
    book.execute({"word": "handed over"}, two_notebooks / "copy")
    places = set()
    for name in "ab":
        executed = nbformat.read(two_notebooks / "copy" / "notebooks" / f"{name}.ipynb", 4)
        *_, said, reached = executed.cells
        assert said.outputs[0].text == "handed over\n"
        tags = [cell.metadata.tags for cell in executed.cells[:2]]
        assert tags == [["parameters"], ["injected-parameters", "hide-input"]]
        told = reached.outputs[0].text
        assert f"'transport': '{'ipc' if os.name == 'posix' else 'tcp'}'" in told
        places.add(re.search(r"'ip': '([^']+)'", told).group(1))
    assert len(places) == (2 if os.name == "posix" else 1)
    assert sorted(line.split(":")[0] for line in capsys.readouterr().out.splitlines()) == ["a.ipynb", "b.ipynb"]


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forks on Linux")
def test_kernels_begin_with_their_imports_behind_them_and_nothing_else(two_notebooks):
    """Where their notebook lies, without what another one set, and with the size of figures that kernels have."""
    asked = (
        "import os, sys, json\nknown = 'torch' in sys.modules, 'lib.figures' in sys.modules, '__main__' in sys.modules"
        "\nimport matplotlib, torch\nhad = os.environ.get('LEFT'), torch.is_grad_enabled(), torch.get_num_threads()"
        "\nos.environ['LEFT'] = 'behind'; torch.set_grad_enabled(False)"
        "\nprint(json.dumps([known, had, os.getcwd(), matplotlib.get_backend()]))"
    )
    for name in "ab":
        notebook(two_notebooks / "notebooks" / f"{name}.ipynb", "", asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(book, "cores", lambda: 1)  # one process and its server start both
        book.execute({}, two_notebooks / "copy")
    for name in "ab":
        told = nbformat.read(two_notebooks / "copy" / "notebooks" / f"{name}.ipynb", 4).cells[-1].outputs[0].text
        known, had, folder, backend = json.loads(told)
        assert all(known) and had == [None, True, 1] and folder == str(two_notebooks / "notebooks")
        assert "inline" in backend


def test_a_notebook_that_stops_is_one_sentence(two_notebooks):
    notebook(two_notebooks / "notebooks" / "a.ipynb", "open('a', 'w').close()", "raise ValueError('too few images')")
    with pytest.raises(BadInput, match="^a.ipynb stopped in cell 1: too few images$"):
        book.execute({}, two_notebooks / "copy")


def test_papermill_on_real_images_with_lists_as_strings(clone, real_cifar10, tmp_path):
    given = {"dataset": "cifar10", "methods": '["simclr","byol"]', "seeds": "[1]", "preset": "quick"}
    command = [NOTEBOOK.name, str(tmp_path / "out.ipynb"), *QUIETLY]
    for name, value in given.items():
        command += ["-p", name, value]
    done = papermill(*command, cwd=clone / "notebooks", WITHSTAND_RUNS=str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr[-3000:]
    outputs = [cell.get("outputs") for cell in json.loads((tmp_path / "out.ipynb").read_text())["cells"]]
    text = json.dumps(outputs)  # the paper's own numbers name other methods too
    assert "Preset quick: cifar10" in text and "SimCLR" in text and "BYOL" in text and "BYOL less" not in text
    trained = [json.loads(path.read_text())["config"] for path in (tmp_path / "runs").glob("*/record.json")]
    told = sorted((own["dataset"], own["method"], own["seed"]) for own in trained)
    assert told == [("cifar10", "byol", 1), ("cifar10", "simclr", 1)]


def test_papermill_refuses_with_a_sentence(tmp_path):
    """By the same call in the notebook's second cell as below."""
    command = [str(NOTEBOOK), str(tmp_path / "out.ipynb"), "-p", "severitys", "[1]", *QUIETLY]
    done = papermill(*command, cwd=NOTEBOOK.parent)
    words = "unknown parameter 'severitys'; allowed: preset, dataset, methods, seeds, recompute, engine"
    assert done.returncode != 0 and done.stderr.strip().splitlines()[-1] == f"BadInput: {words}"


@pytest.mark.parametrize(("name", "value", "words"), [
    ("preset", "smal", "unknown preset 'smal' (did you mean 'small'?)"),
    ("methods", "simclr", 'methods is a list such as ["simclr"'),
])  # fmt: skip
def test_a_notebook_refuses_with_a_sentence(name, value, words):
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    own, study, *_ = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    names = {"In": [], "__name__": "__main__"}
    exec(own, names)
    names[name] = value
    with pytest.raises(BadInput) as error:
        exec(study, names)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_unknown_preset_and_data_set_are_one_sentence(monkeypatch, capsys):
    for arguments, words in (
        (["--preset", "huge"], f"unknown preset 'huge'; allowed: {', '.join(PRESETS)}"),
        (["--seeds", "[0]"], "a data set and seeds are for a book that is computed now: name a preset with --preset"),
        (["--preset", "quick", "--dataset", "mnist"], "unknown data set 'mnist'; allowed: cifar10, scenes"),
    ):
        monkeypatch.setattr(sys, "argv", ["lib.book", *arguments])
        assert book.main() == 2
        assert capsys.readouterr().err.strip().splitlines()[-1] == words


def test_runs_command_refuses_with_a_sentence(monkeypatch, capsys):
    for arguments, words in (
        (["severity", "--preset", "quick"], "unknown study 'severity'"),
        (["severity_degradation", "--preset", "quik"], "did you mean 'quick'?"),
        (["severity_degradation", "--preset", "quick", "--methods", "simclr"], "methods is a list such as"),
    ):
        monkeypatch.setattr(sys, "argv", ["lib.chapters", *arguments])
        assert chapters_command.main() == 2
        assert words in capsys.readouterr().err


def test_a_refused_command_ends_with_its_sentence():
    done = run("lib.chapters", "severity", "--preset", "quick", cwd=paths.ROOT)
    assert done.returncode == 2 and "unknown study 'severity'" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", PAGES)
def test_published_grid_is_complete(name):
    """The committed rows answer the committed notebook: every run of the preset, every measure; what is stale or left
    out is said there."""
    results = Study(PLANS[name]).results()
    seeds = PRESETS[results.preset].seeds
    out = [one for one in results.standings if one.left_out]
    systems = PLANS[name].systems
    if systems:  # those that have all seeds are shown, and none of what is compared may lack
        held = {(record["system"], record["config"]["dataset"]) for record in results.records}
        without = {(one.system, one.config.dataset) for one in out}
        for home in datasets_of(PLANS[name], results.preset):
            compared = [system for system in all_systems(PLANS[name], home) if systems[system].role in COMPARED]
            assert {(system, home) for system in compared} <= held | without
        own = {one: [] for one in held}
        for record in results.records:
            own[record["system"], record["config"]["dataset"]].append(record["config"]["seed"])
        for (system, home), here in own.items():  # and further seeds of a system, as far as they are published
            most = PLANS[name].further.get((results.preset, home, system), 0)
            assert set(seeds) <= set(here) <= {*seeds, *range(most)} and len(here) == len(set(here))
        assert len(results.records) > len(out)
    else:
        runs = len(configs_of(PLANS[name], results.preset, PLANS[name].methods)) - len(out)
        assert len(results.records) == runs > len(out)
        assert {record["config"]["seed"] for record in results.records} == set(seeds)
    told = standing_words(results)
    assert ("Stale" in told) == results.stale and ("left out:" in told) == any(
        one.left_out or one.lacking for one in results.standings
    )
    assert len(seeds) >= 3


def test_notebooks_are_committed_stripped():
    for path in (paths.ROOT / "notebooks").glob("*.ipynb"):
        notebook = json.loads(path.read_text())
        for cell in notebook["cells"]:
            assert not cell.get("outputs") and cell.get("execution_count") is None
        assert "papermill" not in notebook["metadata"]


def test_readme_figure_is_drawn_from_the_published_rows():
    assert README_FIGURE.read_bytes() == drawing()


def test_build_refuses_a_book_with_warnings(tmp_path):
    shutil.copy(paths.ROOT / "_config.yml", tmp_path / "_config.yml")
    shutil.copytree(paths.ROOT / "pages", tmp_path / "pages")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\nparts:\n- chapters:\n  - file: pages/glossary\n")
    (tmp_path / "index.md").write_text("# A page\n\n{doc}`that/is/not/there`\n")
    with pytest.raises(BadInput, match="warnings, which count as errors"):
        book.build(Path(tmp_path), Path(tmp_path / "out"))
