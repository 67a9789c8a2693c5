"""Draw the README's figure from the published rows: `python -m lib.chapters.severity`, after publishing."""

from lib import files, paths
from lib.chapters.severity.errors import error_by_severity
from lib.chapters.severity.plan import PLAN
from lib.contrasts import convolutional
from lib.figures.prose import scope
from lib.runs import Study

README_FIGURE = paths.ROOT / "pages" / "figures" / "error_by_severity.svg"


def drawing() -> bytes:
    results = Study(PLAN).results()
    return error_by_severity(convolutional(results.rows), scope(results)).picture()


if __name__ == "__main__":
    files.write(README_FIGURE, lambda file: file.write(drawing()))
    print(README_FIGURE)
