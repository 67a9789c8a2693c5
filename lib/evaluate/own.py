"""The book's own encoders with their weights, as a table."""

from __future__ import annotations

import pandas as pd

from lib.measures import Interval
from lib.methods import METHODS
from lib.models import handed

COLUMNS = ("name", "method", "trained on", "epochs", "probe accuracy (%)", "size (MB)")


def own_encoders() -> pd.DataFrame:
    """A line for each encoder of `lib.models.handed`, those of one data set together, the most accurate first."""
    lines = sorted(handed.cards().items(), key=lambda item: (_data(item[1]), -item[1]["probe"]["accuracy"][0]))
    return pd.DataFrame([_line(name, card) for name, card in lines], columns=list(COLUMNS))


def _line(name: str, card: dict) -> tuple:
    config = card["config"]
    title = METHODS[config["method"]].title
    beside = [config["augmentation"] and f"{config['augmentation']} views", config["attack"] and "under attack"]
    if negatives := config["settings"].get("negatives"):
        beside.append(f"{negatives} negatives")
    if config["settings"].get("removed") and config["settings"].get("masks") == "exact":
        beside.append("backgrounds removed")
    return (
        name,
        ", ".join([title, *filter(None, beside)]),
        f"{_data(card)} ({card['data']['train_images']:,} images)",
        config["training"]["epochs"],
        str(Interval(*card["probe"]["accuracy"])),
        round(card["bytes"] / 1e6, 2),
    )


def _data(card: dict) -> str:
    return str(card["config"]["dataset"])
