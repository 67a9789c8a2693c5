import pytest

from lib.errors import BadInput, one_of


def test_known_value_comes_back():
    assert one_of("fog", ("fog", "frost"), "corruption") == "fog"


@pytest.mark.parametrize(("value", "words"), [
    ("fogg", "unknown corruption 'fogg' (did you mean 'fog'?); allowed: fog, frost"),
    (["fog"], "unknown corruption ['fog']"),
    (7, "unknown corruption 7; allowed: fog, frost"),
])  # fmt: skip
def test_unknown_value_names_what_is_allowed(value, words):
    with pytest.raises(BadInput) as error:
        one_of(value, ("fog", "frost"), "corruption")
    assert words in str(error.value)


def test_true_is_not_one():
    with pytest.raises(BadInput):
        one_of(True, (1, 2, 3), "severity")


def test_a_notebook_shows_the_sentence_without_frames():
    assert BadInput("severity is 1 to 5")._render_traceback_() == ["BadInput: severity is 1 to 5"]
