"""Where things lie. Each place can be moved by an environment variable."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"  # published rows, committed


def runs() -> Path:
    """Local runs: weights, checkpoints and rows (`WITHSTAND_RUNS`, else `runs/` in the project)."""
    return Path(os.environ.get("WITHSTAND_RUNS", ROOT / "runs"))


def data() -> Path | None:
    """Unpacked data sets NAME.npz (`WITHSTAND_DATA`), or None where the variable is not set."""
    folder = os.environ.get("WITHSTAND_DATA")
    return Path(folder) if folder else None


def cache() -> Path:
    """Downloads and rendered images (`WITHSTAND_CACHE`, else `~/.cache/withstand`)."""
    return Path(os.environ.get("WITHSTAND_CACHE", Path.home() / ".cache" / "withstand"))
