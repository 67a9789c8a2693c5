"""Figures, tables and sentences on ReLICv2 against numbers by hand and loops over made-up rows."""

import functools
import re

import numpy as np
import pandas as pd
import pytest
from contract import check_apart, check_words
from scipy import stats
from scipy.special import expit, logit
from shorthand import half_width, told, told_share
from worlds.relicv2 import CHANGE, IMAGE_ERROR, MEASURES, SHIFTS, SKILL, extra, made_up, quick, skill, without

from lib.chapters.relicv2 import claims as relicv2_claims
from lib.chapters.relicv2 import domains as relicv2
from lib.chapters.relicv2 import gains
from lib.chapters.relicv2 import numbers as relicv2_numbers
from lib.chapters.relicv2 import words as relicv2_words
from lib.chapters.relicv2.backgrounds import background_reliance_figure, segmentation_bars
from lib.chapters.relicv2.effective import effective_robustness_of_systems
from lib.chapters.relicv2.parts import ablation_forest, sweep_curves
from lib.chapters.relicv2.plan import SYSTEMS as RELICV2
from lib.errors import BadInput
from lib.figures.levels import AT_ONCE
from lib.figures.prose import UNTOLD, listed
from lib.figures.systems_look import system_look
from lib.images.scenes import SHAPES
from lib.verdicts import HOLDS, NO_EFFECT, REVERSED, UNDECIDED, judge, judged, named, of_gap

BYOL = RELICV2["byol sgd"].title


def half(less, of=skill, error=IMAGE_ERROR, more="relicv2", systems=tuple(RELICV2)):
    """Half the interval of two systems' difference where all `systems` have the means `of` their names."""
    return half_width({name: of(name) for name in systems}, more, less, error)


def outside(name, dataset="scenes"):
    """The mean over the shifts of a data set, without what is no shift of its images but a conflict."""
    lost = [points for shift, points in SHIFTS[dataset].items() if shift != "scenes conflict"]
    return np.mean([max(skill(name) - points + extra(name), 12) for points in lost])


def corrupted(name):
    return max(skill(name) - 20 + extra(name), 12)


def sketched(name):
    return max(skill(name) - 25, 2)


def share(name, of=skill, error=IMAGE_ERROR):
    """The interval of an accuracy, where all systems have the means `of` their names."""
    return told_share({own: of(own) for own in RELICV2}, name, error)


FIGURES = {
    relicv2.ood_forest: "fig-ood",
    effective_robustness_of_systems: "fig-effective",
    ablation_forest: "fig-ablations",
    sweep_curves: "fig-sweep",
    background_reliance_figure: "fig-background",
    segmentation_bars: "fig-segmentation",
}
NEEDS = {  # the measures without which a figure has nothing to draw
    relicv2.ood_forest: [],
    effective_robustness_of_systems: ["out_of_distribution", "accuracy"],
    ablation_forest: [],
    sweep_curves: [],
    background_reliance_figure: ["background_reliance"],
    segmentation_bars: ["segmentation"],
}
TABLES = (relicv2.in_domain_table, relicv2.ood_table)
SOME = {
    "scenes": made_up, "cifar10": lambda: made_up("cifar10"), "quick": quick, "one seed": lambda: made_up(seeds=(0,))
}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return made_up()


@functools.cache
def some_rows(kind):
    return SOME[kind]()


@functools.cache
def figure_of(draw, kind):
    return draw(some_rows(kind), "Scope.")


@pytest.fixture(scope="module", params=SOME)
def kind(request):
    """Of rows; a figure of each is drawn once for all that is asked of it."""
    return request.param


@pytest.fixture(scope="module")
def some(kind):
    return some_rows(kind)


def drawn(draw, kind):
    """The figure, or a skipped test where the rows have no sweep."""
    if draw is sweep_curves and not relicv2_words.swept(some_rows(kind)):
        pytest.skip("no sweep in these rows")
    return figure_of(draw, kind)


