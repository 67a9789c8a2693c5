"""The scoreboard: an entry made from scratch stands on its table; what was measured otherwise is not mixed with it."""

import base64
import re

import numpy as np
import pandas as pd
import pytest
from evaluate.test_entries import AXES, folder, made, one_place, photographs  # noqa: F401 - fixtures
from evaluate.test_evaluate import CLASSIFIER, LAYOUT, MINUTES

from lib.contrasts import levels
from lib.errors import BadInput
from lib.evaluate import evaluate
from lib.evaluate.board_page import against, agreement, as_frame, download, fronts, table, undominated
from lib.evaluate.boards import AN_ENTRY, THE_BOOK, Member, boards, gap, incomparable, of_entries, of_runs
from lib.evaluate.entries import entries, read
from lib.evaluate.numbers import cells_of, difference, headlines, interval_of, mean_of, where
from lib.measures import Accuracy
from lib.measures.statistics import correlation
from lib.scoreboard import of_results

ACCURACY = where(metric="probe accuracy")
BASE = {"shift": "none", "subset": "", "level": np.nan, "level_unit": "", "metric": "probe accuracy"}


def book(values, measure=None, data="d" * 64, train=1_000, images=400):
    """Published rows of systems with these accuracies of their seeds, their members, and what names their data."""
    rows, systems, places, members = [], {}, {}, {}
    for name, own in values.items():
        members[name] = Member(f"System {name}", f"family {name[0]}", THE_BOOK, len(own))
        for seed, value in enumerate(own):
            run = f"{name}{seed}"
            systems[run], places[run] = name, (data, train)
            error = np.sqrt(value * (100 - value) / (images - 1))
            rows.append(BASE | {"run": run, "seed": seed, "measure": measure or Accuracy().identity, "value": value,
                                "standard_error": error, "images": images})  # fmt: skip
    return of_runs(pd.DataFrame(rows), systems, places), members, {data: "cifar10"}


def lines_of(text):
    """The heads of a table's lines and their cells, in the order of the page."""
    body = re.search(r"<tbody>(.*)</tbody>", text, re.S)[1]
    rows = re.findall(r"<tr[^>]*><th[^>]*>(.*?)<span.*?</th>(.*?)</tr>", body, re.S)
    return {head: re.findall(r"<td[^>]*>(.*?)</td>", cells) for head, cells in rows}


def test_an_entry_made_from_scratch_stands_on_the_table(made):  # noqa: F811
    """By the page's own way: from a command's folder to a line with the door's number and interval."""
    (board,) = of_results({})
    assert len(board.members) == len(entries()) >= 2 and board.data == "photos" and board.train == made.plan.sizes.train
    text = table(board).data
    lines = lines_of(text)
    for name in made.encoders:
        own = made.rows[made.rows["encoder"] == name]
        for headline in headlines(own):
            number = str(mean_of(cells_of(own, headline, name))).replace(", ", ",&nbsp;")
            assert number in lines[name], (name, headline.words)
    accuracies = {name: float(cells[0].split()[0]) for name, cells in lines.items()}
    assert list(accuracies.values()) == sorted(accuracies.values(), reverse=True)
    assert "<script>" in text and "http" not in text  # it sorts where scripts run, and fetches nothing


def test_a_download_holds_every_number(made):  # noqa: F811
    (board,) = of_results({})
    link = re.search(r'href="data:text/csv;base64,([^"]+)"', download(board))[1]
    lines = base64.b64decode(link).decode().splitlines()
    assert len(lines) == len(board.numbers) + 1 == len(as_frame(board)) + 1
    assert any(LAYOUT in line and "accuracy()" in line for line in lines)


def test_names_reach_the_table_escaped():
    cells, members, names = book({"a": [60.0, 61.0]})
    (board,) = boards([cells], {"a": Member("<script>alert(1)</script>", "<i>", THE_BOOK, 2, "")}, names)
    assert "<script>alert" not in table(board).data and "&lt;script&gt;alert(1)" in table(board).data


@pytest.mark.parametrize(("changed", "count", "columns"), [
    ({}, 1, [2]), ({"measure": "accuracy()#0.9"}, 1, [1, 1]), ({"images": 300}, 1, [1, 1]), ({"train": 500}, 2, [1]),
    ({"data": "e" * 64}, 2, [1]),
])  # fmt: skip
def test_only_equal_data_and_protocol_share_a_column(changed, count, columns):
    one, members, names = book({"a": [60.0, 61.0, 62.0]})
    two, others, more = book({"b": [70.0, 71.0, 75.0]}, **changed)
    found = boards([one, two], members | others, names | more)
    assert len(found) == count
    assert sorted(len(found[0].of_column(place)) for place in range(len(found[0].columns))) == columns
    told = incomparable(found, found[0])
    assert bool(told) == bool(changed) and all(line.endswith(".") for line in told)
    if changed.get("measure"):
        assert "accuracy()#0.9" in told[0] and "accuracy()#1.1" in told[0]
    if not changed:
        assert lines_of(table(found[0]).data).keys() == {"System b", "System a"}
        assert found[0].best_first() == ["b", "a"]


