"""What the table of methods says of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Method:
    """An entry of the table, `METHOD` in the file of a method.

    `paradigm` is the family as the field sorts it; `trained` is false for controls, `attacked` true for methods that
    cannot be trained without an attack, and `repels` for those that can be told what else to keep away from
    (`lib.methods.repulsion`). `look` is how figures tell it from others, its colour, marker and line as Matplotlib has
    them; one without has the colour of its paradigm (`lib.figures.style`). `encoder` is the only one that a method
    takes, a name of `lib.models.ENCODERS`; None where it takes any.
    """

    title: str
    paradigm: str
    build: Any  # the class of a module, with `views` and the like, of which types know nothing
    settings: type
    protocol: int
    trained: bool = True
    attacked: bool = False
    repels: bool = False
    look: tuple[str, Any, str] | None = None
    encoder: str | None = None
