"""Figures and tables of attacks against numbers by hand, loops over the rows and the published table."""

import base64
import io
import re
from html.parser import HTMLParser
from itertools import product

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from scipy import stats
from shorthand import half_width, share_ends, told, told_share, unfolded
from worlds.attacks import (
    ADVERSARIAL,
    AGGREGATED,
    COLUMNS,
    HEADS,
    IMAGE_ERROR,
    ROBUST,
    SEED_ERROR,
    SHOWN,
    STRONG,
    made_up,
)

from lib import paths
from lib.chapters.tradeoff import attacks
from lib.chapters.tradeoff.plan import SYSTEMS
from lib.chapters.tradeoff.published import ghofrani2025
from lib.chapters.tradeoff.sheets import epsilon_slider, perturbation_sheet
from lib.chapters.tradeoff.tables import auto_attack_table, published_table, quirk_table, robustness_table
from lib.errors import BadInput
from lib.figures.figure import Slider
from lib.figures.systems_look import system_look
from lib.shifts.transforms import TRANSFORMS


@pytest.fixture(scope="module")
def rows():
    return made_up()


@pytest.fixture(scope="module")
def shown(rows):
    return attacks.attack_strength(rows, "Scope."), attacks.probe_comparison(rows, "Scope.")


def half(seeds=3, error=IMAGE_ERROR, deviation=SEED_ERROR):
    """Half the width of an interval over `seeds` and images."""
    return np.hypot(stats.t.ppf(0.975, seeds - 1) * deviation / seeds**0.5, 1.959964 * error)


def share(name, means, images=500):
    """Mean and interval of an accuracy, where systems have these `means`, with seeds at -1, 0 and 1 around them."""
    return share_ends(means, name, IMAGE_ERROR, images)


def strong(place):
    """Of all systems a column of `STRONG`."""
    return {name: values[place] for name, values in STRONG.items()}


def without(rows, column, value):
    return rows[rows[column] != value]


# How strong an attack is


def test_dots_of_attacks_are_means_of_the_rows(shown):
    (axes,) = shown[0].drawing.axes
    labels = [text.get_text().replace("\n", " ") for text in axes.get_yticklabels()]
    assert labels == [SYSTEMS[name].title for name in SHOWN]
    lines = {line.get_label(): line for line in axes.get_lines()}
    for label, place in {"PGD-2": 1, "FGSM": 2, "PGD-20": 3, "APGD": 4, "AutoAttack": 6, "Square": 7}.items():
        assert list(lines[label].get_xdata()) == pytest.approx([STRONG[name][place] for name in SHOWN])
        assert list(lines[label].get_ydata()) == [0, 1, 2, 3]
    assert len(lines) == 6 and len({line.get_marker() for line in lines.values()}) == 6
    for collection, name in zip(axes.collections, SHOWN, strict=True):  # from the lowest dot to the highest
        values = [STRONG[name][place] for place in (1, 2, 3, 4, 6, 7)]
        assert collection.get_segments()[0][:, 0] == pytest.approx([min(values), max(values)])
        assert to_hex(collection.get_color()[0]).upper() == system_look(SYSTEMS[name])["color"].upper()
    data = shown[0].data.set_index(["system", "attack"]).loc["DeACL", "AutoAttack"]
    assert list(data) == pytest.approx(share("deacl", strong(6), 200))


def test_words_about_attacks(shown):
    figure = shown[0]
    # PGD-2 less PGD: 6, 4, 6, 4.
    assert "PGD-2, the default of a public script, leaves 5.0 points more than PGD-20 on average. " in figure.notes
    # AutoAttack takes 22, 23, 26, 23 of the clean accuracy on its images, PGD 20, 20, 25, 21 on its own.
    expected = "AutoAttack takes 2.0 points more than PGD-20, each counted from the clean accuracy on its own images "
    assert expected + "(200 and 500). " in figure.notes
    # One point fewer on CF-AMC-SSL, with 2.8 over images: by chance.
    assert "Square, which sees no gradient, is shown to leave fewer than PGD-20 on none, so " in figure.caption
    assert "SimCLR, PGD 36.0 (PGD-2) to 29.5 (APGD); " in figure.alt and "SimCLR 5" not in figure.alt


