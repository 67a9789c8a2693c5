"""Build the book, and look whether it is whole.

python -m lib.book                                    from the published rows -> _build/html
python -m lib.book --preset quick                     every number computed now -> _build/quick/html
python -m lib.book --preset quick --dataset my_set    the same on other pictures -> _build/quick-my_set/html
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from lib import paths
from lib.errors import BadInput, one_of
from lib.images import names
from lib.runs import PRESETS

# What a page of a sound book does not hold: a cell that failed, a computed word that is missing, a picture
# whose alternative text is the name of its file.
FAULTS = {
    "a traceback": re.compile(r'class="output traceback|Traceback \(most recent call last\)'),
    "an empty glued value": re.compile(r'<span class="pasted-text">\s*</span>'),
    "a picture without alternative text": re.compile(r'<img(?![^>]*\balt="[^"]+")[^>]*>'),
    "a picture whose alternative text is a file name": re.compile(r'\balt="[^"]*(?:[0-9a-f]{32}|\.(?:png|svg))[^"]*"'),
}


def pages(source: Path) -> list[str]:
    """The pages that `_toc.yml` names, in its order, without endings."""
    toc = yaml.safe_load((source / "_toc.yml").read_text())
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


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


def execute(preset: str, dataset: str | None, source: Path) -> None:
    """Write a copy of the book to `source` whose notebooks are executed by papermill with these parameters."""
    import papermill

    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(paths.ROOT / "pages", source / "pages")
    for name in ("_toc.yml", "index.md"):
        shutil.copy(paths.ROOT / name, source / name)
    config = yaml.safe_load((paths.ROOT / "_config.yml").read_text())
    config["execute"]["execute_notebooks"] = "off"  # they are executed already
    (source / "_config.yml").write_text(yaml.safe_dump(config))
    (source / "notebooks").mkdir()
    for notebook in sorted((paths.ROOT / "notebooks").glob("*.ipynb")):
        print(f"{notebook.name}: preset {preset}, data set {dataset or PRESETS[preset].dataset}", flush=True)
        parameters = {"preset": preset, "dataset": dataset}
        target = source / "notebooks" / notebook.name
        try:
            executed = papermill.execute_notebook(notebook, target, parameters, cwd=notebook.parent, progress_bar=False)
        except papermill.PapermillExecutionError as error:
            raise BadInput(f"{notebook.name} stopped in cell {error.cell_index}: {error.evalue}") from error
        for cell in executed.cells:
            if "injected-parameters" in cell.metadata.get("tags", []):
                cell.metadata.tags.append("hide-input")
        papermill.iorw.write_ipynb(executed, str(target))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.book", description=__doc__.splitlines()[0])
    parser.add_argument("--preset", help=f"compute every number now, at this scale: {', '.join(PRESETS)}")
    parser.add_argument("--dataset", help="a data set other than the preset's own")
    arguments = parser.parse_args()
    try:
        if arguments.preset is None:
            html = build(paths.ROOT, paths.ROOT)
        else:
            one_of(arguments.preset, PRESETS, "preset")
            if arguments.dataset:
                one_of(arguments.dataset, names(), "data set")
            home = paths.ROOT / "_build" / "-".join(filter(None, (arguments.preset, arguments.dataset)))
            execute(arguments.preset, arguments.dataset, home / "source")
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