@pytest.mark.parametrize("draw", FIGURES)
def test_figures_of_fewer_rows(draw, kind, some):
    """Of photographs, of a quick study and of one seed; `test_contract.py` asks about those of scenes."""
    if kind == "scenes":
        return
    figure = drawn(draw, kind)
    check_words(figure)
    check_apart(figure)
    assert figure.name == FIGURES[draw]
    assert ("low" in figure.data) == (some["seed"].nunique() > 1) == ("Bars are" in figure.caption)


@pytest.mark.parametrize("draw", FIGURES)
def test_missing_measures(draw, rows, unlaid):
    for measure in NEEDS[draw]:
        with pytest.raises(BadInput, match="this figure needs"):
            draw(without(rows, measure), "")
    few = rows[rows["measure"].isin([MEASURES[name] for name in NEEDS[draw] or ["accuracy"]])]
    assert draw(few, "").alt


@pytest.mark.parametrize("draw", [*FIGURES, *TABLES])
def test_nothing_to_draw(draw, rows, unlaid):
    arguments = () if draw in TABLES else ("",)
    with pytest.raises(BadInput, match="this figure needs"):
        draw(rows[:0], *arguments)
    with pytest.raises(BadInput, match="study relicv2_ood"):
        draw(rows.drop(columns="system"), *arguments)


@pytest.mark.parametrize("draw", [*FIGURES, *TABLES])
def test_rows_of_two_data_sets_are_refused(draw, rows, unlaid):
    with pytest.raises(BadInput, match="one data set here, and these are of cifar10, scenes"):
        draw(pd.concat([rows, made_up("cifar10")]), *(() if draw in TABLES else ("",)))


def test_sweeps_are_on_scenes(unlaid):
    assert not relicv2_words.swept(made_up("cifar10")) and not relicv2_words.swept(quick())
    with pytest.raises(BadInput, match="swept on scenes"):
        sweep_curves(made_up("cifar10"), "")


def test_looks_differ():
    looks = [system_look(RELICV2[name]) for name, system in RELICV2.items() if system.role in ("main", "yardstick")]
    dots = {(look["color"], str(look["marker"]), look.get("markerfacecolor")) for look in looks}
    assert len(dots) == len(looks) == 8
    assert system_look(RELICV2["relicv2 4+0"]) == system_look(RELICV2["relicv2 4+2"])


# Numbers by hand


def test_in_domain_by_hand(rows):
    table = relicv2.in_domain_table(rows).set_index("system")
    assert table.loc[BYOL, "probe (%)"] == share("byol sgd")
    assert table.loc["ReLICv2", "nearest neighbours (%)"] == share("relicv2", lambda name: skill(name) - 5)
    assert len(table) == 8 and not any("ReLICv2," in name for name in table.index)


def test_out_of_distribution_by_hand(rows):
    table = relicv2.ood_table(rows).set_index("system")
    assert list(table) == [
        f"{name} (%)" for name in
        ("in domain", "corruptions", "C-bar", "scenes background", "scenes light", "scenes pose", "mean of 5 shifts",
         "PACS art", "PACS cartoon", "PACS sketch")
    ]  # fmt: skip
    assert table.loc["SimCLR", "C-bar (%)"] == share("simclr", lambda name: max(skill(name) - 15 + extra(name), 12))
    assert table.loc["ReLICv2", "mean of 5 shifts (%)"] == share("relicv2", outside)
    cifar = relicv2.ood_table(made_up("cifar10"))
    assert "cifar10-shift (%)" in cifar and "mean of 3 shifts (%)" in cifar
    fewer = rows[~((rows["system"] == "dino") & (rows["shift"] == "bar"))]
    lacking = relicv2.ood_table(fewer).set_index("system")
    assert lacking.loc["DINO", "C-bar (%)"] == "–" and "mean of 4 shifts (%)" in lacking


