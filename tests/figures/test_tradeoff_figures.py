"""Figures of the third question against loops over the rows, hand-made fronts and sums by hand."""

import copy
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from contract import check_apart, check_words, words_of
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.text import Annotation, Text
from shorthand import cell as cell_of
from shorthand import half_width, share_ends
from worlds.tradeoff import EPSILONS, IMAGES, KNOWN, made_up

from lib.chapters import PLANS
from lib.chapters.tradeoff import numbers as tradeoff
from lib.chapters.tradeoff.costs import cost_of_training, crops_sweep
from lib.chapters.tradeoff.front import SPOKEN_OF, free_places, pareto_front, trade_off
from lib.chapters.tradeoff.overfitting import overfitting_monitor, seconds_table
from lib.chapters.tradeoff.plan import SYSTEMS
from lib.chapters.tradeoff.strength import robust_by_epsilon
from lib.errors import BadInput
from lib.figures.style import LOOK, OTHER, look
from lib.figures.systems_look import system_look
from lib.methods import METHODS
from lib.runs import Results

STUDY = "accuracy_robustness_tradeoff"
COMPARED = [name for name, system in SYSTEMS.items() if system.role in ("main", "yardstick")]
SCATTERED = [name for name, system in SYSTEMS.items() if system.role in ("main", "yardstick", "updates")]
TITLES = {system.title: name for name, system in SYSTEMS.items()}
# By hand: sorted by clean accuracy, who is more robust than all that follow.
FRONTS = {
    "pgd": (["trades", "supervised pgd", "supervised free", "supervised"], ["acl", "cf-amc-ssl", "deacl", "simclr"]),
    "autoattack": (
        ["trades", "supervised pgd", "supervised free", "supervised"], ["acl", "deacl", "simclr"]
    ),
}  # fmt: skip


DRAWN = {
    "fig-trade-off": trade_off,
    "fig-epsilon": lambda results, scope: robust_by_epsilon(results.rows, scope),
    "fig-crops": crops_sweep,
    "fig-cost": cost_of_training,
    "fig-monitor": overfitting_monitor,
}


def all_of(results):
    return {name: draw(results, "Scope.") for name, draw in DRAWN.items()}


@pytest.fixture(scope="module")
def results():
    return made_up()


@pytest.fixture(scope="module")
def shown(results):
    return all_of(results)


@pytest.fixture(scope="module")
def in_class():
    return made_up("quick", attacks=("pgd",), epsilons=(2, 8))


def mean(rows, system, shift, severity):
    """Of accuracy over seeds, by a loop."""
    values = [
        line.value
        for line in rows.itertuples()
        if (line.system, line.metric, line.shift) == (system, "accuracy", shift) and severity in (0, line.level)
    ]
    return sum(values) / len(values)


def panels_of(figure):
    return [axes for axes in figure.drawing.axes if axes.axison]


# All of them


def check_small_print(figure):
    """No word is small or beyond the drawing's width."""
    words = words_of(figure)
    assert min(text.get_fontsize() for text in words) >= 9.5
    boxes = [Text.get_window_extent(text) for text in words]
    assert len(boxes) > 5 and figure.drawing.get_figwidth() <= 7
    assert all(-1 <= box.x0 and box.x1 <= figure.drawing.bbox.width + 1 for box in boxes)


def test_words_are_large_and_within_the_drawing(shown):
    for name, figure in shown.items():
        assert figure.name == name
        check_small_print(figure)


def test_in_class_and_with_one_seed_all_are_drawn(in_class):
    for results in (in_class, made_up("quick", seeds=(4,), attacks=("pgd",), epsilons=(8,))):
        for figure in all_of(results).values():
            check_words(figure)
            check_apart(figure)
            assert ("interval" in figure.caption) == (results is in_class and figure.name != "fig-monitor")