def test_words_about_square_and_equal_images(rows, unlaid):
    others = rows[~rows["system"].isin(["cf-amc-ssl"])]
    caption = attacks.attack_strength(others, "").caption
    assert "is shown to leave fewer than PGD-20 on none, so masked gradients are not shown. " in caption
    lowered = rows.assign(
        value=rows["value"] - 20 * ((rows["shift"] == "square") & (rows["system"] == "emp crops pgd"))
    )
    caption = attacks.attack_strength(lowered, "").caption
    assert "on EMP-SSL, crops, PGD: a sign" in caption
    assert "than PGD-20. " in attacks.attack_strength(rows.assign(images=1_000), "").notes


def test_words_about_zero_gradients(rows, unlaid):
    assert "gradient of cross-entropy" not in attacks.attack_strength(rows, "").notes
    of_some = [(name, share) for name, share in (("simclr pgd", 0.0), ("cf-amc-ssl", 3.0), ("simclr", 90.0))]
    lines = [
        (ROBUST, "none", 0.0, "zero gradient", scale * share, 0.1, 500, seed, name)
        for name, share in of_some for seed, scale in enumerate((0.9, 1.0, 1.1))
    ]  # fmt: skip
    with_zeros = pd.concat([rows, unfolded(pd.DataFrame(lines, columns=COLUMNS))])
    told = "zero for 0.0 to 3.0 % of the images, by system, and for 1.5 % on average. "
    assert told in attacks.attack_strength(with_zeros, "").notes
    none = with_zeros.assign(value=with_zeros["value"].where(with_zeros["metric"] != "zero gradient", 0.0))
    assert "cross-entropy is zero for no image. " in attacks.attack_strength(none, "").notes


def test_attacks_that_are_missing(rows, unlaid):
    few = rows[~rows["shift"].isin(["autoattack", "square", "pgd-2"])]
    few = few.assign(measure=few["measure"].str.replace("steps=20", "steps=10"))
    figure = attacks.attack_strength(few, "Scope.")
    assert set(figure.data["attack"]) == {"FGSM", "PGD-10", "APGD"}
    assert figure.caption.endswith("a dot is a mean over seeds. Scope.")
    with pytest.raises(BadInput, match="needs the accuracy under PGD at 8/255 of a system that was trained under"):
        attacks.attack_strength(rows[rows["system"] == "simclr"], "")
    with pytest.raises(BadInput, match="one number for each system, seed"):
        attacks.attack_strength(pd.concat([rows, rows]), "")
    for function in (quirk_table, published_table, robustness_table):
        with pytest.raises(BadInput, match="compare systems"):
            function(rows.drop(columns="system"))


def test_one_seed_has_no_intervals(rows):
    first = rows[rows["seed"] == 0]
    for figure in (attacks.attack_strength(first, ""), attacks.probe_comparison(first, "")):
        assert "intervals" not in figure.caption and "low" not in figure.data
        assert "nan" not in (figure.alt + figure.caption + figure._table()).lower()
        assert figure.picture().startswith(b"<?xml")
    assert "[" not in robustness_table(first).to_string() + quirk_table(first).to_string()


# What is read out


