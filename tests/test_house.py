"""The house: how large its parts may be, which room may lean on which, and that no general room knows a question."""

import ast
import dataclasses
import functools
import re
from pathlib import Path

import pytest

from lib.api import ROOM, modules, tables, unsaid
from lib.chapters import PLANS
from lib.methods import METHODS

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "lib").rglob("*.py"))
LINES, FUNCTION_LINES = 500, 60

# Rooms, and files beside them, from the ground up. Those in one line may lean on each other; all lean on what is below.
LAYERS = (
    (
        "bucket",
        "errors",
        "files",
        "held",
        "inputs",
        "memory",
        "paths",
        "precision",
        "progress",
        "randomness",
        "streamed",
        "world",
    ),
    ("engines", "leases", "on_ray", "on_torchrun", "stopping"),
    ("images",),
    ("views",),
    ("shifts",),
    ("models",),
    ("methods",),
    ("training",),
    ("measures",),
    ("papers", "runs"),
    ("cells", "contrasts", "controls", "designs", "effective", "paired", "recent", "verdicts"),
    ("figures",),
    ("evaluate",),
    ("chapters",),
    ("api", "book", "colab", "frame", "kernels", "overview", "provenance", "scoreboard"),
)  # fmt: skip
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}

# What a chapter asks, by the names that it has elsewhere. "methods" is a room's name as well.
QUESTIONS = sorted(set(PLANS) - {"methods"})
SPOKEN = re.compile(
    r"\b(?:chapter|question)s? \d|\b(?:first|second|third|fourth|fifth|sixth) (?:chapter|question)\b", re.I
)
STUDIED = ("2308.02525", "2111.11398", "2501.03507", "2110.14189", "2201.05119")
# A paper that a chapter examines may be named where a method, a measure or data are its authors' own.
SOURCES = {
    "lib/images/objects.py": "2111.11398",  # which images make a group
    "lib/measures/aggregation.py": "2501.03507",  # what an adversary of several crops may touch
    "lib/measures/invariance.py": "2111.11398",  # the measure
    "lib/measures/negative_similarity.py": "2110.14189",  # the measure
    "lib/measures/read_out.py": "2111.11398",  # the measure
    "lib/measures/synthetic_invariance.py": "2111.11398",  # the measure
    "lib/methods/byol.py": "2110.14189",  # the loss with negatives
    "lib/methods/emp_ssl.py": "2501.03507",  # the crops of two settings
    "lib/methods/relicv2.py": "2201.05119",  # the method
    "lib/methods/removal.py": "2201.05119",  # the method
    "lib/methods/repulsion.py": "2110.14189",  # the method
    "lib/models/fused.py": "2111.11398",  # the fusion
    "lib/shifts/saliency.py": "2201.05119",  # what becomes of the background
    "lib/shifts/textures.py": "2110.14189",  # the synthesis
    "lib/shifts/transforms.py": "2111.11398",  # the transforms
    "lib/training/attack.py": "2501.03507",  # what its public code does, as an option
    "lib/views/negatives.py": "2110.14189",  # the negatives
    "lib/views/recipes.py": "2111.11398",  # the augmentations
}

# General files that name methods one by one; another method adds its name to none of them. "random", the name of a
# control, is a word for other things as well.
NAMING = {
    "lib/models/checkpoints.py",  # how public projects lay out theirs
    "lib/runs/recipes.py",  # for a method that has earned its own
    "lib/runs/systems.py",  # what every question may set its own beside
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(module: str) -> str:
    """The room of "lib.room.file"; "" of `lib` itself."""
    return module.removeprefix("lib").removeprefix(".").split(".")[0]


@functools.cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def imports(path: Path) -> list[str]:
    """Modules of `lib` that a file imports, wherever in it; of "from lib import room", "lib.room"."""
    found = []
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name_of(path)}:{node.lineno} imports relative to itself"
            whole = node.module in ("lib", "lib.chapters")
            found += [f"{node.module}.{alias.name}" if whole else node.module for alias in node.names]
    return [module for module in found if module.split(".")[0] == "lib"]


def functions(path: Path) -> dict[str, int]:
    """Lines of each function of a file, with decorators and docstring."""
    nodes = [node for node in nodes_of(path) if isinstance(node, ast.FunctionDef)]
    first = [min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) for node in nodes]
    return {f"{node.name} ({start})": node.end_lineno - start + 1 for node, start in zip(nodes, first, strict=True)}


def general() -> list[Path]:
    """Files of rooms that know no question. The book's builder and `lib/chapters` may."""
    return [
        path
        for path in FILES
        if room_of(".".join(path.relative_to(ROOT).parts))
        not in ("chapters", "api.py", "book.py", "frame.py", "overview.py", "provenance.py", "scoreboard.py")
    ]