def test_nothing_to_draw_is_one_sentence(results, in_class, unlaid):
    none = Results([], results.rows[:0], "small", False, systems=SYSTEMS)
    for draw in DRAWN.values():
        with pytest.raises(BadInput) as refusal:
            draw(none, "Scope.")
        assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 250
    with pytest.raises(BadInput, match="systems"):
        robust_by_epsilon(results.rows.drop(columns="system"), "Scope.")
    twice = pd.concat([results.rows, results.rows.assign(encoder="another")])
    with pytest.raises(BadInput, match="one accuracy for each system and seed"):
        trade_off(Results(results.records, twice, "small", False, systems=SYSTEMS), "Scope.")
    with pytest.raises(BadInput, match="no system that was trained"):
        seconds_table(made_up(systems=("random",)))


# Looks


def test_systems_that_share_a_chart_look_different():
    looks = [system_look(SYSTEMS[name]) for name in COMPARED]
    dots = {(look["color"], str(look["marker"]), look.get("markerfacecolor")) for look in looks}
    assert len(dots) == len(COMPARED)  # told apart without lines, too
    assert system_look(SYSTEMS["cf-amc-ssl"])["marker"] == system_look(SYSTEMS["simclr free"])["marker"]


def test_a_method_has_one_look_in_the_whole_book():
    for system in (system for plan in PLANS.values() for system in plan.systems.values()):
        assert system_look(system)["color"] == LOOK[system.method]["color"]
        if not system.settings and system.attack is None:
            assert system_look(system) == LOOK[system.method]
    with pytest.raises(BadInput, match="unknown system 'simclrr'"):
        PLANS[STUDY].title("simclrr")


def test_every_system_has_a_look():
    for name in SYSTEMS:
        assert set(system_look(SYSTEMS[name])) >= {"color", "marker", "linestyle"}


def test_a_method_without_a_look_has_its_familys_colour(monkeypatch):
    monkeypatch.setitem(METHODS, "toy", replace(METHODS["byol"], title="Toy"))
    assert look("toy") == OTHER | {"color": LOOK["byol"]["color"]}
    monkeypatch.setitem(METHODS, "alien", replace(METHODS["byol"], paradigm="another"))
    assert look("alien") == look("not there") == OTHER


# The trade-off


def test_fronts_by_hand():
    def front(*points):
        return pareto_front(pd.DataFrame(points, columns=["x", "y"], index=list("abcdef")[: len(points)]))

    assert front((1, 1)) == ["a"]
    assert front((1, 3), (2, 2), (3, 1)) == ["a", "b", "c"]
    assert front((3, 1), (1, 1), (2, 2), (1, 3)) == ["d", "c", "a"]  # (1, 1) is beaten by all
    assert front((2, 0), (3, 0), (1, 0)) == ["b"]  # as robust, and less accurate
    assert front((2, 2), (2, 2)) == ["a", "b"]  # equals do not beat each other
    assert pareto_front(pd.DataFrame({"x": [], "y": []})) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*2 * [st.integers(0, 6)]), min_size=1, max_size=12))
def test_front_beats_all_others_and_is_beaten_by_none(points):
    def beats(a, b):
        return a[0] >= b[0] and a[1] >= b[1] and a != b

    front = pareto_front(pd.DataFrame(points, columns=["x", "y"]))
    for place, point in enumerate(points):
        beaten = any(beats(points[other], point) for other in front)
        assert (place in front) != beaten
    assert [points[i][0] for i in front] == sorted(points[i][0] for i in front)


def test_trade_off_shows_the_rows(results, shown):
    figure = shown["fig-trade-off"]
    for axes, shift in zip(panels_of(figure), ("pgd", "autoattack"), strict=True):
        found = {dots.get_gid(): dots for dots in axes.collections if dots.get_gid()}
        assert list(found) == SCATTERED
        for name, dots in found.items():
            x, y = dots.get_offsets()[0]
            assert x == pytest.approx(mean(results.rows, name, "none", 0))
            assert name not in KNOWN or x == pytest.approx(KNOWN[name][0])
            assert y == pytest.approx(mean(results.rows, name, shift, 8))
            assert to_hex(dots.get_edgecolor()[0]) == system_look(SYSTEMS[name])["color"].lower()
    assert [axes.get_title() for axes in panels_of(figure)] == ["PGD-20", "AutoAttack"]
    assert "on the first 500 test images" in figure.notes and "on the first 200 test images" in figure.notes
    assert "CF-AMC-SSL 18 at 44" in figure.alt and "TRADES 25 at 53" in figure.alt
    assert "the teacher of DeACL and ProFeAT is not counted" in figure.notes