def test_dots_of_read_outs(shown):
    figure = shown[1]
    clean, attacked = figure.drawing.axes
    systems = ["simclr", *SHOWN]
    assert [text.get_text().replace("\n", " ") for text in clean.get_yticklabels()] == [
        SYSTEMS[name].title for name in systems
    ]
    expected = {
        ("standard probe", "o"): [{name: STRONG[name][0] for name in systems}, {n: STRONG[n][3] for n in systems}],
        ("adversarial probe", "s"): [{n: v[place] for n, v in ADVERSARIAL.items()} for place in (0, 1)],
        ("probe on the head", "^"): [{n: v[place] for n, v in HEADS.items()} for place in (0, 1)],
    }
    for words, marker in (("crops", "D"), ("patches", "v")):
        own = {name: v for (name, crops), v in AGGREGATED.items() if crops == words}
        expected[f"aggregated {words}", marker] = [{n: v[place] for n, v in own.items()} for place in (0, 1, 2)]
    for panel, (axes, title) in enumerate(((clean, "clean"), (attacked, "attacked at 8/255"))):
        assert axes.get_title() == title
        found = {}
        for container in axes.containers:
            line, _, (bars,) = container
            found.setdefault((container.get_label(), line.get_marker()), []).append(container)
            number = len(found[container.get_label(), line.get_marker()]) - 1 + panel
            everyone = {0: strong(0), 1: strong(3)} if container.get_label() == "standard probe" else None
            means = (everyone or expected[container.get_label(), line.get_marker()])[number]
            images = 128 if "aggregated" in container.get_label() else 500
            for y, ends in zip(line.get_ydata(), bars.get_segments(), strict=True):
                assert ends[:, 0] == pytest.approx(share(systems[round(y)], means, images)[1:])
                assert abs(y - round(y)) < 0.45
        assert set(found) == set(expected)
        for key, containers in found.items():
            wanted = expected[key][:1] if panel == 0 else expected[key][1:]
            drawn = []
            for container in containers:
                line = container.lines[0]
                places = [systems[round(y)] for y in line.get_ydata()]
                drawn.append(dict(zip(places, line.get_xdata(), strict=True)))
            assert drawn == [pytest.approx(values) for values in wanted]
            hollow = [container.lines[0].get_markerfacecolor() == "white" for container in containers]
            assert hollow == [len(wanted) == 2, False][: len(wanted)] if panel and len(wanted) == 2 else not any(hollow)
    legend = [text.get_text() for text in figure.drawing.legends[0].get_texts()]
    assert legend == [words for words, _ in expected]


def test_words_about_read_outs(shown):
    notes, alt = shown[1].notes, shown[1].alt
    # Adversarial less standard: clean -4 -1 -3 -2 -4, attacked 4 3 2 2 1; head less standard: -2 -1 and -4 0.
    assert (
        "on average, trained under attack or not: adversarial probe \N{MINUS SIGN}2.8 clean and +2.4 attacked, over 5 "
        "systems; probe on the head \N{MINUS SIGN}1.5 clean and \N{MINUS SIGN}2.0 attacked, over 2 systems. "
    ) in notes
    # Per view less through crops: -11 -8 -8.
    assert "the first leaves 9.0 points fewer on average. " in notes
    assert "Probes are tested on the first 500 test images, aggregations on the first 128. " in notes
    assert "adversarial probe 58.8 clean, 33.2 attacked; " in alt  # (66+49+57+60+62)/5 and (6+33+42+39+46)/5
    assert "aggregated crops 63.5 clean, 29.0 attacked per view, 38.5 attacked through crops" in alt
    assert "of 5 systems" in alt


def test_read_outs_that_are_missing(rows, unlaid):
    heads = rows[rows["metric"].isin(["accuracy", "accuracy of the head"])]
    figure = attacks.probe_comparison(heads, "Scope.")
    assert set(figure.data["system"]) == {"EMP-SSL, crops, PGD", "CF-AMC-SSL"}
    assert "adversarial" not in figure.caption and "Aggregation" not in figure.caption
    only_views = without(rows, "shift", "pgd through crops")
    assert "Aggregation is attacked" not in attacks.probe_comparison(only_views, "").caption
    with pytest.raises(
        BadInput, match="another read-out than the standard probe: adversarial probe, probe on the head"
    ):
        attacks.probe_comparison(rows[rows["metric"] == "accuracy"], "")


# Tables


