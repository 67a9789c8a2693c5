"""Notebooks as Google Colab opens them, one file without the book around it: a first cell fetches what they need.

python -m lib.colab https://github.com/owner/name out    # copies of all notebooks -> out/notebooks

.github/workflows/book.yml puts them on the branch `colab` of the repository, where the button of a page finds them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lib import paths

INSTALL = """\
# Colab has this notebook and nothing else: the book's code and published rows, and the packages that they need.
# After an installation Colab may ask for a restart of the session; then run this cell again.
import os, sys
if not os.path.isdir("/content/book"):
    !git clone --quiet --depth 1 {repository} /content/book
    %pip install --quiet -e "/content/book[book]"
%cd -q /content/book/notebooks
sys.path.insert(0, "/content/book")\
"""


def prepared(notebook: dict, repository: str) -> dict:
    """The same notebook below a cell that clones `repository`, installs its packages and goes to its notebooks."""
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": "colab",
        "metadata": {},
        "outputs": [],
        "source": INSTALL.format(repository=repository),
    }
    return {**notebook, "cells": [cell, *notebook["cells"]]}


def main(repository: str, folder: str) -> None:
    for path in sorted((paths.ROOT / "notebooks").glob("*.ipynb")):
        target = Path(folder) / "notebooks" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(prepared(json.loads(path.read_text()), repository), indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