def test_areas_are_in_proportion_to_passes(results, shown):
    passes = {record["system"]: record.get("passes", 0) / IMAGES for record in results.records}
    dots = {dots.get_gid(): dots for dots in panels_of(shown["fig-trade-off"])[0].collections if dots.get_gid()}
    areas = {name: own.get_sizes()[0] for name, own in dots.items()}
    small, large = ("cf-amc-ssl", "emp crops pgd long")  # which lies on it in the published rows
    assert areas[small] < areas[large] and dots[small].get_zorder() > dots[large].get_zorder() > 2  # that of crosses
    assert min(areas, key=areas.get) == "random" and areas["random"] == tradeoff.LEAST_AREA
    trained = [name for name in SCATTERED if name != "random"]
    ratios = [areas[name] / passes[name] for name in trained]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
    told = [text.get_text() for text in shown["fig-trade-off"].drawing.legends[0].get_texts()]
    assert told == ["none", *dict.fromkeys(f"{end:.0f}" for end in (min(passes[n] for n in trained),
                                                                  max(passes[n] for n in trained)))]  # fmt: skip


def test_crosses_are_intervals_over_seeds(results, shown):
    axes = panels_of(shown["fig-trade-off"])[0]
    # Seeds at -1, 0 and 1, with half a point over images; a share's interval is not the same to both sides.
    ends = [path for bars in axes.containers for line in bars.lines[2] for path in line.get_segments()]
    points = [dot.get_offsets()[0] for dot in axes.collections if dot.get_gid() in SCATTERED]
    expected = []
    rows = results.rows[results.rows["metric"] == "accuracy"]
    cells = [cell_of(rows, "none"), cell_of(rows, "pgd", 8)]  # on both of which systems lend their variances
    of_all = [{name: own["value"].to_numpy() for name, own in part.groupby("system")} for part in cells]
    images = [part["images"].iloc[0] for part in cells]
    for x, y in points:
        apart = {name: abs(own.mean() - x) + abs(of_all[1][name].mean() - y) for name, own in of_all[0].items()}
        name = min(apart, key=apart.get)
        across, up = (share_ends(means, name, 0.5, count)[1:] for means, count in zip(of_all, images, strict=True))
        expected += [[[end, y] for end in across], [[x, end] for end in up]]
    assert len(ends) == len(expected) == 2 * len(SCATTERED)
    assert sorted(np.round(ends, 6).tolist()) == pytest.approx(np.array(sorted(np.round(expected, 6).tolist())))


def test_front_lines_go_around_their_points(shown):
    for axes, (everyone, without) in zip(panels_of(shown["fig-trade-off"]), FRONTS.values(), strict=True):
        attack = 1 if axes.get_title().startswith("PGD") else 2
        lines = [line for line in axes.lines if line.get_linewidth() == 0.9]
        for line, front, style in zip(lines, (everyone, without), ("-", "--"), strict=True):
            corners = np.stack(line.get_data(), axis=1)
            points = np.array([(KNOWN[name][0], KNOWN[name][attack]) for name in front], float)
            assert corners[1::2] == pytest.approx(points)  # the outer corners are the points themselves
            inner = np.stack([points[:-1, 0], points[1:, 1]], axis=1)
            assert corners[2:-1:2] == pytest.approx(inner)
            assert corners[0] == pytest.approx([axes.get_xlim()[0], points[0][1]])
            assert corners[-1] == pytest.approx([points[-1][0], axes.get_ylim()[0]])
            assert line.get_linestyle() == style


def test_fronts_are_told_and_in_the_data(shown):
    figure = shown["fig-trade-off"]
    titles = {shift: [[SYSTEMS[name].title for name in front] for front in fronts] for shift, fronts in FRONTS.items()}
    for words, (everyone, without) in zip(("PGD-20", "AutoAttack"), titles.values(), strict=True):
        own = figure.data[figure.data["attack"] == words]
        assert set(own.loc[own["on the front"], "system"]) == set(everyone)
        assert set(own.loc[own["on that without labels"], "system"]) == set(without)
    assert (
        "Under AutoAttack the full line has TRADES; Supervised, PGD; Supervised, free and Supervised, and the broken "
        "line ACL, DeACL and SimCLR." in figure.alt
    )
    assert "the Pareto front" in figure.caption and "broken line: that of systems without labels" in figure.caption


