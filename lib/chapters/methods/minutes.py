"""What minutes of one core buy: accuracy against processor time, as `benchmarks.minutes` measured it."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from lib import leases, paths
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.prose import UNTOLD, listed
from lib.figures.style import settle, use_style

FILE = paths.RESULTS / "methods" / "minutes.csv"
PEER = "lightly"
# What was trained, for how long its schedule is made, how far it was when it was judged, and by how many images.
COLUMNS = (
    "arm", "encoder", "batch_size", "epochs", "images", "minutes", "knn", "error", "bank", "queries", "device", "commit"
)  # fmt: skip
LOOKS = {  # of the encoders that were tried
    "ResNet-18": {"color": "#D55E00", "marker": "X", "linestyle": ":"},
    "resnet10_narrow": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "resnet10": {"color": "#009E73", "marker": "s", "linestyle": "--"},
}
NAMES = {"resnet10_narrow": "narrow ResNet-10", "resnet10": "ResNet-10", "ResNet-18": "ResNet-18 (lightly)"}
MARKS = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128)  # of the axis of minutes


def read(path: Path = FILE) -> pd.DataFrame:
    """The lines of `COLUMNS`, one a judgement; `knn` and its standard `error` in percent. Empty where none is there."""
    if not path.exists():
        return pd.DataFrame(columns=list(COLUMNS))
    lines = pd.read_csv(path)
    if tuple(lines.columns) != COLUMNS:
        raise BadInput(f"{path} has the columns {', '.join(lines.columns)}; they are: {', '.join(COLUMNS)}")
    return lines


def append(path: Path, lines: pd.DataFrame) -> None:
    """Add the lines of an arm that has ended, which several processes may do at once."""
    with leases.held(path.with_suffix(".lease")), open(path, "a") as file:
        file.write(lines[list(COLUMNS)].to_csv(index=False, header=file.tell() == 0))


def ends(lines: pd.DataFrame) -> pd.DataFrame:
    """The last judgement of each arm, where its schedule has ended or it was stopped."""
    return lines.loc[lines.groupby("arm", sort=False)["minutes"].idxmax()].reset_index(drop=True)


def compared(lines: pd.DataFrame) -> dict[str, float | str]:
    """Minutes to the peer's last accuracy, the peer's and ours, and their ratio, above 1 where we are faster.

    Ours is the arm that ends at that accuracy or above it after the least time. NaN where no arm does, or where the
    peer was not measured.
    """
    last = ends(lines)
    peer, ours = last[last["arm"] == PEER], last[last["arm"] != PEER]
    mark = float(peer["knn"].iloc[0]) if len(peer) else math.nan
    reached = ours[ours["knn"] >= mark].sort_values("minutes")
    times = [float(part["minutes"].iloc[0]) if len(part) else math.nan for part in (reached, peer)]
    arm = str(reached["arm"].iloc[0]) if len(reached) else ""
    return {"mark": mark, "arm": arm, "ours": times[0], "peer": times[1], "ratio": round(times[1] / times[0], 1)}


def before(lines: pd.DataFrame) -> dict[str, float]:
    """What each encoder knew before its training, in percent, where that was judged."""
    known = lines[lines["images"] == 0].groupby("encoder", sort=False)["knn"].mean()
    return {str(encoder): float(accuracy) for encoder, accuracy in known.items()}


def minutes_bought(lines: pd.DataFrame | None = None) -> Figure:
    """A dot a training of ours, where its schedule ends, and lightly's on its way: accuracy against minutes."""
    lines = read() if lines is None else lines
    if lines.empty:
        raise BadInput("nothing was timed: `python -m benchmarks.minutes` does")
    begun = lines[lines["images"] > 0]
    table = pd.concat([ends(begun[begun["arm"] != PEER]), begun[begun["arm"] == PEER]], ignore_index=True)
    use_style()
    drawing, axes = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
    for encoder, own in table.groupby("encoder", sort=False):
        look = LOOKS[encoder]
        common = own["batch_size"] == own["batch_size"].mode()[0]
        line = own[common].sort_values("minutes")
        axes.errorbar(line["minutes"], line["knn"], yerr=1.96 * line["error"], label=NAMES[encoder], markersize=6,
                      linewidth=1.4, elinewidth=1, **look)  # fmt: skip
        other = own[~common]
        axes.errorbar(other["minutes"], other["knn"], yerr=1.96 * other["error"], markersize=6, elinewidth=1,
                      markerfacecolor="none", **look | {"linestyle": "none"})  # fmt: skip
        for one in other.itertuples():
            axes.annotate(f"{one.batch_size}", (one.minutes, one.knn), (6, -11), textcoords="offset points")
    axes.set_xscale("log", base=2)
    low, high = table["minutes"].min() / 1.4, table["minutes"].max() * 1.4
    axes.set(xlabel="minutes of one core", ylabel="kNN accuracy (%)", xlim=(low, high))
    axes.xaxis.set_major_locator(FixedLocator([own for own in MARKS if low <= own <= high]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.legend(loc="best", frameon=False)
    settle(drawing)
    first = lines.iloc[0]
    told = [
        f"{NAMES[encoder]}: "
        + listed([f"{one.knn:.0f} percent after {one.minutes:.1f}" for one in own.sort_values("minutes").itertuples()])
        for encoder, own in table.groupby("encoder", sort=False)
    ]
    return Figure(
        drawing,
        name="fig-minutes",
        caption="Accuracy of nearest neighbours on validation images of CIFAR-10 against the minutes of one core that "
        "SimCLR was trained. A dot of ours is a training to the end of its schedule; lightly's benchmark is judged on "
        "its way. "
        + "Hollow: other batches, with their size. " * (table["batch_size"].nunique() > 1)
        + "Bars: 95 % intervals over images.",
        notes=f"{first['queries']:,} validation images are asked about {first['bank']:,} training images. One seed an "
        f"arm. {first['device']}, float32 neighbours; the clock counts the processor's time of training and views."
        + "".join(f" Before training {NAMES[encoder]}: {own:.0f} %." for encoder, own in before(lines).items()),
        alt="Accuracy against minutes, a line an encoder. " + "; ".join(told) + ".",
        data=table[["arm", "encoder", "batch_size", "epochs", "images", "minutes", "knn", "error"]].rename(
            columns={"batch_size": "batch", "knn": "kNN accuracy (%)", "error": "standard error"}
        ),
    )


def minutes_told(lines: pd.DataFrame | None = None) -> Markdown:
    """How soon ours reaches what lightly's benchmark does, and what the longest of ours reaches, in sentences."""
    lines = read() if lines is None else lines
    if lines.empty:
        return Markdown(UNTOLD)
    found, ours = compared(lines), ends(lines[lines["arm"] != PEER])
    best, knew = ours.loc[ours["knn"].idxmax()], before(lines[lines["arm"] == PEER]).get("ResNet-18", math.nan)
    sentences = []
    if math.isfinite(found["peer"]):  # type: ignore[arg-type]
        sentences.append(
            f"On one core, lightly's benchmark knows {found['mark']:.0f} % of the validation images after "
            f"{found['peer']:.0f} minutes{'' if math.isnan(knew) else f', and {knew:.0f} % before any'}."
        )
        sentences.append(
            f"Ours knows at least as many after {found['ours']:.1f} minutes, {found['ratio']:.0f} times as soon: the "
            "encoder is smaller, and views are made for a whole batch at once."
            if math.isfinite(found["ours"])  # type: ignore[arg-type]
            else "None of ours was trained until it knew as many."
        )
    sentences.append(
        f"The most that was reached is {best['knn']:.0f} %, by a {NAMES[best['encoder']]} after {best['minutes']:.0f} "
        "minutes."
    )
    return Markdown(" ".join(sentences))
