"""Tables: what was run, and what came out, in words and with intervals."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

import pandas as pd
from IPython.display import HTML

from lib.designs import WITHIN, smallest_found
from lib.errors import BadInput
from lib.figures.levels import summary
from lib.figures.prose import NONE, UNTOLD
from lib.figures.style import title
from lib.measures import Interval
from lib.measures.corruption_error import ALL
from lib.measures.rows import CLEAN, overall
from lib.methods import METHODS, views_of
from lib.runs import Results, RunConfig
from lib.views import View

OPTIMISERS = {"sgd": "SGD", "lars": "LARS", "adamw": "AdamW"}  # as they are written


def table(data: pd.DataFrame) -> HTML:
    """A table for a page, without the row numbers that mean nothing to a reader; no line ends inside an interval.

    Of a table without lines there is a sentence instead.
    """
    if data.empty:
        return HTML(f"<p>{UNTOLD}</p>")
    return HTML(unbroken(data.to_html(index=False, border=0, float_format="{:g}".format)))


def unbroken(text: str) -> str:
    """HTML in which no line ends inside an interval."""
    return re.sub(r"(\[-?[\d.]+), (?=-?[\d.]+\])", r"\1,&nbsp;", text)


def tried(make: Callable[..., pd.DataFrame], *arguments: object) -> pd.DataFrame:
    """The table that `make` gives; an empty one where it raises BadInput, since rows do not hold what it needs."""
    try:
        return make(*arguments)
    except BadInput:
        return pd.DataFrame()


def runs_table(results: Results) -> pd.DataFrame:
    """A line for each system, or method with its settings: its seeds, what it was trained on and how long that took."""
    runs = results.provenance()
    apart = [name for name in ("system", "method", "encoder", "augmentation", "settings", "data") if name in runs]
    lines = [
        {
            **dict(zip(apart, names, strict=True)),
            "training images": own["training images"].iloc[0],
            "epochs": own["epochs"].iloc[0],
            "seeds": ", ".join(map(str, sorted(own["seed"]))),
            "seconds a run": round(own["seconds"].mean()),
            "finished": own["finished"].max(),
        }
        for names, own in runs.groupby(apart, sort=False)
    ]
    return pd.DataFrame(lines)


def protocol(results: Results) -> pd.DataFrame:
    """One line a method, encoder, data set and settings: what it was trained with; columns that tell something."""
    lines = []
    configs = [RunConfig.from_dict(record["config"]) for record in results.records]
    kinds = [(own.method, own.encoder, own.dataset, own.differing) for own in configs]
    for kind in dict.fromkeys(kinds):
        records = [record for record, own in zip(results.records, kinds, strict=True) if own == kind]
        config, training = records[0]["config"], records[0]["config"]["training"]
        method, encoder, dataset, _ = kind
        trained = METHODS[method].trained
        lines.append(
            {
                "method": title(method),
                "paradigm": METHODS[method].paradigm,
                "encoder": encoder,
                "data": dataset,
                "augmentations": ", ".join(
                    dict.fromkeys(record["config"].get("augmentation") or "" for record in records)
                ),
                "images": f"{records[0]['data']['train_images']:,}",
                "epochs": training["epochs"] if trained else "none",
                "views of an image": _views(method, config["settings"]),
                "batch": training["batch_size"] if trained else "",
                "optimiser": f"{OPTIMISERS[training['optimiser']]}, {training['learning_rate']:g}" if trained else "",
                "weight decay": f"{training['weight_decay']:g}" if trained else "",
                "own settings": written(config["settings"]),
                "seeds": len({record["config"]["seed"] for record in records}),
            }
        )
    told = pd.DataFrame(lines)
    same = ["data"] if told["data"].nunique() == 1 else []  # the captions name it
    return told.drop(columns=same if told["augmentations"].any() else [*same, "augmentations"])


def smallest_differences(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a measure and metric: its test images, and the difference of two systems that is found with 80 % power.

    See `lib.designs.smallest_found`; in parentheses the quartiles over cells. Encoders that stand alone on a data set
    are left out where others do not; columns that tell nothing are, too.
    """
    found = smallest_found(rows)
    within = [found[name] for name in WITHIN]
    several = found.groupby(within)["systems"].transform("max") > 1
    found = found[several] if several.any() else found
    told = pd.DataFrame(
        {
            "data": found["dataset"],
            "encoder": found["encoder"],
            "measure": found["measure"].str.replace("_", " "),
            "number": found["metric"],
            "test images": [_from_to(*ends, ",.0f") for ends in zip(found["fewest"], found["most"], strict=True)],
            "systems": found["systems"],
            "seeds": found["seeds"],
            "smallest difference found": [
                _with_quartiles(*line) for line in zip(found["found"], found["low"], found["high"], strict=True)
            ],
        }
    )
    return told.drop(columns=[name for name in ("data", "encoder") if told[name].nunique() == 1])


def _with_quartiles(size: float, low: float, high: float) -> str:
    """2.6 (1.9 to 3.3), or 2.6 where the quartiles are written alike, as those of one cell are."""
    ends = _from_to(low, high, ".1f")
    return NONE if pd.isna(size) else f"{size:.1f} ({ends})" if " to " in ends else f"{size:.1f}"