def test_trade_off_without_autoattack_and_labels(in_class):
    figure = trade_off(in_class, "Scope.")
    assert len(panels_of(figure)) == 1 and "AutoAttack" not in figure.alt + figure.caption
    without = trade_off(made_up(systems=("simclr", "cf-amc-ssl", "random")), "Scope.")
    assert "broken" not in without.caption and "on that without labels" not in without.data
    assert "the full line has CF-AMC-SSL and SimCLR." in without.alt
    hard = trade_off(made_up(systems=("simclr", "acl"), attacks=("autoattack",)), "Scope.")
    assert [axes.get_title() for axes in panels_of(hard)] == ["AutoAttack"]


def test_labels_of_a_crowd_stand_apart_beside_their_points():
    results = made_up(systems=COMPARED)
    together = results.rows.assign(value=30 + results.rows["seed"] + results.rows["value"] / 100)
    figure = trade_off(Results(results.records, together, "small", False, systems=SYSTEMS), "Scope.")
    check_apart(figure)
    for axes in panels_of(figure):
        labels = [text for text in axes.texts if isinstance(text, Annotation)]
        own = figure.data[figure.data["attack"] == axes.get_title()].set_index("system")
        on_a_line = own.index[own["on the front"] | own["on that without labels"]]
        named = {*SPOKEN_OF, *(TITLES[title] for title in on_a_line)}
        assert [TITLES[label.get_text()] for label in labels] == [name for name in COMPARED if name in named]
        dots = {dots.get_gid(): dots.get_offsets()[0] for dots in axes.collections if dots.get_gid()}
        for label in labels:
            assert label.xy == pytest.approx(tuple(dots[TITLES[label.get_text()]]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 250), st.integers(20, 120)), min_size=1, max_size=16),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 250)), max_size=20),
)
def test_free_places_are_inside_and_apart(points, faint):
    marks, sizes = np.array([p[:2] for p in points], float), np.array([(p[2], 11) for p in points], float)
    low, high = np.array([-10.0, -20.0]), np.array([330.0, 260.0])
    corners = free_places(marks, sizes, low, high, np.array(faint, float).reshape(-1, 2))
    assert (corners >= low).all() and (corners + sizes <= high).all()
    for i, j in combinations(range(len(points)), 2):
        apart = (corners[i] + sizes[i] <= corners[j]) | (corners[j] + sizes[j] <= corners[i])
        assert apart.any()


def test_a_lone_label_stands_right_of_its_mark():
    corner = free_places(np.array([[50.0, 50]]), np.array([[40.0, 10]]), np.zeros(2), np.full(2, 200.0),
                                  np.empty((0, 2)))  # fmt: skip
    assert corner.tolist() == [[57, 45]]
    at_the_edge = free_places(np.array([[190.0, 50]]), np.array([[40.0, 10]]), np.zeros(2), np.full(2, 200.0),
                                       np.empty((0, 2)))  # fmt: skip
    assert at_the_edge.tolist() == [[190 - 7 - 40, 45]]


# Strength of the attack


def test_curves_are_the_rows(results, shown):
    above, below = panels_of(shown["fig-epsilon"])
    names = [name for name in COMPARED if name != "emp crops"]  # it was trained without an attack
    assert [axes.get_title() for axes in (above, below)] == ["trained without labels", "trained with labels"]
    found = {}
    for axes in (above, below):
        lines = [line for line in axes.lines if line.get_label() in TITLES]
        found |= {TITLES[line.get_label()]: line for line in lines}
        at_8 = [line.get_ydata()[4] for line in lines]
        assert at_8 == sorted(at_8, reverse=True)
        chance = [line for line in axes.lines if len(set(line.get_ydata())) == 1]
        assert [line.get_ydata()[0] for line in chance] == [10]
        assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 64
    assert set(found) == set(names)
    assert {TITLES[line.get_label()] for line in below.lines if line.get_label() in TITLES} == {
        "supervised", "supervised pgd", "supervised free", "supervised fgsm", "trades"
    }  # fmt: skip
    for name, line in found.items():
        assert list(line.get_xdata()) == [0, 1, 2, 3, 4, 5, 6]
        cells = [("none", 0), *(("pgd", e) for e in EPSILONS)]
        assert list(line.get_ydata()) == pytest.approx([mean(results.rows, name, *cell) for cell in cells])
    assert [label.get_text() for label in below.get_xticklabels()] == ["0", "1", "2", "4", "8", "16", "32"]
    assert "CF-AMC-SSL from 44 percent to 18 at 8 and 4 at 32" in shown["fig-epsilon"].alt
    assert len(shown["fig-epsilon"].data) == 7 * len(names)