def test_numbers_of_the_book_are_over_seeds_and_images():
    cells, members, names = book({"a": [60.0, 61.0, 65.0], "b": [40.0, 50.0, 45.0]})
    (board,) = boards([cells], members, names)
    expected = levels(cells, ["system"])
    for key in members:
        assert board.numbers[key, 0] == expected[key,]


def test_a_single_seed_has_no_interval_and_its_difference_has_none():
    cells, members, names = book({"a": [60.0], "b": [50.0, 51.0]})
    (board,) = boards([cells], members, names)
    assert np.isnan(board.numbers["a", 0].low) and np.isnan(gap(board, 0, "a", "b").low)


def test_a_difference_of_entries_is_paired_image_by_image(made):  # noqa: F811
    (board,) = of_results({})
    one, other = (f"entry {path.name}" for path in made.entries)
    place = next(place for place, column in enumerate(board.columns) if column.words == "accuracy, probe")
    found = gap(board, place, one, other)
    first, second = (ACCURACY(read(path).rows) for path in made.entries)
    paired = difference(first, second)  # which adds the doubt of one pseudo-image
    doubt = 100 / (first["images"].item() + 2)
    assert found.mean == pytest.approx(paired.mean) and found.mean == pytest.approx(
        first["value"].item() - second["value"].item()
    )
    assert np.hypot(found.standard_error, doubt) == pytest.approx(paired.standard_error, rel=1e-6)


def test_an_entry_is_held_against_the_best_and_the_control(made):  # noqa: F811
    tables, members, names = of_entries([read(made.entries[0])])
    data, train = next(iter(names)), int(tables["train"].iloc[0])
    images = int(tables[tables["metric"] == "probe accuracy"]["images"].iloc[0])
    cells, others, _ = book({"a": [99.0, 98.0, 99.5], "r": [10.0, 12.0, 11.0]}, data=data, train=train, images=images)
    others["r"] = Member("Random weights", "random weights", THE_BOOK, 3)
    (board,) = boards([tables, cells], members | others, names)
    told = against(board)
    own = told[(told["entry"] == LAYOUT) & told["number"].str.startswith("accuracy, probe")]
    assert own["less"].tolist() == ["System a (the best of the others)", "Random weights (the control)"]
    value = interval_of(ACCURACY(tables[tables["system"].str.contains("layout")]).iloc[0]).mean
    assert own["difference"].iloc[1].startswith(f"{value - 11:.1f} [")
    assert own["difference"].iloc[1].endswith("better") and board.members["r"].origin != AN_ENTRY


def wide(count=8):
    """Systems with two numbers each, of which the second falls as the first rises."""
    cells, members, names = book({f"{name}": [50.0 + 5 * place] for place, name in enumerate("abcdefgh"[:count])})
    other = cells.assign(measure="corruption_error(images=9)#1", axis="corruption", shift="all", metric="error",
                         level_unit="mean over severities", value=20 + (cells["value"] - 50) ** 2 / 20)  # fmt: skip
    return boards([cells, other], members, names)[0]


def test_the_front_holds_whom_nobody_is_better_than():
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 6, size=(2, 30))
    slow = [
        not any((x[j] >= x[i] and y[j] >= y[i]) and (x[j] > x[i] or y[j] > y[i]) for j in range(30)) for i in range(30)
    ]
    assert undominated(x, y).tolist() == slow
    (figure,) = fronts(wide()).figures.values()
    assert figure.data["on the front"].all()  # what is better in one is worse in the other
    assert fronts(wide(4)) is None


def test_axes_agree_by_ranks_that_count_families_once():
    board = wide()
    (line,) = agreement(board).data.to_dict("records")
    x, y = ([board.numbers[key, place].mean for key in board.members] for place in (0, 1))
    expected = correlation(x, -np.array(y), True, list("abcdefgh"))
    assert line["rank correlation x 100"] == str(100 * expected) and line["families"] == line["systems"] == 8
    with pytest.raises(BadInput, match="share 5 systems"):
        agreement(wide(4))


def test_a_wrong_normalisation_is_noted(made, photographs, tmp_path):  # noqa: F811
    wrong = f"{CLASSIFIER}?normalisation=imagenet"
    found = evaluate(wrong, str(photographs), AXES, MINUTES, progress=False, submit=True)
    _, members, _ = of_entries([read(found.entries[0])])
    (member,) = members.values()
    from lib.evaluate.numbers import checked

    suspicious = checked(found.rows, wrong).suspicious
    assert member.note == ("" if suspicious is None else f"probably wrong normalisation: {suspicious}")