def _from_to(low: float, high: float, form: str) -> str:
    return " to ".join(dict.fromkeys(format(end, form) for end in (low, high)))


def written(settings: dict[str, object]) -> str:
    """A method's own settings in words: "temperature 0.2, hidden 512"; what is None is left out, and what is said of
    negatives or of backgrounds where there are none or none is removed."""
    silent = ("alpha", "count") if settings.get("negatives", True) is None else ()
    silent += ("removed", "masks") if settings.get("removed") == 0 else ()
    settings = {name: value for name, value in settings.items() if name not in silent}
    return ", ".join(
        f"{name.replace('_', ' ')} {_written(value)}" for name, value in settings.items() if value is not None
    )


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else format(value, "g")


def systems_table(results: Results) -> pd.DataFrame:
    """One line a system: what it learns by and against, how it was trained, and where it comes from.

    A column that would say nothing of any system is left out.
    """
    lines = []
    for name in dict.fromkeys(record["system"] for record in results.records):
        records = [record for record in results.records if record["system"] == name]
        config, system = records[0]["config"], results.systems[name]
        training, trained = config["training"], METHODS[system.method].trained
        settings = METHODS[system.method].settings(**config["settings"])
        lines.append(
            {
                "system": system.title,
                "trained against": _attack(config["attack"]),
                "negatives": getattr(settings, "negatives_in_words", ""),
                "queue": "" if "queue" in getattr(settings, "silent", ()) else str(getattr(settings, "queue", "")),
                "views": views_in_words(system.method, config["settings"]) if trained else "",
                "removed": _removal(config["settings"]),
                "batch": training["batch_size"] if trained else "",
                "epochs": training["epochs"] if trained else "none",
                "optimiser": f"{OPTIMISERS[training['optimiser']]}, {training['learning_rate']:g}" if trained else "",
                "data": ", ".join(dict.fromkeys(record["config"]["dataset"] for record in records)),
                "seeds": len({record["config"]["seed"] for record in records}),
                "source": system.source,
            }
        )
    told = pd.DataFrame(lines)
    plain = {"trained against": "nothing", "negatives": "", "queue": "", "removed": ""}
    if told["data"].nunique() == 1:
        plain["data"] = told["data"].iloc[0]  # the captions name it
    return told.drop(columns=[name for name, value in plain.items() if told[name].isin(["", value]).all()])


def _removal(settings: dict) -> str:
    """0.1 of backgrounds, learned masks"""
    return f"{settings['removed']:g} of backgrounds, {settings['masks']} masks" if settings.get("removed") else ""


def _attack(attack: dict | None) -> str:
    """PGD(5), 8/255 by steps of 2.55/255, last view."""
    if attack is None:
        return "nothing"
    name = attack["name"].upper() if not attack["name"].startswith("free") else attack["name"]
    words = f"{name}, {255 * attack['epsilon']:g}/255 by steps of {round(255 * attack['step'], 2):g}/255"
    in_training = attack["mode"] == "batch" and not attack["name"].startswith("free")
    others = [attack["quirk"], "in training mode" if in_training else None]
    others.append("one of two views" if attack["views"] == "last" else None)
    others.append("against the same view" if attack.get("partner") == "same" else None)
    return ", ".join([words, *filter(None, others)])


def views_in_words(method: str, settings: dict) -> str:
    """How many views of an image a method reads in a step: "2", or "2 of 32 px and 4 of 16 px"."""
    views = views_of(method, METHODS[method].settings(**settings))
    return _views(method, settings).replace(", ", " and ") if len(set(_sizes(views))) > 1 else str(len(views))


def _views(method: str, settings: dict) -> str:
    """What a method reads of each image in a step: "2 of 32 px, 4 of 16 px"."""
    if not METHODS[method].trained:
        return ""
    sizes = Counter(_sizes(views_of(method, METHODS[method].settings(**settings))))
    return ", ".join(f"{count} of {size} px" for size, count in sizes.items())


def _sizes(views: Sequence[View]) -> list[int]:
    return [view.size for view in views]


def accuracy_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a method: accuracy on clean test images by nearest neighbours and by the probe."""
    found = {metric: summary(rows, metric).set_index("method") for metric in ("knn accuracy", "probe accuracy")}
    return pd.DataFrame(
        {"method": title(method)} | {f"{metric} (%)": _cell(table.loc[method]) for metric, table in found.items()}
        for method in found["knn accuracy"].index
    )


def ranking(rows: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """One line a method that has rows: clean error, mean corruption error and relative error in percent."""
    rows = overall(rows)
    errors, relative = (summary(rows, metric).set_index(["method", "shift"]) for metric in ("error", "relative error"))
    measured = set(errors.index.get_level_values("method")) & set(relative.index.get_level_values("method"))
    return pd.DataFrame(
        {
            "method": title(method),
            "clean error (%)": _cell(errors.loc[method, CLEAN]),
            "mean corruption error CE (%)": _cell(errors.loc[method, ALL]),
            "relative error rCE (points)": _cell(relative.loc[method, ALL]),
        }
        for method in methods
        if method in measured
    )


def _cell(line: pd.Series) -> str:
    return str(Interval(line["mean"], line["low"], line["high"]))