def test_bands_where_lines_are_few_and_chance_where_it_is_known(in_class, shown):
    assert "Bands" not in shown["fig-epsilon"].caption
    assert not any(axes.collections for axes in panels_of(shown["fig-epsilon"]))
    figure = robust_by_epsilon(in_class.rows, "Scope.")
    assert [len(axes.collections) for axes in panels_of(figure)] == [4, 1]
    assert "Bands are 95 % intervals" in figure.caption and "chance, 10 %" in figure.caption
    mixed = robust_by_epsilon(
        made_up(systems=[name for name in COMPARED if not name.startswith("supervised ")]).rows, "Scope."
    )
    assert "Bands of those trained with labels are" in mixed.caption
    elsewhere = robust_by_epsilon(in_class.rows.assign(dataset="stl10"), "Scope.")
    assert "chance" not in elsewhere.caption


def test_an_epsilon_that_a_system_lacks_is_left_out(results):
    rows = results.rows
    cut = rows[~((rows["system"] == "acl") & (rows["level"] == 8))]
    figure = robust_by_epsilon(cut, "Scope.")
    check_words(figure)
    assert "ACL from 43 percent to 5 at 32" in figure.alt
    line = next(line for line in panels_of(figure)[0].lines if line.get_label() == "ACL")
    assert list(line.get_xdata()) == [0, 1, 2, 3, 5, 6]


# Crops


def test_crops_are_the_rows(results, shown):
    views = (2, 4, 8, 16, 32)
    for axes, (shift, severity) in zip(panels_of(shown["fig-crops"]), (("none", 0), ("pgd", 8)), strict=True):
        for bars, name in zip(axes.containers, ("cf-amc-ssl", "emp patches free"), strict=True):
            line = bars.lines[0]
            wanted = [mean(results.rows, f"{name} {v} views" if v != 8 else name, shift, severity) for v in views]
            assert list(line.get_ydata()) == pytest.approx(wanted)
            assert line.get_xdata() == pytest.approx(views, rel=0.04)
            assert len(bars.lines[2][0].get_segments()) == 5
        assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "4", "8", "16", "32"]
    figure = shown["fig-crops"]
    # 8, 4, 2, 1 and 1 epochs of 78 batches of 64 images, each thrice.
    assert list(figure.data["updates"]) == 2 * [1872, 936, 468, 234, 234]
    passes = [each * 4992 / 5000 for each in (48, 48, 48, 48, 96)]
    assert list(figure.data["passes"]) == pytest.approx(2 * passes)
    assert (
        "Training took 48 passes an image, but 96 with 32 crops and 96 with 32 patches; more views leave fewer updates "
        "of the weights: 1,872 with 2 views, 234 with 16." in figure.notes
    )


def test_one_kind_and_one_number_of_views(in_class, unlaid):
    figure = crops_sweep(in_class, "Scope.")
    assert list(figure.data["views"]) == [4] and "patches" not in figure.alt
    assert figure.notes.endswith("passes an image.") and "but" not in figure.notes


# Costs


