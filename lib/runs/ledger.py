"""What was asked of the store and what became of it, in the store itself: a folder of small files for each run.

`runs/asked/<name>/` is of one config, whatever the data and the device. `<digest>.json` says which measures somebody
asked for, `<key>.key` under which key a machine went about it, and `failed.json` why the last attempt failed. That a
run is complete, or who is at it, its own folder says: see `lib.runs.store` and `lib.leases`, and `lib.runs.status` for
all of it together. Nothing here decides a number or whether one is computed: where it cannot be written, it is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lib import bucket, files, paths
from lib.errors import BadInput
from lib.runs.config import RunConfig
from lib.runs.published import identity
from lib.stopping import Stopped
from lib.training import OutOfTime

ASKED = "asked"  # beside the folders of runs


@dataclass(frozen=True)
class Asked:
    """A run that somebody asked for: its measures by their identities, its keys here, and why it failed last."""

    config: RunConfig
    measures: tuple[str, ...]
    keys: tuple[str, ...]
    failed: str | None


def place(config: RunConfig) -> Path:
    """The folder of a config."""
    return paths.runs() / ASKED / hashlib.sha256(identity(config).encode()).hexdigest()[:16]


def ask(config: RunConfig, measures: Sequence) -> None:
    """Note that somebody wants the run and its `measures`."""
    values = {"config": config.to_dict(), "measures": sorted(measure.identity for measure in measures)}
    text = json.dumps(values, sort_keys=True)
    _write(place(config) / f"{hashlib.sha256(text.encode()).hexdigest()[:8]}.json", text)


@contextlib.contextmanager
def under_way(config: RunConfig, key: str) -> Iterator[None]:
    """A context in which a machine is at the run: an error that ends it is noted, and one noted before is forgotten."""
    home = place(config)
    _write(home / f"{key}.key", "")
    with noted(config):
        yield
    with contextlib.suppress(OSError, BadInput):
        if (path := home / "failed.json").exists():
            bucket.remove(path)


@contextlib.contextmanager
def noted(config: RunConfig) -> Iterator[None]:
    """A context whose errors are noted as the run's; to stop is none."""
    try:
        yield
    except (OutOfTime, Stopped):
        raise
    except Exception as error:
        fail(config, error)
        raise


def fail(config: RunConfig, error: Exception) -> None:
    """Note why the run failed."""
    words = str(error).strip().splitlines()
    reason = words[0] if words else ""
    reason = reason if isinstance(error, BadInput) else ": ".join(filter(None, (type(error).__name__, reason)))
    when = datetime.now(UTC).isoformat(timespec="seconds")
    _write(place(config) / "failed.json", json.dumps({"reason": reason, "when": when}), again=True)


def asked() -> list[Asked]:
    """All runs that were asked for, in the order of their folders; those that this code cannot read are left out."""
    found = []
    for home in sorted(path for path in (paths.runs() / ASKED).glob("*") if path.is_dir()):
        configs, measures, failed = [], list[str](), None
        for path in sorted(home.glob("*.json")):
            with contextlib.suppress(ValueError, OSError, KeyError, TypeError):
                values = json.loads(path.read_text())
                if path.name == "failed.json":
                    failed = str(values["reason"])
                else:
                    configs.append(RunConfig.from_dict(values["config"]))
                    measures += values["measures"]
        if configs:
            keys = tuple(path.stem for path in sorted(home.glob("*.key")))
            found.append(Asked(configs[0], tuple(dict.fromkeys(measures)), keys, failed))
    return found


def _write(path: Path, text: str, again: bool = False) -> None:
    if again or not path.exists():
        with contextlib.suppress(BadInput):
            files.write(path, lambda file: file.write(text.encode()), sync=False)
