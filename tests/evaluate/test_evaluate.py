"""The door: its numbers are those of the measures called directly, kept, compared and written down."""

import json
import os
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from evaluate import strangers
from PIL import Image

from lib import images
from lib.errors import BadInput
from lib.evaluate import __main__ as command
from lib.evaluate import evaluate
from lib.evaluate.data import open_data
from lib.evaluate.encoders import open_all
from lib.evaluate.numbers import checked, conventions, difference, with_intervals
from lib.evaluate.subject import checksum, identity_of
from lib.measures import Accuracy, CorruptionError, CueAccuracy, RobustAccuracy, Subject, SyntheticInvariance
from lib.measures.rows import COLUMNS
from lib.models.encoder import Encoder
from lib.models.named import open_encoder
from lib.runs import store
from lib.shifts.corruptions import CORRUPTIONS
from lib.shifts.wnids import WNIDS

LAYOUT, COLOUR, CLASSIFIER = (f"evaluate.strangers:{name}" for name in ("layout", "colour", "classifier"))
CLASSES = ("<b>blue", "green & blue", "red")  # in the order of a folder
AXES = ("corruption", "adversarial", "invariance", "calibration")
CPU = torch.device("cpu")
MINUTES, SECONDS = 0.6, 1e-3  # of a budget, and what a forward pass of an image is said to take: one plan everywhere


def pictures(count=20, side=24, seed=0):
    """Uint8 (3 * count, side, side, 3), class by class, each in its colour on the left, with noise."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(60, 200, size=(3, count, side, side, 3))
    for label, channel in enumerate((2, 1, 0)):
        pixels[label, :, :, : side // 2, channel] += generator.integers(-10, 40, size=(count, 1, 1))
    return pixels.reshape(-1, side, side, 3).clip(0, 255).astype(np.uint8)


def folder_of(root, pixels, classes=CLASSES):
    each = len(pixels) // len(classes)
    for place, image in enumerate(pixels):
        path = root / classes[place // each] / f"{place % each:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return root


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluations")


@pytest.fixture(autouse=True)
def one_store(home, monkeypatch):
    """All tests here share what was measured."""
    monkeypatch.setenv("WITHSTAND_RUNS", str(home / "runs"))
    monkeypatch.setattr("lib.evaluate.encoders._seconds", lambda *_: SECONDS)


@pytest.fixture(scope="module")
def photographs(home):
    return folder_of(home / "photos <i>&$x$", pictures())


@pytest.fixture
def both(photographs):
    """Two encoders on a folder."""
    return evaluate([LAYOUT, COLOUR], str(photographs), AXES, MINUTES, progress=False)


def test_numbers_are_those_of_the_measures_called_directly(both, tmp_path, monkeypatch):
    """The same images as a packed set of the book, and the book's own subject."""
    (tmp_path / "data").mkdir()
    labels = np.arange(60) // 20
    np.savez(tmp_path / "data" / "mine.npz", images=pictures(), labels=labels, classes=np.array(CLASSES))
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    images._whole.cache_clear()
    subject = Subject(open_encoder(LAYOUT).encoder, "mine", None, "fp32", CPU)
    tests = both.plan.sizes.test
    assert tests == len(subject.split("test").labels) == 12
    tasks = {task.measure for rung in both.rungs.values() for task in rung.tasks}
    wanted = [measure for measure in tasks if isinstance(measure, Accuracy | CorruptionError | SyntheticInvariance)]
    assert len(wanted) == 3
    for measure in wanted:
        own = both.rows[(both.rows["encoder"] == LAYOUT) & (both.rows["measure"] == measure.identity)]
        assert len(own), measure.identity
        direct = measure.rows(subject)
        direct["level"] = [float(f"{level:g}") for level in direct["level"]]  # six digits of it, as files have them
        key = ["shift", "subset", "level", "level_unit", "metric"]
        merged = own.merge(direct, on=key, suffixes=("", "_direct"))
        assert len(merged) == len(own)
        np.testing.assert_allclose(merged["value"], merged["value_direct"], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(merged["standard_error"], merged["standard_error_direct"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("measure", [
    CueAccuracy(12), RobustAccuracy(12, (1.0, 2.0, 4.0, 8.0), 5, 1, ("fgsm",)),
], ids=lambda measure: type(measure).__name__)  # fmt: skip
def test_a_subject_from_outside_is_one_of_the_book(measure, photographs, tmp_path, monkeypatch):
    from lib.evaluate.subject import Outside, Sizes

    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "mine.npz", images=pictures(), labels=np.arange(60) // 20, classes=np.array(CLASSES))
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    images._whole.cache_clear()
    named, data = open_encoder(LAYOUT), open_data(str(photographs))
    outside = Outside(named, data, Sizes(data.sizes["train"], data.sizes["validation"], 12), "fp32", CPU)
    book = Subject(named.encoder, "mine", None, "fp32", CPU)
    assert torch.equal(outside.split("test").images, book.split("test").images)
    pd.testing.assert_frame_equal(measure.rows(outside), measure.rows(book))


def test_encoders_in_processes_of_their_own_have_the_rows_of_one_process(photographs, tmp_path, monkeypatch):
    """By the command, in another store: what is read there was measured by the workers."""
    asked = [LAYOUT, COLOUR], str(photographs), "calibration", MINUTES
    here = evaluate(*asked, progress=False)
    tests = Path(strangers.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tests), str(tests.parent))))
    monkeypatch.setenv("WITHSTAND_RUNS", str(tmp_path / "others"))
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    words = [*asked[0], "--data", asked[1], "--axes", asked[2], "--budget", str(MINUTES), "--engine"]
    with monkeypatch.context() as patch:
        patch.setattr("lib.evaluate.compute._axis", None)  # nothing is measured in this process
        assert command.main([*words, "processes", "--out", str(tmp_path / "report")]) == 0
    made = pd.read_csv(tmp_path / "report" / "rows.csv", keep_default_na=False, na_values={"level": [""]})
    pd.testing.assert_frame_equal(made, with_intervals(here.rows), check_exact=False, atol=1e-5, check_dtype=False)
    record = json.loads((tmp_path / "report" / "record.json").read_text())
    assert [own["name"] for own in record["encoders"]] == [LAYOUT, COLOUR] and not record["left_out"]
    assert [own["keys"] for own in record["encoders"]] == [own["keys"] for own in here.record["encoders"]]
    assert command.main([*words, "clusters"]) == 2