def test_forest_by_hand(rows):
    figure = relicv2.ood_forest(rows, "")
    data = figure.data.set_index(["other", "set"])
    assert len(data) == 6 * 10
    asked = [name for name in RELICV2 if RELICV2[name].role not in ("sweep", "ablation")]
    for other, name, behind, more in (
        ("Supervised, same crops", "supervised same crops", 6, 3), ("DINO", "dino", -9, 3), ("ReLIC", "relic", -1, 2),
    ):  # fmt: skip
        for words, gap, width in (
            ("in domain", -behind, half(name)), ("corruptions", more - behind, half(name, corrupted)),
            ("mean of 5 shifts", more - behind, half(name, outside)),
            ("PACS sketch", -behind, half(name, sketched, 1.5, systems=asked)),
        ):  # fmt: skip
            line = data.loc[other, words].astype(float)
            assert np.allclose(line, [gap, gap - width, gap + width]), (other, words)
    assert f"of 5 differences{AT_ONCE}, above zero: 0; below: 5; undecided: 0" in figure.notes
    panels = {axes.get_title(): axes for axes in figure.drawing.axes}
    assert [label.get_text() for label in panels["in domain"].get_yticklabels()][0] == "Supervised, same crops"
    shown = [line.get_xdata()[0] for line in panels["C-bar"].lines if line.get_marker() not in ("", "None", "|")]
    assert np.allclose(sorted(shown), [-7, -3, 3, 5, 9, 12])


def test_the_line_goes_through_the_controls(rows, unlaid):
    figure = effective_robustness_of_systems(rows, "")
    names = ("supervised", "supervised same crops", "simclr", "byol sgd", "dino")
    data = figure.data.set_index(["set", "system"])
    for name, shift in (("corruptions", "all"), ("scenes light", "scenes light")):
        lost = SHIFTS["scenes"][shift]
        x = [skill(system) + seed for system in names for seed in (-1, 0, 1)]
        fitted = stats.linregress(logit(np.array(x) / 100), logit((np.array(x) - lost) / 100))
        assert f"{fitted.slope:.2f} ({name})" in figure.notes
        above = np.mean([
            skill("relicv2") + seed - lost + 3
            - 100 * expit(fitted.intercept + fitted.slope * logit((skill("relicv2") + seed) / 100))
            for seed in (-1, 0, 1)
        ])  # fmt: skip
        assert np.isclose(data.loc[(name, "ReLICv2"), "points above line"], above) and above > 2
        assert np.isclose(data.loc[(name, "ReLICv2"), "in domain"], 60)
    assert set(data.index.get_level_values("set")) == {
        "corruptions",
        "scenes background",
        "scenes light",
        "scenes pose",
    }
    assert len(data) == 4 * len(RELICV2)


def test_no_line_without_controls(unlaid):
    figure = effective_robustness_of_systems(quick(), "")
    assert "No line" in figure.caption and "points above line" not in figure.data and "from the line" not in figure.alt
    table, lines = relicv2_numbers.effective(quick())
    assert not lines and table["above"].isna().all()


def test_random_weights_do_not_turn_the_line(rows):
    other = rows.copy()
    other.loc[other["system"].isin(["random", "relic", "relicv2", "relicv2 4+0"]), "value"] *= 0.9
    assert relicv2_numbers.effective(other)[1] == relicv2_numbers.effective(rows)[1]


def test_lines_that_are_extended(rows):
    table, _ = relicv2_numbers.effective(rows)
    assert not relicv2_numbers.extended(table, "corruptions")
    few = rows[~rows["system"].isin(["byol sgd", "dino", "simclr"])]
    lower = pd.concat([few, rows[rows["system"] == "simclr"].assign(value=lambda own: own["value"] + 4)])
    table, _ = relicv2_numbers.effective(lower)
    assert relicv2_numbers.extended(table, "corruptions")
    assert "yes" in set(gains.effective_table(lower)["the line is extended"])