def test_costs_are_the_rows(results, shown):
    figure = shown["fig-cost"]
    names = [name for names in tradeoff.LENGTHENED.values() for name in names]
    for axes, costs in zip(panels_of(figure), ((48, 288, 48), None), strict=True):
        points = [(line.get_xdata()[0], line.get_ydata()[0], line.get_markerfacecolor())
                  for line in axes.lines if line.get_marker() in ("s", "v")]  # fmt: skip
        wanted = [(name, shift, severity) for family in tradeoff.LENGTHENED.values()
                  for shift, severity in (("none", 0), ("pgd", 8)) for name in family]  # fmt: skip
        for (x, y, filling), (name, *cell) in zip(points, wanted, strict=True):
            assert y == pytest.approx(mean(results.rows, name, *cell))
            assert (filling == "white") == (cell[0] == "none")
            if costs:
                assert x == pytest.approx(costs[names.index(name) % 3], rel=0.12)
    # 4 epochs of 78 batches; 24 epochs; 8 epochs, thrice.
    assert list(figure.data["updates"]) == [312, 1872, 1872, 78, 468, 468]
    gap, rows = KNOWN["simclr free"][1] - KNOWN["simclr pgd"][1], results.rows
    attacked = rows[(rows["shift"] == "pgd") & (rows["level"] == 8) & (rows["metric"] == "accuracy")]
    half = half_width(attacked.groupby("system")["value"].mean(), "simclr free", "simclr pgd", 0.5, images=500)
    assert f"SimCLR {gap:.1f} [{gap - half:.1f}, {gap + half:.1f}] at equal passes and " in figure.notes
    assert "SimCLR, free: 42 percent clean and 13 by PGD for 48 passes and 1,872 updates" in figure.alt


def test_costs_of_what_is_there(in_class, results):
    free = cost_of_training(in_class, "Scope.")
    assert not free.notes and "lead" not in free.caption
    assert [text.get_text() for text in free.drawing.legends[0].get_texts()] == [
        "SimCLR", "EMP-SSL, crops", "free training", "clean", "under attack"
    ]  # fmt: skip
    kept = [record for record in results.records if not record["system"].endswith(" long")]
    same = cost_of_training(Results(kept, results.rows, "small", False, systems=SYSTEMS), "Scope.")
    assert "dotted lines lead" in same.caption and "arrows" not in same.caption
    assert "at equal passes; EMP-SSL" in same.notes and "equal updates" not in same.notes
    assert not any(axes.texts for axes in panels_of(same))  # no arrow


# Overfitting


def collapsed(results, name, seeds):
    """The same, but PGD leaves nothing at the end of these runs."""
    records = copy.deepcopy(results.records)
    for record in records:
        if record["system"] == name and record["config"]["seed"] in seeds:
            record["monitored"][-1]["pgd accuracy"] = 0.0
    return Results(records, results.rows, results.preset, False, systems=SYSTEMS)


def test_courses_are_means_over_seeds(results, shown):
    figure = shown["fig-monitor"]
    panels = {TITLES[axes.get_title()]: axes for axes in panels_of(figure)}
    assert list(panels) == ["simclr pgd", "simclr free", "acl", "deacl", "profeat", "supervised pgd",
                            "supervised free", "supervised fgsm"]  # fmt: skip
    for name, axes in panels.items():
        epochs = next(r for r in results.records if r["system"] == name)["config"]["training"]["epochs"]
        means = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
        at = np.arange(1, epochs + 1)
        for words, wanted in (("clean", 31 + at), ("FGSM", 20 + at), ("PGD", 17 + at)):
            assert list(means[words].get_xdata()) == list(at)
            assert list(means[words].get_ydata()) == pytest.approx(list(wanted))
        assert len(axes.lines) == 3 * (3 + 1)
    assert "SimCLR, PGD 35 clean, 24 FGSM, 21 PGD" in figure.alt
    assert "no sign of catastrophic overfitting" in figure.notes and "a system's gap is 3 points." in figure.notes
    assert "EMP-SSL, crops, PGD, equal updates; SimCLR, PGD, equal updates; SimCLR, false" in figure.notes
    assert len(figure.data) == 3 * (4 + 8 + 3 + 7 + 8 + 16 + 24 + 7)


