"""python -m bench.controlled.pool A.json B.json: rows kept by several runs as one table, in Markdown."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .rows import SOLVERS, Pooled, Row, people_missed, pooled, read

#: What a metric is called, its unit and factor, and how many digits it is worth.
_SHOWN = {
    "scale_percent": ("scale error", " %", 1.0, 2),
    "ate_m": ("ATE", " mm", 1000.0, 0),
    "wa_mpjpe_mm": ("WA-MPJPE", " mm", 1.0, 0),
    "w_mpjpe_mm": ("W-MPJPE", " mm", 1.0, 0),
    "foot_sliding_mm": ("foot sliding, per frame", " mm", 1.0, 1),
    "focal_percent": ("focal length", " %", 1.0, 2),
    "cost": ("first-order cost, mean over its chunks", "", 1.0, 2),
    "seconds_per_100": ("seconds per 100 frames", "", 1.0, 1),
}


def markdown(rows: list[Row]) -> str:
    """A line per metric and a column per solver."""
    solvers = [solver for solver in SOLVERS if any(row.solver == solver for row in rows)]
    found = {solver: pooled(rows, solver) for solver in solvers}
    lines = [
        f"| mean over all frames; median (worst) of the inputs | {' | '.join(solvers)} |",
        "|---|" + "---|" * len(solvers),
    ]
    for name, (title, unit, factor, digits) in _SHOWN.items():
        cells = [_cell(found[solver][name], unit, factor, digits) for solver in solvers]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    counts = [f"{people_missed(rows, solver)} of {_people(rows, solver)}" for solver in solvers]
    return "\n".join([*lines, f"| people missed | {' | '.join(counts)} |"])


def _cell(value: Pooled, unit: str, factor: float, digits: int) -> str:
    mean, median, worst = (f"{factor * number:.{digits}f}" for number in (value.mean, value.median, value.worst))
    return f"{mean}{unit}; {median}{unit} ({worst})"


def _people(rows: list[Row], solver: str) -> int:
    return sum(row.people_known for row in rows if row.solver == solver)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.controlled.pool", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="what --json of bench.controlled kept")
    rows = read(parser.parse_args().files)
    for level in sorted({row.level for row in rows}):
        chosen = [row for row in rows if row.level == level]
        sequences = len({row.sequence for row in chosen})
        inputs = {(row.sequence, row.seed, row.frames): row.frames for row in chosen}
        print(f"Level {level:g}: {len(inputs)} inputs of {sequences} sequences, {sum(inputs.values())} frames\n")
        print(markdown(chosen), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