def test_ablations_by_hand(rows):
    figure = ablation_forest(rows, "")
    data = figure.data.set_index(["changed", "system", "place"])
    for changed, words, name, base in (
        ("invariance loss", "no invariance loss", "no invariance", 0.0),
        ("saliency", "removed 0.6", "removed 0.6", 0.0),
        ("saliency, against 0.6", "removed 0.6, masks of other images", "removed 0.6 shuffled", 1.0),
        ("saliency, against 0.6", "backgrounds kept", "no saliency", 1.0),
    ):
        gap = CHANGE[name] - base
        out = gap - (1 if not base else 0)  # an ablation has a point less extra under a shift than ReLICv2
        own, other = f"relicv2 {name}", "relicv2 removed 0.6" if base else "relicv2"
        inside, under_shift = half(other, more=own), half(other, outside, more=own)
        for place, mean, width in (("in domain", gap, inside), ("mean of 5 shifts", out, under_shift)):
            line = data.loc[(changed, f"ReLICv2, {words}", place), ["points gained", "low", "high"]].astype(float)
            assert np.allclose(line, [mean, mean - width, mean + width]), (words, place)
        assert np.isclose(data.loc[(changed, f"ReLICv2, {words}", "on other walls"), "points gained"], gap)
    assert len(data) == 3 * 14 and set(data["less"]) == {"ReLICv2", "ReLICv2, removed 0.6"}
    labels = [label.get_text() for label in figure.drawing.axes[0].get_yticklabels()]
    assert labels[:2] == ["invariance loss", "no invariance loss"] and len(labels) == 14 + 5
    cifar = ablation_forest(made_up("cifar10"), "").data
    assert not cifar["system"].str.contains("exact").any() and len(cifar) == 3 * 11


def test_sweeps_by_hand(rows, unlaid):
    data = sweep_curves(rows, "").data.set_index(["setting", "value", "set"])["accuracy"]
    assert np.isclose(data["weight of the invariance loss", "0", "in domain"], 57)
    assert np.isclose(data["share without background", "0.6", "mean of 5 shifts"], 61 - 12 + 2)
    values = {name: list(dict.fromkeys(own.index.get_level_values("value")))
              for name, own in data.groupby("setting", sort=False)}  # fmt: skip
    assert values["weight of the invariance loss"] == ["0", "0.3", "1", "3"]
    assert values["negatives"] == ["7", "21", "all"] and values["side of small crops (px)"] == ["12", "16", "20"]
    assert values["large + small crops"] == ["2+0", "2+2", "4+0", "4+2"] and len(values) == 6
    for own in values.values():
        assert len(own) > 2
    ours = data[data.index.get_level_values("value").isin(["all", "16", "2+2"])]
    assert np.allclose(ours.xs("in domain", level="set"), 60) and len(ours) == 6


def test_backgrounds_by_hand(rows, unlaid):
    data = background_reliance_figure(rows, "").data.set_index(["world", "part", "system"])["value"]
    assert np.isclose(data["tied scenes", "other-class background", "DINO"], 48)
    assert np.isclose(data["scenes", "only background", "Supervised"], 10)
    assert np.isclose(data["tied scenes", "background gap", "ReLICv2"], 8) and np.isclose(
        data["scenes", "background gap", "ReLICv2"], 0
    )
    assert len(data) == 2 * 6 * 8


def test_segmentation_by_hand(rows):
    figure = segmentation_bars(rows, "")
    data = figure.data.set_index(["head", "system", "class"])["IoU"]
    assert np.isclose(data["linear head", BYOL, "mean (mIoU)"], 27)
    assert np.isclose(data["FCN head", "ReLICv2", SHAPES[2]], 30 + 8 + 3) and len(data) == 2 * 8 * (2 + len(SHAPES))
    mean = np.mean([skill(name) for name in SKILL if name != "random"]) / 2
    # Shapes lie a point apart; of 45 pairs those are told apart that lie 3.26 times 0.5 times the root of two apart.
    assert f"finds best {SHAPES[-1]} ({mean + 10:.0f} %)" in figure.notes
    worst = listed([f"{SHAPES[place]} ({mean + 1 + place:.0f} %)" for place in range(3)])
    assert f"worst {worst}, which are not told apart; on average over the trained" in figure.notes
    widths = [bar.get_width() for bar in figure.drawing.axes[0].patches]
    assert np.allclose(widths, [skill(name) / 2 for name in RELICV2 if name in SKILL])