def test_overfitting_is_told_and_drawn(results):
    figure = overfitting_monitor(collapsed(results, "supervised fgsm", (0, 1, 2)), "Scope.")
    for words in (figure.notes, figure.alt):
        assert "for Supervised, FGSM (3 of 3 seeds, 44 points on average)." in words  # 20 + 24 epochs, and nothing
    late = overfitting_monitor(collapsed(results, "simclr pgd long", (1,)), "Scope.")
    assert "for SimCLR, PGD, equal updates (1 of 3 seeds, " in late.notes
    titles = [axes.get_title() for axes in panels_of(late)]
    assert len(titles) == tradeoff.MOST_PANELS and titles[-1] == "SimCLR, PGD, equal updates"
    assert "Supervised, FGSM" not in titles and "not drawn: Supervised, FGSM; TRADES; " in late.notes


@pytest.mark.parametrize(("fgsm", "pgd", "overfitted"), [
    (14, 3, True), (31, 20, False), (7, 0, False), (20, 11, False), (9, 0, True),
])  # fmt: skip
def test_overfitting_is_a_wide_gap_over_little(results, fgsm, pgd, overfitted, unlaid):
    """Over 8 points more than PGD, and over twice as much; the course before the end does not matter."""
    records = [record for record in copy.deepcopy(results.records) if record["system"] == "acl"]
    for record in records:
        record["monitored"][-1] |= {"fgsm accuracy": fgsm, "pgd accuracy": pgd}
    figure = overfitting_monitor(Results(records, results.rows, "small", False, systems=SYSTEMS), "Scope.")
    assert ("for ACL (3 of 3 seeds" in figure.notes) == overfitted


def test_short_courses_are_left_out(results):
    short = made_up(systems=("emp crops pgd", "cf-amc-ssl"))  # one and two epochs
    with pytest.raises(BadInput, match="3 epochs or more"):
        overfitting_monitor(short, "Scope.")
    one = overfitting_monitor(made_up(systems=("cf-amc-ssl", "acl")), "Scope.")
    assert [axes.get_title() for axes in panels_of(one)] == ["ACL"] and "not drawn" not in one.notes


# The table


def test_seconds_by_hand(results):
    table = seconds_table(results).set_index("system")
    assert "Random weights" not in table.index and "device" not in table
    assert len(table) == len({record["system"] for record in results.records}) - 1
    # 4 epochs of 78 batches of 64 images, with 12 passes each: two views, and five times two to attack them.
    assert list(table.loc["SimCLR, PGD"]) == [12, 4, 312, 48, 101, round(312 * 64 * 12 / 101)]
    assert list(table.loc["CF-AMC-SSL"]) == [24, 2, 468, 48, 101, round(156 * 64 * 24 / 101)]
    assert list(table) == ["passes of an image and epoch", "epochs", "updates", "passes of an image", "seconds",
                           "passes per second"]  # fmt: skip


def test_devices_are_named_where_they_differ(results):
    records = copy.deepcopy(results.records)
    for record in records:
        record["device"] = "cpu" if record["config"]["seed"] else "gpu"
    table = seconds_table(Results(records, results.rows, "small", False, systems=SYSTEMS))
    assert "device" not in table  # all have the same two
    for record in records:
        record["device"] = "gpu" if record["system"] == "acl" else "cpu"
    table = seconds_table(Results(records, results.rows, "small", False, systems=SYSTEMS)).set_index("system")
    assert table.loc["ACL", "device"] == "gpu" and table.loc["SimCLR", "device"] == "cpu"


def constants(figure, ends="get_ydata"):
    """Where lines of a constant answer stand, one a panel."""
    return [list(getattr(line, ends)())[0] for axes in panels_of(figure) for line in axes.lines
            if line.get_gid() == "constant answer"]  # fmt: skip


def test_a_constant_answer_is_drawn_beside_attacks(results, shown):
    """It keeps one class of ten whatever the attack; of other data nobody knows."""
    for name, figure in shown.items():
        if name in ("fig-trade-off", "fig-crops", "fig-cost"):
            assert constants(figure) == [10] * len(panels_of(figure)), name
            assert "Dotted across: a constant answer, 10 %. " in figure.caption, name
    assert "a constant answer and chance, 10 %" in shown["fig-epsilon"].caption
    elsewhere = all_of(replace(results, rows=results.rows.assign(dataset="stl10")))
    for name in ("fig-trade-off", "fig-crops", "fig-cost", "fig-epsilon"):
        assert constants(elsewhere[name]) == [] and "constant answer" not in elsewhere[name].caption
