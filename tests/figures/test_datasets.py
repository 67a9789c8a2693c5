"""The same figure, table and sentence of several data sets, side by side."""

import dataclasses

import matplotlib.pyplot as plt
import pandas as pd

from lib import figures
from lib.errors import BadInput
from lib.figures.datasets import by_dataset, paragraphs, side_by_side, stacked_tables
from lib.runs import Results

RECORDS = [{"config": {"dataset": name}, "key": key} for name, key in (("mine", "a"), ("cifar10", "b"), ("mine", "c"))]
ROWS = pd.DataFrame({"dataset": ["cifar10", "mine", "cifar10"], "value": [1, 2, 3]})
RESULTS = Results(RECORDS, ROWS, "small", stale=False)


def figure(title):
    drawing, axes = plt.subplots()
    return figures.Figure(drawing, name="fig-made-up", caption=title, alt=title, data=ROWS)


def test_results_fall_into_the_parts_of_each_data_set():
    parts = by_dataset(RESULTS)
    assert list(parts) == ["mine", "CIFAR-10"]  # in the order of the records
    assert [record["key"] for record in parts["mine"].records] == ["a", "c"]
    assert list(parts["CIFAR-10"].rows["value"]) == [1, 3] and list(parts["mine"].rows["value"]) == [2]
    assert parts["mine"] is not RESULTS and dataclasses.replace(parts["mine"], rows=0, records=0).preset == "small"


def test_several_figures_become_tabs_with_names_of_their_own():
    tabs = side_by_side(figure, ["CIFAR-10", "my set"])
    assert [(title, one.name, one.alt) for title, one in tabs.figures.items()] == [
        ("CIFAR-10", "fig-made-up", "CIFAR-10"), ("my set", "fig-made-up-my-set", "my set")
    ]  # fmt: skip
    alone = side_by_side(figure, ["CIFAR-10"])
    assert isinstance(alone, figures.Figure) and alone.name == "fig-made-up"


def test_what_cannot_be_drawn_is_left_out():
    def only(*titles):
        def make(title):
            if title not in titles:
                raise BadInput(f"nothing of {title}")
            return figure(title)

        return make

    last = side_by_side(only("b"), "ab")
    assert (last.name, last.alt) == ("fig-made-up", "b")  # the first that there is
    assert list(side_by_side(only("b", "c"), "abc").figures) == ["b", "c"]
    assert side_by_side(only(), "ab") is None


def test_one_paragraph_has_no_title_and_several_have():
    assert paragraphs({"a": "One."}).data == "One."
    assert paragraphs({"a": "One.", "b": "Two."}).data == "**a.** One.\n\n**b.** Two."


def test_one_table_has_no_title_and_several_have():
    parts = {title: pd.DataFrame({"x": [value]}) for title, value in (("a", 1), ("b", 2))}
    assert stacked_tables({"a": parts["a"]}).data == figures.table(parts["a"]).data
    both = stacked_tables(parts).data
    assert both.index("<strong>a</strong>") < both.index("<td>1</td>") < both.index("<strong>b</strong>")
    assert both.count("<table") == 2