# Sentences


def told_of(rows):
    """The words of the chapter and of its details."""
    return relicv2_words.relicv2_words(rows) | relicv2_words.relicv2_details(rows)


def test_sentences_are_never_empty(some):
    found = told_of(some)
    for words in [*found.values(), relicv2_words.relicv2_answer(some), relicv2_words.parts_answer(some)]:
        assert words.endswith(".") and not re.search(r"nan|None|_|\s\s|\n| \.|ReLICv2 it", words)
    assert set(told_of(some[:0]).values()) == {UNTOLD}
    assert relicv2_words.relicv2_answer(some[:0]) == relicv2_words.parts_answer(some[:0]) == UNTOLD


@pytest.mark.parametrize("measure", MEASURES)
def test_sentences_without_a_measure(measure):
    assert all(told_of(without(quick(), measure)).values())
    assert relicv2_words.relicv2_answer(without(quick(), measure))


@pytest.mark.parametrize("system", ["random", "supervised same crops", "relicv2", "relicv2 removed 0.6"])
def test_sentences_of_one_system(rows, system):
    assert all(told_of(rows[rows["system"] == system]).values())


def test_sentences_by_hand(rows):
    found = told_of(rows)
    same = "supervised same crops"
    width = half("relicv2", more="relicv2 no invariance")
    assert f"no invariance loss, in domain ({told(-3, width)})" in found["ablation-words"]
    assert "gradient not stopped, in domain (0" not in found["ablation-words"]
    assert "share without background 2.1 in domain" in sweep_curves(rows, "").notes
    assert "gap of ReLICv2 is 8.0 [" in found["background-words"]
    gaps = {name: 11 - extra(name) for name in RELICV2 if RELICV2[name].role != "sweep"}
    width = half_width(gaps, "relicv2", same, 0.75, scale=lambda share: 1.0)
    assert f"supervision with the same crops {told(-3, width)}, plain" in found["background-words"]
    assert "the intervals of 7 of 7 gaps hold zero" in found["background-words"]
    assert found["gap-words"] == (
        found["background-words"].split("; ")[0] + "; it is smaller than that of supervision with the same crops, "
        "plain supervision, SimCLR, BYOL, DINO and ReLIC."
    )
    reached = [skill("relicv2") / 2 + more for more in (0, 8)]
    assert re.fullmatch(
        rf"ReLICv2 reaches an mIoU of {reached[0]:.1f} \[.*\] % with the linear head and {reached[1]:.1f} \[.*\] % "
        r"with the FCN head\.", found["segmentation-words"],
    )  # fmt: skip


GAINS = (
    gains.ahead_table, gains.crops_table, gains.effective_table, gains.masks_table, gains.segmentation_table,
    gains.sweep_table,
)  # fmt: skip


