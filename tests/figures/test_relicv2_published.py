"""The table has every published number as it was read, and the sentence says where from."""

from lib.chapters.relicv2.published import CLUSTERED, published_relicv2_table, published_relicv2_words, tomasev2022


def test_published_table():
    table, numbers = published_relicv2_table(), tomasev2022()
    assert list(table) == ["measured", "model", "published", "read in"] and len(table) == len(numbers)
    assert [float(text.split()[0]) for text in table["published"]] == list(numbers["value"])
    assert table.loc[0, "published"] == "77.1 %" and "abstract" in table.loc[0, "read in"]
    assert list(table.loc[table["published"].str.endswith("points"), "published"]) == ["+1.5 points", "+2.3 points"]
    relic = table[(table["measured"] == CLUSTERED) & table["model"].str.endswith("ReLIC")]
    assert list(relic["published"]) == ["79.26 %"]


def test_published_words():
    words = published_relicv2_words()
    assert "4 of 15 numbers are in its abstract" in words and "The 9 on CIFAR-10" in words
    assert "from 71.07 to 84.19 %" in words and "calls kNN" in words
