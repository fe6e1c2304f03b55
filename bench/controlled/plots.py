"""python -m bench.controlled.plots STUDIES.json PICTURE: the studies as plots, one beside the other."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from .cases import STUDIES, Study

#: Studies that are drawn, with what is drawn of each: figure, its name, whether its axis is logarithmic.
DRAWN = (
    ("noise", "scale_percent", "scale error, %", False),
    ("labels", "scale_percent", "scale error, %", False),
    ("labels", "foot_sliding_mm", "foot sliding, mm a frame", False),
    ("start", "scale_percent", "scale error, %", True),
    ("people", "wa_mpjpe_mm", "WA-MPJPE, mm", False),
    ("length", "seconds", "seconds of solving", True),
)
_COLUMNS = 3


def draw(known: dict[str, Any], picture: Path) -> None:
    """Medians as a line, every input as a dot; ``known`` is what `bench.controlled.studies` keeps."""
    drawn = [row for row in DRAWN if row[0] in known]
    rows = -(-len(drawn) // _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(11.0, 3.2 * rows), squeeze=False, layout="constrained")
    for place, (name, quantity, title, logarithmic) in zip(axes.flat, drawn, strict=False):
        _panel(place, STUDIES[name], known[name], quantity)
        place.set_ylabel(title)
        place.set_xlabel(STUDIES[name].axis)
        if logarithmic:
            place.set_xscale("log")
        if logarithmic and quantity == "seconds":
            place.set_yscale("log")
        else:
            place.set_ylim(bottom=0.0)
    for place in axes.flat[len(drawn) :]:
        place.axis("off")
    figure.savefig(picture, dpi=90)
    plt.close(figure)


def _panel(place: Any, study: Study, rows: dict[str, list[dict[str, float]]], quantity: str) -> None:
    values = [[row[quantity] for row in rows[case.name]] for case in study.cases[: len(study.at)]]
    for x, some in zip(study.at, values, strict=True):
        place.plot([x] * len(some), some, "o", color="0.7", markersize=4)
    place.plot(study.at, [float(np.nanmedian(some)) for some in values], "o-", color="tab:blue")
    place.grid(alpha=0.3)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.controlled.plots", description=__doc__)
    parser.add_argument("studies", type=Path, help="what `bench.controlled.studies --json` wrote")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    draw(json.loads(arguments.studies.read_text("utf-8")), arguments.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
