"""A Sphinx extension that lists the files of a room on its page of the book, so that a new file is there by itself.

A page names the room in a line of its own, `<!-- files of lib.views -->`; one of several pages on a room says which of
them it lists by their first letters, `<!-- files of lib.measures, a to i -->`.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from typing import TYPE_CHECKING

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOM = re.compile(r"^<!-- files of (lib\.\w+)(?:, ([a-z]) to ([a-z]))? -->$", re.MULTILINE)


def modules(room: str, first: str = "a", last: str = "z") -> list[str]:
    """The modules of a package whose names begin with a letter from `first` to `last`, in order, without those that are
    for its own use or run as a script."""
    found = pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}.")
    names = sorted(module.name for module in found if "._" not in module.name)
    return [name for name in names if first <= name.removeprefix(f"{room}.")[0] <= last]


def page(room: str, first: str = "a", last: str = "z") -> str:
    """MyST: what the room says of itself, its files in a table, and a section on each."""
    names = modules(room, first, last)
    table = [".. autosummary::", "   :nosignatures:", "", *(f"   {name.removeprefix(room + '.')}" for name in names)]
    told = [f".. automodule:: {room}", "   :no-members:"]
    if first > "a":  # an earlier page of the room is what links lead to
        told.append("   :no-index:")
    parts = [_rst(told), _rst(table)]
    for name in names:
        parts += [f"## {name}", _rst([f".. automodule:: {name}"])]
    return "\n\n".join(parts)


def tables(lines: list[str]) -> None:
    """Tables of a docstring as reStructuredText, in place: a line a row, cells between "|", a rule below the head."""
    found: list[str] = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            found.append(line)
        elif not found or not found[-1].startswith("   "):
            found += [".. list-table::", "   :header-rows: 1", "", *_line(cells)]
        elif set(line) - set("|- "):
            found += _line(cells)
    lines[:] = found


def unsaid(thing: object, lines: list[str]) -> None:
    """Take out, in place, what a dataclass says of itself where nobody wrote a docstring: its signature once more."""
    if (
        dataclasses.is_dataclass(thing)
        and isinstance(thing, type)
        and lines
        and lines[0].startswith(f"{thing.__name__}(")
    ):
        lines.clear()


def nameable(signature: str | None) -> str | None:
    """A signature with "..." for each default that has no name to print, which Python would not read either.

    >>> nameable("(key: ~collections.abc.Callable = <function Plan.<lambda>>, names: dict = <factory>, least: int = 2)")
    '(key: ~collections.abc.Callable = ..., names: dict = ..., least: int = 2)'
    """
    return signature and re.sub(r"(?<== )<(?:[^<>]|<[^<>]*>)*>", "...", signature)


def _line(cells: list[str]) -> list[str]:
    return [f"   {' ' if place else '*'} - {cell}" for place, cell in enumerate(cells)]


def unaddressed(tree: nodes.document) -> None:
    """In place, code for what docutils takes for an address of mail: no page has one, `photographs@224` is a name."""
    for link in list(tree.findall(nodes.reference)):
        if link.get("refuri", "").startswith("mailto:"):
            link.replace_self(nodes.literal(link.astext(), link.astext()))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _fill)
    app.connect("autodoc-process-docstring", lambda app, what, name, thing, options, lines: tables(lines))
    app.connect("autodoc-process-docstring", lambda app, what, name, thing, options, lines: unsaid(thing, lines))
    app.connect(
        "autodoc-process-signature", lambda app, what, name, thing, options, given, back: (nameable(given), back)
    )
    app.connect("doctree-read", lambda app, tree: unaddressed(tree))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _rst(lines: list[str]) -> str:
    return "\n".join(["```{eval-rst}", *lines, "```"])


def _fill(app: Sphinx, name: str, source: list[str]) -> None:
    source[0] = ROOM.sub(lambda found: page(*filter(None, found.groups())), source[0])