def test_quirk_table(rows):
    table = quirk_table(rows)
    assert list(table) == ["quirk", "system", "clean", "PGD-20, 8/255", "AutoAttack, 8/255"]
    own = 1.959964 * 2**0.5 * IMAGE_ERROR  # of cells of one system seeds move together: only images vary
    pairs = [("emp crops pgd batch", "emp crops pgd long"), ("emp crops pgd summed", "emp crops pgd batch"),
             ("cf-amc-ssl cyclic", "cf-amc-ssl"), ("simclr pgd same view", "simclr pgd long")]  # fmt: skip
    widths = [
        [half_width({name: numbers[place] for name, numbers in STRONG.items()}, *pair, IMAGE_ERROR, images)
         for place, images in ((0, 500), (3, 500), (6, 200))]
        for pair in pairs
    ] + [[own] * 3] * 4  # fmt: skip
    expected = [
        ("attack in training mode, less without", "EMP-SSL, crops, PGD, equal updates", -3, -2, -2),
        ("summed gradients, less without", "EMP-SSL, crops, PGD, attack in training mode", -3, -2, -3),
        ("cyclic schedule, less without", "CF-AMC-SSL", 2, -1, -2),
        ("attack against the same view, from zero, less without", "SimCLR, PGD, equal updates", 2, -3, -4),
        ("PGD-2 in evaluation, less PGD-20", "EMP-SSL, crops, PGD, equal updates", None, 3, None),
        ("PGD-2 in evaluation, less PGD-20", "EMP-SSL, crops, PGD, attack in training mode", None, 4, None),
        ("PGD-2 in evaluation, less PGD-20", "CF-AMC-SSL", None, 6, None),
        ("PGD-2 in evaluation, less PGD-20", "SimCLR, PGD, equal updates", None, 6, None),
    ]
    for line, width, (*words, clean, pgd, auto) in zip(table.itertuples(index=False), widths, expected, strict=True):
        assert list(line[:2]) == words
        gaps = zip((clean, pgd, auto), width, strict=True)
        assert list(line[2:]) == ["–" if gap is None else told(gap, own) for gap, own in gaps]


def test_quirk_table_with_parts_missing(rows):
    table = quirk_table(rows[rows["system"].isin(["cf-amc-ssl", "emp crops pgd summed"])])
    assert table.shape == (1, 3) and table.iloc[0, 1] == "CF-AMC-SSL"
    assert "AutoAttack, 8/255" not in quirk_table(without(rows, "shift", "autoattack"))
    apart = rows.assign(seed=rows["seed"] + 10 * (rows["system"] == "cf-amc-ssl cyclic"))
    assert len(quirk_table(apart)) == 7  # no seed in common
    with pytest.raises(BadInput, match="accuracies of a system with a quirk"):
        quirk_table(rows[rows["system"] == "simclr"])


def test_published_numbers_are_those_of_the_paper():
    table = ghofrani2025()
    assert list(table.index) == list(attacks.PUBLISHED) and len(table) == 7
    assert list(table.loc["Patch-based EMP-SSL"]) == [61, 37.65, 16.95, 530]
    assert list(table.loc["Crop-based SimCLR"]) == [72.86, 47.98, 16.81, 934]
    assert list(table.loc["Crop-based EMP-FreeAdv (CF-AMC-SSL)"]) == [75.88, 55.97, 33.34, 97]
    assert table["clean"].idxmax() == "Crop-based EMP-SSL"  # as the paper marks it
    assert (table["clean"] > table["pgd4"]).all() and (table["pgd4"] > table["pgd8"]).all()