def test_there_is_a_house():
    assert len(FILES) > 150 and len(general()) > 100 and len(QUESTIONS) >= 5


def test_files_are_short():
    assert not {name_of(path): n for path in FILES if (n := len(path.read_text().splitlines())) > LINES}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_functions_are_short(path):
    assert not {name: lines for name, lines in functions(path).items() if lines > FUNCTION_LINES}


def test_every_room_has_a_place():
    rooms = {path.relative_to(ROOT / "lib").with_suffix("").parts[0] for path in FILES} - {"__init__"}
    assert rooms == set(RANK)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_arrow_runs_up(path):
    own = RANK.get(path.relative_to(ROOT / "lib").with_suffix("").parts[0], -1)
    # `lib` itself holds a version, which everybody may read.
    up = [module for module in imports(path) if room_of(module) in RANK and RANK[room_of(module)] > own]
    assert not up, f"{name_of(path)} leans on rooms above its own"


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.parent.name == "chapters"], ids=name_of)
def test_no_chapter_imports_another(path):
    chapters = [module for module in imports(path) if room_of(module) == "chapters"]
    assert all(module.split(".")[2] == path.parent.name for module in chapters), chapters


@pytest.mark.parametrize("path", general(), ids=name_of)
def test_no_general_room_knows_a_question(path):
    text = path.read_text()
    assert not [name for name in QUESTIONS if re.search(rf"\b{name}\b", text)], "names a study"
    assert not [found.group() for found in SPOKEN.finditer(text) if "Conover" not in line_of(text, found)], (
        "counts chapters"
    )
    assert {number for number in STUDIED if number in text} <= {SOURCES.get(name_of(path))}, (
        "names a paper that is studied"
    )


def line_of(text: str, found: re.Match) -> str:
    start = text.rfind("\n", 0, found.start()) + 1
    return text[start : text.find("\n", found.end())]


def test_a_method_is_named_in_its_file_and_in_chapters_alone():
    def named(path: Path) -> set:
        return {node.value for node in nodes_of(path) if isinstance(node, ast.Constant)} & set(METHODS) - {"random"}

    others = [path for path in general() if not name_of(path).startswith("lib/methods/")]
    assert {name_of(path) for path in others if named(path)} == NAMING


def test_sources_are_named_where_the_list_says():
    assert not [name for name, number in SOURCES.items() if number not in (ROOT / name).read_text()]


def test_guards_see_what_they_guard_against(tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text(
        "from lib import figures\nimport lib.runs.store\nfrom lib.chapters import severity\n\n\n@f\ndef g():\n    0\n"
    )
    assert imports(probe) == ["lib.figures", "lib.runs.store", "lib.chapters.severity"]
    assert [room_of(module) for module in imports(probe)] == ["figures", "runs", "chapters"]
    assert functions(probe) == {"g (6)": 3}
    assert SPOKEN.search("the third question") and SPOKEN.search("Chapter 5") and not SPOKEN.search("every fifth image")


def test_every_room_has_a_page():
    """Or several, which share its files by their first letters."""
    pages = {path.stem for path in (ROOT / "pages" / "api").glob("*.md")} - {"index", "verdicts"}
    rooms = {room for rooms in LAYERS for room in rooms if (ROOT / "lib" / room).is_dir()} - {"chapters"}
    toc = (ROOT / "_toc.yml").read_text()
    assert all(f"pages/api/{page}\n" in toc for page in (*pages, "index", "verdicts"))
    listed: dict[str, list[str]] = {}
    for page in pages:
        (marker,) = ROOM.findall((ROOT / "pages" / "api" / f"{page}.md").read_text())
        listed.setdefault(marker[0], []).extend(modules(marker[0], *(letter for letter in marker[1:] if letter)))
    assert listed.keys() == {f"lib.{room}" for room in rooms}
    assert all(sorted(names) == modules(room) for room, names in listed.items())


def test_tables_of_docstrings_become_those_of_the_book():
    lines = ["Head.", "", "| a | b |", "|---|---|", "| 1 | |", "", "End."]
    tables(lines)
    table = [".. list-table::", "   :header-rows: 1", "", "   * - a", "     - b", "   * - 1", "     - "]
    assert lines == ["Head.", "", *table, "", "End."]


def test_a_dataclass_that_says_nothing_of_itself_has_no_signature_in_its_text():
    @dataclasses.dataclass
    class Silent:
        width: "int" = 3

    class Plain:
        """Plain(of itself)"""

    told = Silent.__doc__.splitlines()
    assert told[0].startswith("Silent(width: 'int' = 3)")
    for thing, left in ((Silent, []), (Plain, ["Plain(of itself)"])):
        lines = thing.__doc__.splitlines()
        unsaid(thing, lines)
        assert lines == left
