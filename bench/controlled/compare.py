"""Both solvers on the same inputs, one row of figures per sequence, level and seed."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.baseline import adam, chunks, objective, problem, result
from bench.sample.shots import Shot, compose
from bench.sequences import shot_of
from josh_blender.scene4d.body import BodyModel
from josh_blender.scene4d.scene import Scene4D

from . import ours
from .inputs import Inputs, Variation, make_inputs
from .rows import Row
from .truth import Truth, first_frames, truth_of_shot
from .views import Sightings, View, look, sight

Array = NDArray[Any]

#: The reference solves 101 frames at a time (R3).
CHUNK = 101
BASELINES = {"repaired": problem.REPAIRED, "released": problem.AS_RELEASED}


@dataclass(frozen=True)
class Prepared:
    """A sequence's truth with what its key frames see; the same for all levels and seeds."""

    truth: Truth
    views: list[View]
    sightings: Sightings


def prepare(name: str, model: BodyModel, frames: int = CHUNK, small: bool = False) -> Prepared:
    """Composes a sequence and looks at its beginning, or at all of it where ``frames`` is 0."""
    return prepare_shot(shot_of(name, small), model, frames)


def prepare_shot(shot: Shot, model: BodyModel, frames: int = CHUNK) -> Prepared:
    """The same of any shot."""
    truth = truth_of_shot(shot, compose(shot, model))
    if frames:
        truth = first_frames(truth, frames)
    views = look(truth, model)
    return Prepared(truth, views, sight(truth, views))


def compare(
    name: str, prepared: Prepared, model: BodyModel, level: float, seed: int, variation: Variation,
    baselines: Collection[str], steps: tuple[int, int] = (adam.STAGE_1_STEPS, adam.STAGE_2_STEPS),
) -> list[Row]:  # fmt: skip
    """The rows of one input, of any length: ours, and those of `BASELINES` that are asked for."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        truth, views = prepared.truth, prepared.views
        inputs = make_inputs(truth, views, prepared.sightings, model, level, seed, Path(folder), variation)
        parts = chunks.chunks_of(inputs)
        repaired = [problem.make_problem(part, model, problem.REPAIRED) for part in parts]

        def row(
            solver: str, seconds: float, states: list[objective.ReferenceState], scene: Scene4D, scale: float,
            depths: list[Array] | None,
        ) -> Row:  # fmt: skip
            costs = [float(objective.stage_2(*pair)) for pair in zip(repaired, states, strict=True)]
            figures = ours.figures(truth, views, inputs, scene, scale, model, depths)
            people, camera = figures["people"], figures["camera"]
            return Row(
                name, level, seed, solver, figures["frames"], seconds, float(np.mean(costs)),
                figures["scale"]["error_percent"], figures["scale"]["measured_from"], camera["ate_m"],
                people["wa_mpjpe_mm"], people["w_mpjpe_mm"], people["foot_sliding_mm"], camera["focal_percent"],
                scene.scale.sigma, people["known"], people["matched"],
                sum(person["frames"] for person in figures["persons"]),
            )  # fmt: skip

        solved = ours.solve(truth, inputs, model)
        states = _states(solved, inputs, parts, repaired, model)
        rows.append(row("ours", solved.seconds, states, solved.scene, solved.joint.scale, None))
        for solver, defects in BASELINES.items():
            if solver in baselines:
                run = chunks.solve(inputs, model, defects, steps)
                scene = ours.scene_of(truth, inputs, run.joint, model)
                rows.append(row(solver, run.seconds, run.states, scene, run.joint.scale, run.depths))
    return rows


def _states(
    solved: ours.Solved, inputs: Inputs, parts: list[Inputs], problems: list[problem.ReferenceProblem], model: BodyModel
) -> list[objective.ReferenceState]:
    """Our result as a state of each chunk of the reference."""
    stretches = [chunks.part_of(solved.joint, *span) for span in chunks.spans_of(inputs)]
    triples = zip(problems, stretches, parts, strict=True)
    return [result.state_of_joint(posed, stretch, part, model) for posed, stretch, part in triples]