def test_tables_of_gains_by_hand(rows):
    same, own = "supervision with the same crops", {}
    for make in GAINS:
        own[make] = make(rows)
        with pytest.raises(BadInput):
            make(rows[:0])
    ahead = own[gains.ahead_table].set_index("ReLICv2 less")
    assert ahead.loc["SimCLR", "in domain (points)"] == told(2, half("simclr"))
    assert ahead.loc[same, "in domain (points)"] == told(-6, half("supervised same crops"))
    assert ahead.loc["ReLIC", "in domain (points)"] == f"{told(1, half('relic'))} (undecided)"
    assert ahead.loc[same, "mean of 5 shifts (points)"] == told(-3, half("supervised same crops", outside))
    crops = own[gains.crops_table].set_index("2 large and 2 small less")
    assert crops.loc["2 large and 0 small", "in domain (points)"] == told(2.5, half("relicv2 2+0"))
    asked = [name for name in RELICV2 if RELICV2[name].role not in ("sweep", "ablation")]
    width = half_width({name: skill(name) / 2 for name in asked}, "relicv2", "byol sgd", IMAGE_ERROR)
    pixels = own[gains.segmentation_table].set_index("ReLICv2 less")
    assert pixels.loc["BYOL", "linear head (points of mIoU)"] == told(3, width)
    swept = own[gains.sweep_table].set_index(["setting", "value"])
    assert swept.loc[("temperature", "0.05"), "less ours"] == "0.1"
    masks = own[gains.masks_table]
    assert list(masks["share removed"]) == ["0.1"] * 3 + ["0.6"] * 3
    assert list(masks["learned masks less"][:3]) == ["backgrounds kept", "masks of other images", "exact masks"]
    assert set(own[gains.effective_table]["shift"]) == set(relicv2_numbers.effective(rows)[1])


def test_what_saliency_is_shown_to_do():
    rows = made_up(offset=lambda seed, name: 0.5 * (seed - 1))
    told = relicv2_words.removal_words(rows)
    low, high = told.split(" With backgrounds removed from 0.6")
    assert low == (
        "With backgrounds removed from 0.1 of the large crops, in domain: whether removal helps is undecided, "
        "learned masks beat masks of other images; on the mean of 5 shifts: removal helps, learned masks beat masks of "
        "other images."
    )
    worse = rows.copy()
    worse.loc[worse["system"] == "relicv2", "value"] -= 8
    assert "in domain: removal hurts, masks of other images beat learned ones" in relicv2_words.removal_words(worse)


def test_sentences_say_what_the_verdicts_say(rows):
    """Of what a claim compares, whatever else a sentence names: rows on which the families of both differ."""
    worse = rows.copy()
    worse.loc[(worse["system"] == "relicv2 no saliency") & (worse["shift"] != "none"), "value"] += 4.0
    found = {own.claim.name: own.verdict for own in judged(relicv2_claims.CLAIMS, worse)}
    told = relicv2_words.removal_words(worse)
    for place, name in (("in domain", "removal"), ("on the mean of 5 shifts", "removal-out")):
        said = {HOLDS: "removal helps", REVERSED: "removal hurts", NO_EFFECT: "removal has no effect",
                UNDECIDED: "whether removal helps is undecided"}[found[name]]  # fmt: skip
        assert f"{place}: {said}" in told.split(" With backgrounds removed from 0.6")[0]
    gaps, _ = relicv2_numbers.ablation_gaps(worse)
    own = gaps["saliency", "relicv2 no saliency", "relicv2", relicv2_numbers.OUT]
    assert of_gap(-own) == found["removal-out"] and of_gap(own) != of_gap(-own)
    assert ("backgrounds kept, on the mean of 5 shifts" in relicv2_words.ablation_words(worse)) == (own.sign != 0)
    verb = {HOLDS: "shown to help", REVERSED: "shown to hurt"}[found["removal-out"]]
    assert re.search(rf"the removal of backgrounds[^.;]* {verb}", relicv2_words.parts_answer(worse))


@pytest.mark.parametrize("place", list(relicv2_numbers.COMPARED_BY.items()), ids=str)
def test_what_claims_compare(place, rows):
    """The difference of a claim is the one between these systems at this place, by means of rows; the figure has it
    with the other sign."""
    name, (ahead, other, where) = place

    def mean(system):
        own = rows[rows["system"] == system]
        if where == relicv2_numbers.OTHER_WALL:
            cell = (own["shift"] == "tied scenes") & (own["subset"] == "other-class background")
            return own[cell & (own["metric"] == "accuracy")]["value"].mean()
        if where == relicv2_numbers.IN:
            return own[own["metric"] == "probe accuracy"]["value"].mean()
        away = own["measure"].str.startswith("out_of_distribution") & (own["metric"] == "accuracy")
        shifts = [name for name in SHIFTS["scenes"] if name != "scenes conflict"]  # a control, and no shift
        return np.mean([own[away & (own["shift"] == shift)]["value"].mean() for shift in shifts])

    by_hand = mean(ahead) - mean(other)
    assert np.isclose(judge(named(relicv2_claims.CLAIMS, name), rows).difference.mean, by_hand)
    drawn = [gap for (_, *key), gap in relicv2_numbers.ablation_gaps(rows)[0].items() if key == [other, ahead, where]]
    assert len(drawn) == 1 and np.isclose(drawn[0].mean, -by_hand)