def test_published_numbers_that_are_damaged(tmp_path):
    text = (paths.RESULTS / "papers" / "ghofrani2025.csv").read_text()
    with pytest.raises(BadInput, match="could not be read"):
        ghofrani2025(tmp_path)
    for change, words in (
        (lambda t: t.replace("37.65", "137.65"), "no number from 0 to 100"),
        (lambda t: t.replace("37.65", ""), "no number from 0 to 100"),
        (lambda t: t.replace("37.65", "many"), "no number from 0 to 100"),
        (lambda t: t.replace("16.81,934", "16.81,many"), "minutes"),
        (lambda t: t.replace("16.81,934", "16.81,-934"), "minutes"),
        (lambda t: t.replace("system,", "systems,"), "columns should be system, clean"),
        (lambda t: t.replace("pgd8", "pgd16"), "columns should be system, clean"),
        (lambda t: t.replace("Patch-based SimCLR", "Crop-based SimCLR"), "given twice"),
        (lambda t: t + t.splitlines()[-1], "given twice"),
        (lambda t: t.rsplit("Crop", 1)[0], "missing"),
    ):
        (tmp_path / "ghofrani2025.csv").write_text(change(text))
        with pytest.raises(BadInput, match=f"is damaged: .*{words}.*restore it from the repository"):
            ghofrani2025(tmp_path)
    (tmp_path / "ghofrani2025.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="is damaged"):
        ghofrani2025(tmp_path)


def test_published_table(rows):
    table = published_table(rows).set_index("system of the paper")
    ours = {"Crop-based EMP-SSL": "emp crops pgd long", "Crop-based SimCLR": "simclr pgd long"}
    for theirs, name in ours.items():
        line = table.loc[theirs]
        assert line["ours"] == SYSTEMS[name].title
        clean, pgd, weak = strong(0), strong(3), {own: mean + 10 for own, mean in strong(3).items()}
        assert [line[f"{column}: ours"] for column in ("clean", "PGD, 4/255", "PGD, 8/255")] == [
            told_share(means, name, IMAGE_ERROR, 500) for means in (clean, weak, pgd)
        ]
    assert list(table.loc["Patch-based SimCLR"]) == ["–", "65.44", "–", "41.85", "–", "17.19", "–", "934"]
    assert table.loc["Patch-based EMP-SSL", "clean: ours"] == "–" and table.loc["Patch-based EMP-SSL", "ours"] != "–"
    no_four = published_table(rows[rows["level"] != 4])
    assert set(no_four["PGD, 4/255: ours"]) == {"–"}
    with pytest.raises(BadInput, match="a system that the paper has: emp patches pgd, emp crops pgd"):
        published_table(rows[rows["system"] == "deacl"])


def test_published_systems_are_what_they_say():
    for theirs, ours in attacks.PUBLISHED.items():
        if ours is not None:
            system = SYSTEMS[ours]
            assert system.attack.kind == ("free" if "Free" in theirs else "pgd")
            assert system.method == ("simclr" if "SimCLR" in theirs else "emp_ssl")
            assert "Patch" in theirs or system.settings.get("crop", "crop") == "crop"


def test_auto_attack_table(rows):
    """A second radius, of two systems, with ten points more at each seed: those have a line, and a constant answer."""
    own = rows[(rows["shift"] == "autoattack") & (rows["metric"] == "accuracy")]
    nearby = own[own["system"].isin(["simclr", "deacl"])]
    both = pd.concat([rows, nearby.assign(level=2.0, value=nearby["value"] + 10)]).assign(dataset="cifar10")
    table = auto_attack_table(both).set_index("system")
    assert list(table.columns) == ["2/255 (%)", "8/255 (%)"] and list(table.index[:2]) == ["SimCLR", "DeACL"]
    assert table.loc["a constant answer"].tolist() == ["10.0", "10.0"]
    for name, title in (("simclr", "SimCLR"), ("deacl", "DeACL")):
        line = [float(cell.split(" ")[0]) for cell in table.loc[title]]
        mean = own[own["system"] == name]["value"].mean()
        assert line == pytest.approx([mean + 10, mean], abs=0.051)
    with pytest.raises(BadInput, match="AutoAttack at several radii"):
        auto_attack_table(rows)


def test_robustness_table(rows):
    table = robustness_table(rows).set_index("system")
    assert list(table.index) == [SYSTEMS[name].title for name in STRONG if SYSTEMS[name].role in attacks.COMPARED]
    line = table.loc["DeACL"]
    mean = 10 + 4 * (len(TRANSFORMS) - 1) / 2
    assert line.to_dict() == {
        "clean (%)": told_share(strong(0), "deacl", IMAGE_ERROR, 500), "PGD-20, 8/255 (%)": "45.0",
        "AutoAttack, 8/255 (%)": told_share(strong(6), "deacl", IMAGE_ERROR, 200),
        "corrupted (%)": told_share(dict.fromkeys(ADVERSARIAL, 59.0), "deacl", IMAGE_ERROR, 500),
        "fog (%)": "50.0", "contrast (%)": "40.0", "gaussian noise (%)": "65.0",
        "alike under transforms": f"{mean:.1f}", "alike under PGD, above chance": f"{80 - 36.6:.1f}",
    }  # fmt: skip


def test_robustness_table_with_parts_missing(rows):
    quick = rows[rows["measure"].isin([ROBUST, "synthetic_invariance()"])]
    table = robustness_table(quick)
    assert list(table) == ["system", "clean (%)", "PGD-20, 8/255 (%)", "alike under transforms",
                           "alike under PGD, above chance"]  # fmt: skip
    some = rows[~((rows["system"] == "simclr") & (rows["shift"] == "autoattack"))]
    assert robustness_table(some).set_index("system").loc["SimCLR", "AutoAttack, 8/255 (%)"] == "–"
    assert "alike under PGD, above chance" not in robustness_table(without(rows, "metric", "similarity chance"))
    for nothing in (rows[rows["system"] == "cf-amc-ssl 2 views"], rows[rows["metric"] == "error step"]):
        with pytest.raises(BadInput, match="of systems of the roles main and yardstick"):
            robustness_table(nothing)


# Images


def pictures(count=3, seed=0):
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 0.8 + 0.1


def images_of(drawing):
    return [axes.images[0].get_array() for axes in drawing.axes if axes.images]


def test_perturbations_are_amplified_to_the_full_range():
    clean = pictures()
    change = torch.zeros_like(clean)
    change[0, 0, 0, 0], change[1, 1, 1, 1], change[2, 2, 2, 2] = 0.04, -0.08, 0.02
    moved = {"weak": clean + change / 2, "strong": clean + change}
    words = {"clean": ["a", "b", "c"], "strong": ["d", "e", "f"]}
    figure = perturbation_sheet(clean, moved, words, "Scope.")
    found = images_of(figure.drawing)
    expected = [clean, moved["weak"], 0.5 + 6.25 * change / 2, moved["strong"], 0.5 + 6.25 * change]  # 0.5 / 0.08
    assert len(found) == 15
    for picture, wanted in zip(found, torch.cat(expected), strict=True):
        assert np.allclose(picture, wanted.permute(1, 2, 0), atol=1e-6)
    assert found[13][1, 1, 1] == pytest.approx(0, abs=1e-5) and found[13][0, 0, 0] == 0.5
    assert [axes.get_xlabel() for axes in figure.drawing.axes] == [
        *"abc", *[""] * 6, *"def", *[""] * 3
    ]  # fmt: skip
    assert [axes.get_title("left") for axes in figure.drawing.axes[::3]] == ["clean", "weak", "", "strong", ""]
    assert "amplified 6 times" in figure.caption and figure.caption.endswith("taken for. Scope.")
    assert (
        "Largest change of a pixel in 255ths: weak 10.2; strong 20.4. Taken for, clean: a, b, c; strong: d"
        in figure.alt
    )
    assert list(figure.data["largest change (255ths)"]) == pytest.approx([5.1, 10.2, 2.55, 10.2, 20.4, 5.1], abs=1e-3)
    assert figure.pixels and matplotlib.image.imread(io.BytesIO(figure.picture())).std() > 0.05


def test_perturbations_of_nothing_are_grey():
    clean = pictures(1)
    figure = perturbation_sheet(clean, {"none": clean.clone()}, {})
    assert (images_of(figure.drawing)[2] == 0.5).all() and "taken for" not in figure.caption + figure.alt.lower()
    assert figure.caption == figure.caption.strip() and "of 1 image," in figure.alt


def test_bad_images_are_refused():
    clean = pictures()
    for images, adversarials, words, sentence in (
        (clean, {}, {}, "needs the adversarial images"),
        (clean, {"x": clean[:2]}, {}, r"as many for each title, not \(2, 3, 8, 8\) of x"),
        (clean[0], {"x": clean[0]}, {}, "of clean"),
        (clean, {"x": clean + 1}, {}, r"float in \[0, 1\], and those of x are not"),
        (clean, {"x": clean * torch.nan}, {}, "those of x are not"),
        ((255 * clean).byte(), {"x": clean}, {}, "those of clean are not"),
        (clean, {"x": clean}, {"x": ["a"]}, "words are 3 for each of clean, x, not 1 for x"),
        (clean, {"x": clean}, {"y": ["a"] * 3}, "not 3 for y"),
    ):
        with pytest.raises(BadInput, match=sentence):
            perturbation_sheet(images, adversarials, words)


EPSILONS = (0, 1, 2, 4, 8, 16, 32)


def frames_of(image, epsilons=EPSILONS):
    sign = torch.where(image > 0.5, -1.0, 1.0)
    return [
        (e, (image + e / 255 * sign).clamp(0, 1), {"SimCLR": ("dog" if e else "cat", 0.9 - 0.02 * e),
                                                   "TRADES": ("cat", 0.8 - 0.01 * e)})
        for e in epsilons
    ]  # fmt: skip


@pytest.fixture(scope="module")
def slider():
    image = pictures(1)[0]
    return epsilon_slider(image, frames_of(image))


class Page(HTMLParser):
    """The tags of a page, and whether they are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def test_a_slider_has_a_frame_an_epsilon_and_shows_the_first(slider):
    bundle = slider._repr_mimebundle_()
    assert list(bundle) == ["text/html"]
    page = Page(bundle["text/html"])
    assert not page.open
    images = page.all("img")
    assert [image["title"] for image in images] == [f"{e}/255" for e in EPSILONS]
    assert ["display:block" in image["style"] for image in images] == [True, *[False] * 6]
    assert ["display:none" in image["style"] for image in images] == [False, *[True] * 6]
    sizes = set()
    for image in images:
        kind, data = image["src"].split(",")
        assert kind == "data:image/png;base64"
        sizes.add(matplotlib.image.imread(io.BytesIO(base64.b64decode(data))).shape)
    ((height, width, _),) = sizes  # all alike, or the page would jump
    assert height == 300 and width < 500
    (control,) = page.all("input")
    assert {name: control[name] for name in ("type", "min", "max", "step", "value")} == {
        "type": "range", "min": "0", "max": "6", "step": "1", "value": "0"
    }  # fmt: skip
    assert control["aria-label"] == "epsilon" and control["aria-valuetext"] == "0/255"
    assert "src" not in control["oninput"] and not re.search(r"https?:", bundle["text/html"])
    (label,), (output,) = page.all("label"), page.all("output")
    assert label["for"] == output["for"] == control["id"] and re.fullmatch(r"[a-z][\w-]+", control["id"])
    assert "epsilon: 0/255" in page.text and len(bundle["text/html"]) < 300_000


def test_sliders_on_one_page_have_ids_of_their_own(slider):
    other = pictures(1, seed=1)[0]
    ids = {Page(s.page()).all("input")[0]["id"] for s in (slider, epsilon_slider(other, frames_of(other)))}
    assert len(ids) == 2
    image = pictures(1)[0]
    again = epsilon_slider(image, frames_of(image))
    assert again.page() == slider.page()  # nothing random


def test_words_and_data_of_the_epsilon_slider(slider):
    alts = [alt for _, alt in slider.frames.values()]
    assert alts[0] == (
        "Image attacked within 0/255. Probability of its true class in percent: SimCLR 90, taken for cat; "
        "TRADES 80, taken for cat."
    )
    assert "SimCLR 26, taken for dog" in alts[-1] and "epsilon 32/255: Image attacked" in repr(slider)
    line = slider.data.set_index(["epsilon (255ths)", "system"]).loc[(8, "TRADES")]
    assert list(line) == ["cat", pytest.approx(72)]
    assert len(slider.data) == 14 and "amplified 8 times" in slider.caption
    assert f"{attacks.AMPLIFIED} times" in slider.caption


def test_the_frame_shows_the_image_and_what_was_added():
    image = torch.full((3, 8, 8), 0.5)
    moved = image.clone()
    moved[:, 0] += 8 / 255
    slider = epsilon_slider(image, [(0, image, {"SimCLR": ("cat", 1.0)}), (8, moved, {"SimCLR": ("cat", 0.0)})])
    clean, attacked = (matplotlib.image.imread(io.BytesIO(png))[..., :3] for png, _ in slider.frames.values())
    assert clean[75, 75] == pytest.approx([0.5] * 3, abs=0.01) and clean[220, 75] == pytest.approx([0.5] * 3, abs=0.01)
    assert attacked[12, 75] == pytest.approx([0.5 + 8 / 255] * 3, abs=0.01)
    assert attacked[160, 75] == pytest.approx([0.5 + 64 / 255] * 3, abs=0.01)  # amplified 8 times
    blue = np.array([int(system_look(SYSTEMS["simclr"])["color"][i : i + 2], 16) / 255 for i in (1, 3, 5)])
    share = [(np.abs(picture - blue).max(axis=-1) < 0.02).mean() for picture in (clean, attacked)]
    assert share[0] > 0.02 and share[1] == 0  # a bar as long as the axis, and none


def test_bad_frames_are_refused():
    image = pictures(1)[0]
    good = frames_of(image)
    for own, frames, sentence in (
        (image, [], "two frames or more, and here are 0"),
        (image, good[:1], "here are 1"),
        (image, [good[0], good[0]], "an epsilon of its own"),
        (image, [good[0], (1, image + 1, good[0][2])], r"float in \[0, 1\], and those of epsilon 1"),
        (image, [good[0], (1, image[:, :4], good[0][2])], r"not \(3, 4, 8\) of epsilon 1"),
        (image[None], good, r"not \(1, 3, 8, 8\) of the image"),
        (image, [good[0], (1, image, {"SimCLR": ("cat", 0.5)})], "epsilon 1 has others"),
        (image, [good[0], (1, image, {"SimCLR": ("cat", 0.5), "TRADES": ("cat", 1.5)})], "epsilon 1 has others"),
    ):
        with pytest.raises(BadInput, match=sentence):
            epsilon_slider(own, frames)


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@settings(max_examples=30, deadline=None)
@given(words, st.lists(words, min_size=2, max_size=5, unique=True), words, words)
def test_any_words_are_safe_in_a_slider(label, places, caption, alt):
    slider = Slider(label, {place: (b"png", alt) for place in places}, caption, pd.DataFrame({"a": [1]}))
    page = Page(slider.page())
    assert not page.open and [image["title"] for image in page.all("img")] == places
    assert {image["alt"] for image in page.all("img")} == {alt}
    (control,) = page.all("input")
    assert control["aria-label"] == label and control["aria-valuetext"] == places[0]
    assert [tag for tag, _ in page.tags].count("img") == len(places) and caption in page.text


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=4))
def test_the_words_about_square_follow_the_numbers(pairs):
    """Of any accuracies, the systems named are those where Square is shown to leave fewer than PGD: with an error of 1
    over images for both, by Benjamini and Hochberg."""
    lines = [
        (ROBUST, shift, 8.0, "accuracy", value, 1.0, 500, seed, name)
        for (name, pair), seed in product(zip(SHOWN, pairs, strict=False), (0, 1))
        for shift, value in zip(("pgd", "square"), pair, strict=True)
    ]
    caption = attacks.attack_strength(unfolded(pd.DataFrame(lines, columns=COLUMNS)), "").caption
    gaps = np.array([square - pgd for pgd, square in pairs])
    p = stats.false_discovery_control(2 * stats.norm.sf(abs(gaps) / 2**0.5))
    if (abs(p - 0.05) < 1e-6).any():
        return
    named = [SYSTEMS[name].title for name, gap, own in zip(SHOWN, gaps, p, strict=False) if gap < 0 and own < 0.05]
    if not named:
        assert caption.endswith("is shown to leave fewer than PGD-20 on none, so masked gradients are not shown. ")
        return
    *most, last = named
    told = re.search(r"leaves fewer than PGD-20 on (.*): a sign of masked", caption)
    assert told[1] == (f"{'; '.join(most)} and {last}" if most else last)


def test_a_constant_answer_stands_beside_what_is_attacked(rows):
    """Drawn in charts, and a line of tables; nothing of data whose classes are not known."""
    ours, unknown = rows.assign(dataset="cifar10"), rows.assign(dataset="my_images")
    for draw in (attacks.attack_strength, attacks.probe_comparison):
        lines = [line for axes in draw(ours, "").drawing.axes for line in axes.lines]
        found = [line.get_xdata() for line in lines if line.get_gid() == "constant answer"]
        assert found and all(list(ends) == [10, 10] for ends in found)
        assert "Dotted: a constant answer, 10 %. " in draw(ours, "").caption
        assert "constant answer" not in draw(unknown, "").caption
    last = robustness_table(ours).iloc[-1]
    assert last["system"] == "a constant answer" and set(last[1:]) == {"10.0", "–"}
    assert "a constant answer" not in set(robustness_table(unknown)["system"])
    for table, own in ((published_table(ours), "10"), (published_table(unknown), "–")):
        last = table.iloc[-1]
        assert (last["system of the paper"], last["ours"], last["minutes: paper"]) == ("–", "a constant answer", "–")
        assert {last[name] for name in table if name.endswith(": ours")} == {own}
        assert {last[name] for name in table if name.endswith(": paper") and "minutes" not in name} == {"10"}
