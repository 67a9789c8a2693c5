"""Evaluate any frozen encoder for robustness, and write one folder with a report.

python -m lib.evaluate timm:resnet50.a1_in1k --data photographs/
python -m lib.evaluate weights.pth@resnet18 --data cifar10 --axes corruption,adversarial --budget 10
python -m lib.evaluate weights.pth@resnet18 --data cifar10 --submit
python -m lib.evaluate torchvision:resnet50 hf:facebook/dinov2-base --data photographs/ --out compared
python -m lib.evaluate torchvision:resnet50 hf:facebook/dinov2-base --data photographs/ --engine processes
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from lib.engines import ENGINES
from lib.errors import BadInput
from lib.evaluate import AXES, BUDGET, evaluate


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m lib.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("encoder", nargs="+", help="names such as timm:NAME, FILE@ENCODER, package.module:function")
    parser.add_argument("--data", required=True, help="a built-in set, or a folder of classes")
    parser.add_argument("--axes", help=f"some of {', '.join(AXES)}; all that fit unless given")
    parser.add_argument("--budget", type=float, default=BUDGET, metavar="MINUTES", help=f"{BUDGET:g} unless given")
    parser.add_argument("--shifts", nargs="+", default=(), metavar="DATA", help="folders of the same classes elsewhere")
    parser.add_argument("--out", metavar="FOLDER", help="where the report goes; report-ENCODER-DATA unless given")
    words = "measure as the scoreboard's others on these data, and write entries to results/scoreboard"
    parser.add_argument("--submit", action="store_true", help=words)
    words = f"{', '.join(ENGINES)}: where several encoders are measured, each a task; see lib.engines"
    parser.add_argument("--engine", help=words)
    asked = parser.parse_args(arguments)
    out = Path(asked.out) if asked.out else Path(folder_name(asked.encoder, asked.data))
    try:
        made = evaluate(
            asked.encoder, asked.data, asked.axes, asked.budget, out, shifts=asked.shifts, submit=asked.submit,
            engine=asked.engine,
        )  # fmt: skip
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    for axis, reason in made.left_out.items():
        print(f"left out: {axis}: {reason}", file=sys.stderr)
    for own in made.opened:
        print(f"{own.name}: {own.named.preprocessing}")
    print(f"the report is {out / 'report.html'}")
    for folder in made.entries:
        print(f"an entry of the scoreboard is {folder}")
    return 0


def folder_name(encoders: list[str], data: str) -> str:
    """Of letters that any file system takes."""
    words = "-".join(["report", *encoders, Path(data).name])
    return re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-.")[:100]


if __name__ == "__main__":
    sys.exit(main())
