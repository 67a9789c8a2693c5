"""The pins that a conda user gets are those of the lock, and the lock names no index."""

import re
import tomllib
from pathlib import Path

import lib

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"^\s*(?:- )?([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)


def test_conda_pins_are_the_lock_s():
    lock, conda = (PIN.findall((ROOT / name).read_text()) for name in ("requirements.lock", "environment.yml"))
    assert len(lock) > 100
    assert sorted(conda) == sorted(lock)
    assert (ROOT / "environment.yml").read_text().rstrip().endswith("- -e .")


def test_lock_has_a_hash_for_every_pin_and_no_index():
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z])", text)
    assert all("--hash=sha256:" in entry for entry in entries if "==" in entry.splitlines()[0])
    assert "index" not in re.sub(r"# via.*|#   .*", "", text) and "://" not in text


def test_direct_dependencies_are_locked():
    """All but Ray and S3's package, which only those need who have a cluster or a bucket."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional, unlocked = project["optional-dependencies"], ("bucket", "cluster")
    extras = {name: needs for name, needs in optional.items() if name not in unlocked}
    wanted = sum(extras.values(), project["dependencies"])
    (locked,) = re.findall("^EXTRAS = (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(locked.split()) == set(extras)
    names = {re.split(r"[<>=]", requirement)[0].lower() for requirement in wanted}
    assert names <= {name for name, _ in PIN.findall((ROOT / "requirements.lock").read_text())}


def test_citation_names_this_version():
    assert f"version: {lib.__version__}" in (ROOT / "CITATION.cff").read_text()
