"""Rows of figures, one per solver and input, as a table and as one figure per metric over all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SOLVERS = ("ours", "repaired", "released")
#: Metrics averaged over the frames of all matched people: exact for figures per frame, and near for foot sliding.
_OF_PEOPLE = ("wa_mpjpe_mm", "w_mpjpe_mm", "foot_sliding_mm")
#: Metrics averaged over the frames of all videos.
_OF_VIDEOS = ("scale_percent", "ate_m", "focal_percent", "seconds_per_100", "cost")


@dataclass(frozen=True)
class Row:
    """One solver on one input. frames: of the video; people_frames: of all people who were matched to true ones.

    cost: the reference's stage-2 objective of the result, the mean over the reference's chunks. measured_from: what the
    error of the scale was measured from.
    """

    sequence: str
    level: float
    seed: int
    solver: str
    frames: int
    seconds: float
    cost: float
    scale_percent: float
    measured_from: str
    ate_m: float
    wa_mpjpe_mm: float
    w_mpjpe_mm: float
    foot_sliding_mm: float
    focal_percent: float
    scale_sigma: float
    people_known: int
    people_matched: int
    people_frames: int

    @property
    def seconds_per_100(self) -> float:
        """Seconds per 100 frames."""
        return 100.0 * self.seconds / self.frames


@dataclass(frozen=True)
class Pooled:
    """A metric over many rows: its mean over all frames, and the median and the largest of the rows."""

    mean: float
    median: float
    worst: float


def write(rows: list[Row], path: Path) -> None:
    """Keeps the rows as JSON."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1), "utf-8")


def read(paths: Sequence[Path]) -> list[Row]:
    """The rows of several files of runs without differing options; of an input that is in more than one, the last."""
    found = [Row(**entry) for path in paths for entry in json.loads(path.read_text("utf-8"))]
    return list({(row.sequence, row.level, row.seed, row.solver, row.frames): row for row in found}.values())


def pooled(rows: list[Row], solver: str) -> dict[str, Pooled]:
    """Each metric of a solver over the rows that have a value for it; `people_missed` says whom that hides."""
    own = [row for row in rows if row.solver == solver]
    frames = np.array([row.frames for row in own], float)
    of_people = np.array([row.people_frames for row in own], float)
    names = [*((name, frames) for name in _OF_VIDEOS), *((name, of_people) for name in _OF_PEOPLE)]
    return {name: _pooled(np.array([getattr(row, name) for row in own], float), weights) for name, weights in names}


def people_missed(rows: list[Row], solver: str) -> int:
    """People whom a solver's results do not have where they are."""
    return sum(row.people_known - row.people_matched for row in rows if row.solver == solver)


def table(rows: list[Row]) -> str:
    """Figures per row, then means over all frames and medians of the rows per level and solver."""
    head = f"{'sequence':<10}{'level':>6}{'seed':>5}  {'solver':<10}{'s/100':>7}{'cost':>8}{'scale %':>9}{'ATE m':>8}"
    lines = [head + f"{'WA mm':>8}{'W mm':>8}{'slide':>7}{'focal %':>9}"]
    for row in rows:
        values = {name: float(getattr(row, name)) for name in (*_OF_VIDEOS, *_OF_PEOPLE)}
        lines.append(_line(row.sequence, f"{row.level:g}", str(row.seed), row.solver, values))
    for level in sorted({row.level for row in rows}):
        for solver in SOLVERS:
            chosen = [row for row in rows if row.level == level and row.solver == solver]
            if chosen:
                found = pooled(chosen, solver)
                for kind in ("mean", "median"):
                    values = {name: float(getattr(value, kind)) for name, value in found.items()}
                    lines.append(_line(kind, f"{level:g}", "", solver, values))
    return "\n".join(lines)


def _pooled(values: Array, weights: Array) -> Pooled:
    known = np.isfinite(values)
    if not known.any() or not weights[known].sum():
        return Pooled(float("nan"), float("nan"), float("nan"))
    values = values[known]
    mean = np.average(values, weights=weights[known])
    return Pooled(float(mean), float(np.median(values)), float(values.max()))


def _line(sequence: str, level: str, seed: str, solver: str, values: dict[str, float]) -> str:
    widths = {
        "seconds_per_100": "7.1f", "cost": "8.2f", "scale_percent": "9.2f", "ate_m": "8.3f", "wa_mpjpe_mm": "8.1f",
        "w_mpjpe_mm": "8.1f", "foot_sliding_mm": "7.2f", "focal_percent": "9.2f",
    }  # fmt: skip
    numbers = "".join(format(values[name], width) for name, width in widths.items())
    return f"{sequence:<10}{level:>6}{seed:>5}  {solver:<10}{numbers}"