def test_a_second_call_reads_what_is_stored(both, photographs, monkeypatch):
    def forward(*_):
        raise AssertionError("an encoder was asked again")

    monkeypatch.setattr("lib.evaluate.subject.Outside.extract", forward)
    again = evaluate([LAYOUT, COLOUR], str(photographs), AXES, MINUTES, progress=False)
    assert again.plan == both.plan
    pd.testing.assert_frame_equal(again.rows, both.rows, check_exact=False, atol=1e-5)


def test_a_call_that_was_cut_off_goes_on(photographs, tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_RUNS", str(tmp_path / "cut"))
    asked = (COLOUR, str(photographs), ["corruption", "adversarial"], MINUTES)
    with monkeypatch.context() as patch:
        patch.setattr(RobustAccuracy, "rows", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            evaluate(*asked, progress=False)
    kept = sorted(path.name for path in (tmp_path / "cut").rglob("*.csv"))
    assert any(name.startswith("corruption-error") for name in kept) and not any("robust" in name for name in kept)
    monkeypatch.setattr(CorruptionError, "rows", None)  # what is kept is not made again
    made = evaluate(*asked, progress=False)
    assert {"corruption", "adversarial"} <= set(made.rows["axis"])


def test_keys_follow_weights_preprocessing_and_data(photographs, home):
    named, data = open_encoder(LAYOUT), open_data(str(photographs))
    first = identity_of(named, data, "fp32")
    assert identity_of(open_encoder(LAYOUT), open_data(str(photographs)), "fp32") == first
    assert identity_of(open_encoder(f"{LAYOUT}?normalisation=imagenet"), data, "fp32") != first
    assert identity_of(open_encoder(f"{LAYOUT}?resize=30"), data, "fp32") != first
    other = open_encoder(LAYOUT)
    with torch.no_grad():
        other.encoder.network.weight.mul_(2)
    assert checksum(other) != checksum(named)
    changed = pictures()
    changed[7, 0, 0, 0] ^= 1
    assert identity_of(named, open_data(str(folder_of(home / "changed", changed))), "fp32") != first


def test_two_encoders_are_compared_image_by_image(both, photographs):
    data = open_data(str(photographs))
    right = {}
    for name in (LAYOUT, COLOUR):
        subject = subject_of(open_encoder(name), data, both.plan)
        right[name] = (subject.probe.predict(subject.features("test")) == subject.labels("test")).numpy()
    apart = right[COLOUR].astype(float) - right[LAYOUT]
    cells = {name: both.rows[(both.rows["encoder"] == name) & (both.rows["metric"] == "probe accuracy")]
             for name in right}  # fmt: skip
    gap = difference(cells[COLOUR], cells[LAYOUT])
    assert gap.mean == pytest.approx(100 * apart.mean(), abs=1e-4)
    error = np.hypot(100 * apart.std(ddof=1) / np.sqrt(len(apart)), 100 / (len(apart) + 2))  # and one pseudo-image
    assert gap.standard_error == pytest.approx(error, rel=1e-4)
    assert gap.high - gap.mean == pytest.approx(1.959964 * gap.standard_error, rel=1e-4)


def test_encoders_that_agree_on_every_image_are_not_equal_for_certain(both):
    """None of 12 images tells them apart: Agresti and Min's interval is 1.96 / 14 to either side."""
    cells = both.rows[(both.rows["encoder"] == COLOUR) & (both.rows["metric"] == "probe accuracy")]
    gap = difference(cells, cells)
    assert cells["images"].iloc[0] == 12 and gap.mean == 0
    assert gap.high == -gap.low == pytest.approx(100 * 1.959964 / 14)


def subject_of(named, data, plan):
    from lib.evaluate.subject import Outside

    return Outside(named, data, plan.sizes, "fp32", CPU)


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.seen, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def test_a_report_is_one_page_with_every_name_escaped(photographs, tmp_path):
    made = evaluate([LAYOUT, COLOUR], str(photographs), AXES[:2], MINUTES, tmp_path / "out", progress=False)
    text = (tmp_path / "out" / "report.html").read_text()
    page = Tags(text)
    allowed = (
        "html head meta title style body main p h1 h2 h3 nav a div table thead tbody tr th td figure img figcaption "
        "details summary ul li dl dt dd"
    )
    assert {tag for tag, _ in page.seen} <= set(allowed.split())
    assert not [name for _, attrs in page.seen for name in attrs if name.startswith("on")]
    pictures = [attrs for tag, attrs in page.seen if tag == "img"]
    assert len(pictures) >= 3 and all(attrs["src"].startswith("data:") and len(attrs["alt"]) > 40 for attrs in pictures)
    links = [attrs for tag, attrs in page.seen if tag == "a"]
    names = {attrs["id"] for _, attrs in page.seen if "id" in attrs}
    files = [link for link in links if "download" in link]  # the whole of a long table, which the page holds itself
    assert all(link["href"].startswith("data:text/csv;base64,") for link in files)
    within = [link["href"] for link in links if link not in files]
    assert within and all(link[0] == "#" and link[1:] in names for link in within)
    assert "url(" not in text and "@import" not in text
    assert photographs.name in "".join(page.words)
    rows = pd.read_csv(tmp_path / "out" / "rows.csv", keep_default_na=False, na_values={"level": [""]})
    assert len(rows) == len(made.rows) and set(COLUMNS) < set(rows)
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["data"]["classes"] == list(CLASSES)
    assert record["encoders"][0]["weights"] == checksum(open_encoder(LAYOUT))
    assert len(list((tmp_path / "out" / "figures").glob("*.svg"))) == len(pictures)


def test_a_head_is_evaluated_as_it_is(photographs):
    made = evaluate(CLASSIFIER, str(photographs), ["corruption"], MINUTES, progress=False)
    data, named = open_data(str(photographs)), open_encoder(CLASSIFIER)
    subject = subject_of(named, data, made.plan)
    with torch.no_grad():
        logits = named.head(named.encoder(subject.split("test").images.float() / 255))
    answers = [named.classes[place] for place in logits.argmax(dim=1).tolist()]
    right = np.mean([answer == CLASSES[label] for answer, label in zip(answers, subject.labels("test"), strict=True)])
    (top1,) = made.rows[made.rows["metric"] == "top-1 accuracy"]["value"]
    assert top1 == pytest.approx(100 * right, abs=1e-4) and set(made.rows["reader"]) == {"probe", "head"}
    assert not (made.rows["metric"] == "top-5 accuracy").any()  # of four outputs
    fog = made.rows[(made.rows["shift"] == "fog") & (made.rows["metric"] == "error") & (made.rows["level"] == 3)]
    with torch.no_grad():
        logits = named.head(named.encoder(subject.corrupted("fog", 3).float() / 255))
    answers = [named.classes[place] for place in logits.argmax(dim=1).tolist()]
    wrong = np.mean([answer != CLASSES[label] for answer, label in zip(answers, subject.labels("test"), strict=True)])
    assert fog[fog["reader"] == "head"]["value"].item() == pytest.approx(100 * wrong, abs=1e-4)


def test_a_classifier_needs_no_images_to_train_on(tmp_path):
    one_each = folder_of(tmp_path / "one", pictures(1))
    with pytest.raises(BadInput, match="one cannot be evaluated: the class 'red' has 1 image, none of them to train"):
        evaluate(LAYOUT, str(one_each), budget=MINUTES, progress=False)
    made = evaluate(CLASSIFIER, str(folder_of(tmp_path / "two", pictures(2))), ["corruption"], MINUTES, progress=False)
    assert set(made.rows["reader"]) == {"head"} and made.record["data"]["images"] == {
        "train": 0, "validation": 0, "test": 6
    }  # fmt: skip


def test_the_check_finds_a_wrong_normalisation(tmp_path):
    """A network whose answers depend on where zero is, by its own head."""
    folder = folder_of(tmp_path / "many", pictures(40))
    right = evaluate(f"{CLASSIFIER}", str(folder), ["corruption"], MINUTES, progress=False)
    found = checked(right.rows, CLASSIFIER)
    assert set(found.others) == {"ImageNet's", "CLIP's", "pixels from 0 to 1"} and found.suspicious is None
    named = open_encoder(CLASSIFIER)
    subject = subject_of(named, open_data(str(folder)), right.plan)
    shown = subject.split("test", right.plan.checked)
    mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    pixels = (shown.images.float() / 255 - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        logits = named.head(named.encoder.network(pixels))
    answers = [named.classes[place] for place in logits.argmax(dim=1).tolist()]
    expected = np.mean([answer == CLASSES[label] for answer, label in zip(answers, shown.labels, strict=True)])
    assert found.others["ImageNet's"].mean == pytest.approx(100 * expected, abs=1e-4)


def test_both_conventions_of_mean_corruption_error():
    """AlexNet's errors on ImageNet-C, and twice an encoder that errs half as often."""
    alexnet = pd.read_csv("results/papers/alexnet_imagenet_c.csv").set_index("shift")["error"]
    base = {"encoder": "e", "reader": "probe", "axis": "corruption", "run": "r", "measure": "m", "subset": "",
            "metric": "error", "standard_error": 0.0, "images": 10}  # fmt: skip
    rows = [
        base | {"shift": name, "level": float(level), "level_unit": "severity", "value": alexnet[name] / 2}
        for name in CORRUPTIONS
        for level in range(1, 6)
    ]
    mean = np.mean([alexnet[name] / 2 for name in CORRUPTIONS])
    rows.append(base | {"shift": "all", "level": np.nan, "level_unit": "mean over severities", "value": mean})
    found = conventions(pd.DataFrame(rows), "e", "probe")
    assert found.normalised == pytest.approx(50) and found.plain.mean == pytest.approx(mean)
    three = pd.DataFrame([row for row in rows if row["level"] != 2])
    assert conventions(three, "e", "probe").normalised is None


class Broken(Encoder):
    """Gives NaN for what is dark, which trial images are not."""

    features = 3

    def forward(self, x):
        return x.mean(dim=(2, 3)).where(x.mean(dim=(2, 3)) > 0.3, torch.nan)


@pytest.mark.parametrize(("asked", "words"), [
    ({"axes": "corruptoin"}, "unknown axis 'corruptoin' .did you mean 'corruption'.*; allowed: corruption, natural"),
    ({"data": "nowhere"}, "unknown data set 'nowhere'; allowed: cifar10, scenes; or a folder"),
    ({"budget": 0.001}, "a budget of 0.001 minutes is too small: the untouched images and one axis take about"),
    ({"budget": -1}, "a budget, in minutes, is a number of at least 0, not -1"),
    ({"encoders": "resnet"}, "'resnet' is no name of an encoder"),
    ({"encoders": []}, "name one encoder or more"),
    ({"encoders": [LAYOUT, LAYOUT]}, "is named twice"),
    ({"axes": "natural"}, "nothing can be measured on photos .*: no other photographs of these classes are known"),
])  # fmt: skip
def test_bad_input_is_one_sentence(photographs, asked, words):
    with pytest.raises(BadInput, match=words) as error:
        evaluate(**{"encoders": LAYOUT, "data": str(photographs), "progress": False, **asked})
    assert "\n" not in str(error.value)


def test_a_folder_of_one_class_and_features_that_are_not_finite(tmp_path, photographs, monkeypatch):
    alone = folder_of(tmp_path / "alone", pictures()[:20], CLASSES[:1])
    with pytest.raises(BadInput, match="needs a folder of images for each of two or more classes"):
        evaluate(LAYOUT, str(alone), progress=False)
    monkeypatch.setattr(strangers, "broken", Broken, raising=False)
    dark = folder_of(tmp_path / "dark", pictures() // 4)
    with pytest.raises(BadInput, match="returns NaN or infinity"):
        evaluate("evaluate.strangers:broken?size=24&logits=no&normalisation=none", str(dark), progress=False)


def test_an_axis_that_fails_is_left_out_and_nothing_is_lost(photographs, tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_RUNS", str(tmp_path / "failing"))

    def rows(*_):
        raise BadInput("all features are dead")

    monkeypatch.setattr(SyntheticInvariance, "rows", rows)
    made = evaluate(COLOUR, str(photographs), ["invariance", "calibration"], MINUTES, tmp_path / "out", progress=False)
    assert made.left_out == {"invariance": "all features are dead"}
    assert "Invariance: all features are dead." in (tmp_path / "out" / "report.html").read_text()


def test_the_same_classes_elsewhere(photographs, tmp_path):
    """Darker, with a class that the data lack: the error in each class, averaged, of images that are new."""
    others = folder_of(tmp_path / "dark", pictures(7, seed=1) // 2, (*CLASSES[:2], "strange"))
    made = evaluate(LAYOUT, str(photographs), ["natural"], MINUTES, progress=False, shifts=str(others))
    subject = subject_of(open_encoder(LAYOUT), open_data(str(photographs)), made.plan)
    pixels = torch.from_numpy(pictures(7, seed=1) // 2).permute(0, 3, 1, 2)
    answers = subject.probe.predict(subject.extract(pixels))
    expected = np.mean([(answers[7 * label : 7 * label + 7] != label).float().mean().item() for label in (0, 1)])
    (found,) = made.rows[(made.rows["shift"] == "dark") & (made.rows["metric"] == "balanced error")]["value"]
    assert found == pytest.approx(100 * expected, abs=1e-4)
    with pytest.raises(BadInput, match="strangers has none of the classes of photos"):
        strange = folder_of(tmp_path / "strangers", pictures(7), ("x", "y", "z"))
        evaluate(LAYOUT, str(photographs), ["natural"], MINUTES, progress=False, shifts=[str(strange)])


@pytest.mark.parametrize(("variant", "chooses_among"), [("imagenet-a", True), ("imagenet-sketch", False)])
def test_a_variant_of_imagenet_is_asked_as_its_authors_do(tmp_path, variant, chooses_among):
    """A head that is sure of a class which the variant lacks: among the variant's classes it is as good as any."""
    folder = folder_of(tmp_path / variant / "unpacked", pictures(6), WNIDS[:3])
    name = f"{CLASSIFIER.split(':')[0]}:of_imagenet"
    made = evaluate(name, f"{variant}:{folder}", ["corruption"], MINUTES, progress=False)
    named, subject = open_encoder(name), subject_of(open_encoder(name), made.data, made.plan)
    with torch.no_grad():
        logits = named.head(named.encoder(subject.split("test").images.float() / 255))
    best = logits[:, :3].argmax(dim=1) if chooses_among else logits.argmax(dim=1)
    right = np.mean(
        [named.classes[place] == WNIDS[label] for place, label in zip(best, subject.labels("test"), strict=True)]
    )
    (top1,) = made.rows[made.rows["metric"] == "top-1 accuracy"]["value"]
    assert top1 == pytest.approx(100 * right, abs=1e-4) and (right > 0.3) == chooses_among
    assert made.data.sizes == {"train": 0, "validation": 0, "test": 18} and set(made.rows["reader"]) == {"head"}


def test_the_command(photographs, tmp_path, capsys):
    out = tmp_path / "made"
    assert (
        command.main(
            [LAYOUT, "--data", str(photographs), "--axes", "calibration", "--budget", "0.6", "--out", str(out)]
        )
        == 0
    )
    told = capsys.readouterr()
    assert "left" in told.err and "central crop of 24 px" in told.out and (out / "report.html").is_file()
    assert command.main([LAYOUT, "--data", "nowhere"]) == 2
    assert capsys.readouterr().err.strip().startswith("unknown data set 'nowhere'")
    name = command.folder_name(["timm:a/b", "x.pth@resnet50"], "/tmp/my photos")
    assert name == "report-timm-a-b-x.pth-resnet50-my-photos"


def test_a_head_fits_by_its_classes_alone(photographs):
    data = open_data(str(photographs))
    (classifier,) = open_all(CLASSIFIER, data, CPU)
    assert classifier.columns.tolist() == [2, 1, 0]
    (layout,) = open_all(LAYOUT, data, CPU)
    assert layout.columns is None and "has no head of its own" in layout.headless


def test_intervals_are_those_of_shares(both):
    rows = with_intervals(both.rows[both.rows["metric"] == "error"])
    assert (rows["low"] >= 0).all() and (rows["high"] <= 100).all() and (rows["low"] <= rows["value"]).all()
    assert store.to_csv(rows)
