"""Build the book, and look whether it is whole.

python -m lib.book                                    from the published rows -> _build/html
python -m lib.book --preset quick                     every number computed now -> _build/quick/html
python -m lib.book --preset quick --dataset my_set    the same on other images -> _build/quick-my_set/html
python -m lib.book --preset quick --seeds '[0]'       the same with other seeds, in its place
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import yaml

from lib import paths
from lib.engines import cores
from lib.errors import BadInput, one_of

# What a page of a sound book does not hold: a cell that failed, a computed word that is missing, an image
# whose alternative text is the name of its file. An example in a docstring may show an error (class "gt").
FAULTS = {
    "a traceback": re.compile(r'class="output traceback|(?<!<span class="gt">)Traceback \(most recent call last\)'),
    "an empty glued value": re.compile(r'<span class="pasted-text">\s*</span>'),
    "an image without alternative text": re.compile(r'<img(?![^>]*\balt="[^"]+")[^>]*>'),
    "an image whose alternative text is a file name": re.compile(r'\balt="[^"]*(?:[0-9a-f]{32}|\.(?:png|svg))[^"]*"'),
    "an object where its name belongs": re.compile(r'class="pre">(?:&lt;(?:function|factory)\b|~collections)'),
    "what torch says of any module": re.compile("Define the computation performed at every call"),
}

DETAILS = "_details"  # how the name of a notebook ends that holds the protocol and the long tables of another one


def pages(source: Path) -> list[str]:
    """The pages that `_toc.yml` names, in its order, without endings."""
    toc = yaml.safe_load((source / "_toc.yml").read_text())
    return [toc["root"], *(page for part in toc["parts"] for entry in part["chapters"] for page in _of(entry))]


def _of(entry: dict) -> Iterator[str]:
    """A page of `_toc.yml`, and those below it."""
    yield entry["file"]
    for section in entry.get("sections", ()):
        yield from _of(section)


def faults(source: Path, html: Path) -> list[str]:
    """What is wrong with a built book, a sentence each: missing pages, and `FAULTS` in the others."""
    found = []
    for page in pages(source):
        path = html / f"{page}.html"
        if not path.exists():
            found.append(f"{page} was not built")
            continue
        text = path.read_text()
        found += [f"{page} holds {fault}" for fault, pattern in FAULTS.items() if pattern.search(text)]
    return found


def build(source: Path, output: Path) -> Path:
    """Build the book at `source` below `output`, every page anew and warnings as errors; returns the HTML's folder.

    `--all`, because Sphinx otherwise skips a page whose text is unchanged although `lib` or the rows are not.
    """
    command = ["jupyter-book", "build", str(source), "--path-output", str(output), "--all", "-W", "-n", "--keep-going"]
    if subprocess.run([str(Path(sys.executable).parent / command[0]), *command[1:]]).returncode:
        raise BadInput("the book has errors, or warnings, which count as errors; they are listed above")
    html = output / "_build" / "html"
    if found := faults(source, html):
        raise BadInput("the book is not whole: " + "; ".join(found))
    return html


def execute(parameters: dict, source: Path) -> None:
    """Write a copy of the book to `source` whose notebooks papermill has executed with `parameters`, side by side.

    Each is a process with its share of the cores, unless OMP_NUM_THREADS says how many threads it has. What two
    notebooks compute alike, one of them computes: runs have locks.
    """
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(paths.ROOT / "pages", source / "pages")
    for name in ("_toc.yml", "index.md"):
        shutil.copy(paths.ROOT / name, source / name)
    config = yaml.safe_load((paths.ROOT / "_config.yml").read_text())
    config["execute"]["exclude_patterns"] = ["notebooks/*"]  # they are executed already; pages with code are not
    (source / "_config.yml").write_text(yaml.safe_dump(config))
    (source / "notebooks").mkdir()
    notebooks = sorted((paths.ROOT / "notebooks").glob("*.ipynb"), key=lambda path: (_is_details(path), path))
    threads = max(1, cores() // len(notebooks))
    with ProcessPoolExecutor(min(cores(), len(notebooks)), multiprocessing.get_context("spawn")) as executor:
        done = [
            executor.submit(_execute, notebook, source / "notebooks" / notebook.name, parameters, threads)
            for notebook in notebooks
        ]
        try:
            for future in as_completed(done):
                print(future.result(), flush=True)
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _is_details(notebook: Path) -> bool:
    """Whether it tells more of the runs of another one, which is to be first: it would only wait for these."""
    return notebook.stem.endswith(DETAILS)


def _execute(notebook: Path, target: Path, parameters: dict, threads: int) -> str:
    """Execute one notebook in a process of its own; returns a line about it."""
    import papermill

    from lib.kernels import fork_kernels, kernels

    fork_kernels()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # for the notebook's kernel
    started = time.monotonic()
    own = papermill.inspect_notebook(notebook)  # a page that answers no question has no preset
    parameters = {name: value for name, value in parameters.items() if name in own}
    try:
        with tempfile.TemporaryDirectory() as folder:
            executed = papermill.execute_notebook(
                notebook, target, parameters, cwd=notebook.parent, progress_bar=False,
                start_timeout=3600,  # seconds until a kernel answers: on a busy machine more than a minute
                kernel_manager_class=kernels(folder),
            )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        raise BadInput(f"{notebook.name} stopped in cell {error.cell_index}: {error.evalue}") from None
    executed.cells = without_empty_sections(executed.cells)
    for cell in executed.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("hide-input")
    papermill.iorw.write_ipynb(executed, str(target))
    return f"{notebook.name}: executed in {time.monotonic() - started:.0f} s"


_SECTION = re.compile(r"(?<!\)=\n)^(?=(?:\([\w-]+\)=\n)*## )", re.M)
_TITLE = re.compile(r"((?:\([\w-]+\)=\n)*)## (.*)")
_GLUED = re.compile(r"\{glue:\w*\}`([^`]*)`")
_OF_PARTS = re.compile(r"\*\*[^*]*\*\*|<strong>.*?</strong>|<[^>]*>|'")  # titles of data sets, tags, and quotes


def without_empty_sections(cells: list) -> list:
    """The cells of an executed notebook, and a line in the place of each section of which nothing is measured.

    Empty is a section that shows something, in outputs or in glued words, and says of all of it, for every data set,
    that it was not measured or not published. Its label stays, since other pages may lead there.
    """
    import nbformat

    from lib.figures.prose import UNTOLD

    glued = {
        output.metadata.scrapbook.name: output
        for cell in cells
        for output in cell.get("outputs", ())
        if "scrapbook" in output.get("metadata", {})
    }
    split = []
    for cell in cells:
        parts = [part for part in _SECTION.split(cell.source) if part] if cell.cell_type == "markdown" else []
        if len(parts) > 1:
            split += [nbformat.v4.new_markdown_cell(part.strip()) for part in parts]
        else:
            split.append(cell)
    sections: list[list] = [[]]
    for cell in split:
        if cell.cell_type == "markdown" and _TITLE.match(cell.source):
            sections.append([])
        sections[-1].append(cell)
    kept = list(sections[0])
    for section in sections[1:]:
        shown = [glued.get(name, {}) for cell in section for name in _GLUED.findall(cell.source)]
        shown += [output for cell in section for output in cell.get("outputs", ())]
        if shown and not any(map(_tells, shown)):
            label, words = _TITLE.match(section[0].source).groups()
            kept.append(nbformat.v4.new_markdown_cell(f"{label}*{words}.* {UNTOLD}".replace("?.*", "?*")))
        else:
            kept += section
    return kept


def _tells(output: dict) -> bool:
    """Whether an output says more than that something is not there."""
    from lib.figures.figure import LEFT_OUT
    from lib.figures.prose import UNTOLD
    from lib.verdicts import UNJUDGED

    kinds = {kind.removeprefix("application/papermill.record/"): own for kind, own in output.get("data", {}).items()}
    text = next((kinds[kind] for kind in ("text/markdown", "text/html", "text/plain") if kind in kinds), None)
    if text is None:
        return True  # an image, or what a cell printed
    if drawn := text.count("{figure}"):
        return text.count(LEFT_OUT) < drawn
    said = _OF_PARTS.sub("", text).replace(UNTOLD, "").replace(UNJUDGED, "").strip()
    return bool(said) and LEFT_OUT not in text


def _parameters(preset: str | None, dataset: str | None, seeds: str | None) -> dict:
    """What papermill hands every notebook: nothing for the published book."""
    from lib.images import names  # here, or each process of `execute` would wait for torch without a use for it
    from lib.runs import PRESETS

    if preset is None:
        if dataset or seeds:
            raise BadInput("a data set and seeds are for a book that is computed now: name a preset with --preset")
        return {}
    one_of(preset, PRESETS, "preset")
    if dataset:
        one_of(dataset, names(), "data set")
    return {"preset": preset, "dataset": dataset} | ({"seeds": seeds} if seeds else {})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.book", description=__doc__.splitlines()[0])
    parser.add_argument("--preset", help="compute every number now, at the scale of a preset such as quick")
    parser.add_argument("--dataset", help="a data set other than the preset's own")
    parser.add_argument("--seeds", help="a list such as '[0]' in the place of the preset's own: a book in less time")
    arguments = parser.parse_args()
    try:
        parameters = _parameters(arguments.preset, arguments.dataset, arguments.seeds)
        home = paths.ROOT / "_build"
        if parameters:
            home /= "-".join(filter(None, (arguments.preset, arguments.dataset)))
        execute(parameters, home / "source")
        built = build(home / "source", home)
        html = home / "html"
        shutil.rmtree(html, ignore_errors=True)
        built.rename(html)
        shutil.rmtree(home / "_build")
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    print(f"the book is at {html / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
