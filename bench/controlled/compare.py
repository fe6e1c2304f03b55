"""Both solvers on the same inputs, one row of figures per sequence, level and seed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.baseline import adam, objective, problem, result
from bench.sample.shots import Shot, compose
from bench.sequences import shot_of
from josh_blender.scene4d.body import BodyModel

from . import ours
from .inputs import Variation, make_inputs
from .truth import Truth, first_frames, truth_of_shot
from .views import Sightings, View, look, sight

#: The reference solves 101 frames at a time (R3).
CHUNK = 101
SOLVERS = ("ours", "repaired", "released")


@dataclass(frozen=True)
class Prepared:
    """A sequence's truth with what its key frames see; the same for all levels and seeds."""

    truth: Truth
    views: list[View]
    sightings: Sightings


@dataclass(frozen=True)
class Row:
    """One solver on one input. cost: the reference's stage-2 objective of the result."""

    sequence: str
    level: float
    seed: int
    solver: str
    seconds: float
    cost: float
    scale_percent: float
    ate_m: float
    wa_mpjpe_mm: float
    foot_sliding_mm: float
    focal_percent: float
    scale_sigma: float


def prepare(name: str, model: BodyModel, frames: int = CHUNK, small: bool = False) -> Prepared:
    """Composes a sequence and looks at its beginning."""
    return prepare_shot(shot_of(name, small), model, frames)


def prepare_shot(shot: Shot, model: BodyModel, frames: int = CHUNK) -> Prepared:
    """The same of any shot."""
    truth = first_frames(truth_of_shot(shot, compose(shot, model)), frames)
    views = look(truth, model)
    return Prepared(truth, views, sight(truth, views))


def compare(
    name: str, prepared: Prepared, model: BodyModel, level: float, seed: int, variation: Variation, baseline: bool,
    steps: tuple[int, int] = (adam.STAGE_1_STEPS, adam.STAGE_2_STEPS),
) -> list[Row]:  # fmt: skip
    """The rows of one input; without ``baseline`` only ours."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        truth, views = prepared.truth, prepared.views
        inputs = make_inputs(truth, views, prepared.sightings, model, level, seed, Path(folder), variation)
        repaired = problem.make_problem(inputs, model, problem.REPAIRED)

        def row(solver: str, seconds: float, state: objective.ReferenceState, scene: Any, scale: float) -> Row:
            figures = ours.figures(truth, views, inputs, scene, scale, model)
            people, camera = figures["people"], figures["camera"]
            return Row(
                name, level, seed, solver, seconds, float(objective.stage_2(repaired, state)),
                figures["scale"]["error_percent"], camera["ate_m"], people["wa_mpjpe_mm"], people["foot_sliding_mm"],
                camera["focal_percent"], scene.scale.sigma,
            )  # fmt: skip

        solved = ours.solve(truth, inputs, model)
        state = result.state_of_joint(repaired, solved.joint, inputs, model)
        rows.append(row("ours", solved.seconds, state, solved.scene, solved.joint.scale))
        for solver, defects in (("repaired", problem.REPAIRED), ("released", problem.AS_RELEASED)):
            if baseline:
                run = adam.solve(problem.make_problem(inputs, model, defects), defects, steps)
                joint = result.joint_result(repaired, run.state, inputs, model)
                scene = ours.scene_of(truth, inputs, joint, model)
                rows.append(row(solver, run.seconds, run.state, scene, joint.scale))
    return rows


def table(rows: list[Row]) -> str:
    """Figures per row, then their means per level and solver."""
    head = f"{'sequence':<10}{'level':>6}{'seed':>5}  {'solver':<10}{'s':>7}{'cost':>8}{'scale %':>9}{'ATE m':>8}"
    lines = [head + f"{'WA mm':>8}{'slide':>7}{'focal %':>9}"]
    lines += [_line(row.sequence, f"{row.level:g}", str(row.seed), row.solver, [row]) for row in rows]
    for level in sorted({row.level for row in rows}):
        for solver in SOLVERS:
            chosen = [row for row in rows if row.level == level and row.solver == solver]
            if chosen:
                lines.append(_line("mean", f"{level:g}", "", solver, chosen))
    return "\n".join(lines)


def _line(sequence: str, level: str, seed: str, solver: str, rows: list[Row]) -> str:
    names = ("seconds", "cost", "scale_percent", "ate_m", "wa_mpjpe_mm", "foot_sliding_mm", "focal_percent")
    values = [_mean([getattr(row, name) for row in rows]) for name in names]
    widths = (("7.1f"), ("8.2f"), ("9.2f"), ("8.3f"), ("8.1f"), ("7.2f"), ("9.2f"))
    numbers = "".join(format(value, width) for value, width in zip(values, widths, strict=True))
    return f"{sequence:<10}{level:>6}{seed:>5}  {solver:<10}{numbers}"


def _mean(values: list[float]) -> float:
    finite = np.array([value for value in values if np.isfinite(value)])
    return float(finite.mean()) if len(finite) else float("nan")