def test_one_seed_decides_nothing():
    one = made_up(seeds=(0,))
    found = told_of(one)
    for words in [*found.values(), relicv2_words.relicv2_answer(one)]:
        assert not re.search(r"ahead of|points (ahead|behind)|[Ss]hown to|removal (helps|hurts)[,.]|Decided", words)
    assert found["ablation-words"] == "One seed decides nothing."


def test_the_answer_by_hand(rows):
    both = pd.concat([made_up("cifar10"), rows])
    first, second = relicv2_words.relicv2_answer(both).split(" In points on ")
    behind = f"is {told(6, half('supervised same crops'))} points behind in domain"
    assert first.startswith("Beside supervision with the same images, crops and passes, ReLICv2 on CIFAR-10")
    assert (
        first.count("points behind in domain") == 2
        and behind in first
        and first.index("CIFAR-10") < first.index("on scenes")
    )
    fewer = [name for name in RELICV2 if RELICV2[name].role != "sweep" and not name.endswith("exact")]
    error = np.hypot(2 * IMAGE_ERROR, IMAGE_ERROR) / 3  # corruptions and C-bar share their images
    others = half("relicv2 no invariance", lambda name: outside(name, "cifar10"), error, systems=fewer)
    own = half("relicv2 no invariance", outside)
    assert f"the invariance loss (CIFAR-10 {told(4, others)} and scenes {told(4, own)})" in second
    assert second.endswith(" are shown to help.") and "hurt" not in second
    hurt = both.copy()
    hurt.loc[hurt["system"] == "relicv2", "value"] -= 20
    assert "In points on the mean of the shifts, the invariance loss (" in relicv2_words.relicv2_answer(hurt)
    for found, verb in ((both, "help"), (hurt, "hurt")):
        assert relicv2_words.parts_answer(found) == (
            "Averaged over the shifts, on CIFAR-10 and scenes the invariance loss, the removal of backgrounds and the "
            f"small crops are shown to {verb}."
        )
    alike = both.assign(value=50.0 + both["seed"])
    none = "none of its 3 parts is shown to help or to hurt"
    assert relicv2_words.parts_answer(alike) == f"Averaged over the shifts, on CIFAR-10 and scenes {none}."
    mixed = pd.concat([both[both["dataset"] == "scenes"], alike[alike["dataset"] != "scenes"]])
    assert relicv2_words.parts_answer(mixed).endswith(f"are shown to help; on CIFAR-10 {none}.")


def test_answers_that_agree_are_said_once():
    assert relicv2_words.agreed({"a": "It is so.", "b": "It is so."}) == "It is so."
    assert relicv2_words.agreed({"a": "It is so.", "b": "It is not."}) == "a: it is so. b: it is not."


def test_sentences_without_relicv2(rows, unlaid):
    others = rows[rows["system"] != "relicv2"]
    assert all(told_of(others).values()) and relicv2_words.relicv2_answer(others) == UNTOLD
    with pytest.raises(BadInput, match="this figure needs"):
        relicv2.ood_forest(others, "")


def test_answers_of_shifts_that_two_systems_share(rows):
    fewer = rows[~((rows["system"] == "supervised same crops") & (rows["shift"] == "bar"))]
    assert "mean of 4 shifts (points)" in gains.ahead_table(fewer)
