"""What a sentence asserts."""

import dataclasses

COUNTED = r"(above zero|below): [1-9]"


@dataclasses.dataclass(frozen=True)
class Said:
    """What of a text asserts a difference of systems, and how many sentences could: each may err by itself."""

    pattern: str
    sentences: int = 1
