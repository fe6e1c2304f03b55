"""python -m bench.controlled.studies: what each part of the joint solve is worth, as Markdown tables.

Every table is ours alone on controlled inputs; `python -m bench.controlled` compares with the baseline.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from josh_blender.engine.solver.settings import SolverSettings
from josh_blender.scene4d.body import BodyModel, load_default_body

from . import ours
from .compare import CHUNK, Prepared, prepare
from .inputs import Inputs, Variation, make_inputs

SEQUENCES = ("straight", "curve", "stairs", "orbit", "crossing")
#: A sigma that takes a term out, and one that holds what it is about.
_OUT, _HELD = 1e6, 1e-4
#: Bodies stay as they came, in their cameras; only the contact scale ties them to the place.
BODIES_HELD = SolverSettings(
    static=_OUT, root_side=_HELD, root_depth=_HELD, pose_degrees=0.01, betas=_HELD, acceleration=_OUT,
    turn_acceleration=_OUT, landmark=_OUT, self_collision_m=_OUT,
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A line of a table: its name, the level of the errors, what varies in the inputs and in the solver.

    known_lens: the lens is believed. as_they_came: bodies and place keep the sizes that the stages before gave them.
    """

    name: str
    level: float = 1.0
    variation: Variation = field(default_factory=Variation)
    settings: SolverSettings = field(default_factory=SolverSettings)
    known_lens: bool = False
    as_they_came: bool = False


@dataclass(frozen=True)
class Figures:
    """Of one case on one input. sigmas: error of the scale in units of its stated sigma."""

    scale_percent: float
    ate_m: float
    wa_mpjpe_mm: float
    w_mpjpe_mm: float
    foot_sliding_mm: float
    focal_percent: float
    sigmas: float


def ablation() -> Iterable[Case]:
    """The paper's: contact scale, then bodies, then standing still."""
    yield Case("start values", settings=replace(BODIES_HELD, contact=_OUT), as_they_came=True)
    yield Case("+ contact scale, place free", settings=BODIES_HELD)
    yield Case("+ bodies free", settings=SolverSettings(static=_OUT))
    yield Case("+ contact static: everything")
    yield Case("everything but contact scale", settings=SolverSettings(contact=_OUT))
    yield Case("everything but landmarks", variation=Variation(without_landmarks=True))


def noise() -> Iterable[Case]:
    """All errors times a factor."""
    return (Case(f"level {level:g}", level) for level in (0.0, 0.5, 1.0, 2.0))


def labels() -> Iterable[Case]:
    """Wrong labels, and none."""
    for share in (0.0, 0.1, 0.2, 0.35, 0.5):
        yield Case(f"{share:.0%} wrong", variation=Variation(flips=share))
    yield Case("no labels", variation=Variation(without_contacts=True))


def lens() -> Iterable[Case]:
    """A lens 5 % too long, solved for or believed."""
    yield Case("lens free")
    yield Case("lens believed", known_lens=True)


def start() -> Iterable[Case]:
    """The scene's unit in metres at the start."""
    return (Case(f"unit {unit:g} m", variation=Variation(unit=unit)) for unit in (0.2, 0.5, 1.0, 2.0, 5.0))


def height() -> Iterable[Case]:
    """Whether the height is known: betas off by 3 % of it otherwise."""
    yield Case("height given")
    yield Case("height not given", variation=Variation(height_known=False))


STUDIES: dict[str, Callable[[], Iterable[Case]]] = {
    "ablation": ablation,
    "noise": noise,
    "labels": labels,
    "lens": lens,
    "start": start,
    "height": height,
}


def measure(case: Case, prepared: Prepared, model: BodyModel, seed: int) -> Figures:
    """One case on one input."""
    truth, views = prepared.truth, prepared.views
    with tempfile.TemporaryDirectory() as name:
        inputs = make_inputs(truth, views, prepared.sightings, model, case.level, seed, Path(name), case.variation)
        if case.known_lens:
            inputs = replace(inputs, scene=replace(inputs.scene, focal_sigma=0.0))
        if case.as_they_came:
            inputs = _nobody_votes(inputs)
        solved = ours.solve(truth, inputs, model, case.settings)
        figures = ours.figures(truth, views, inputs, solved.scene, solved.joint.scale, model)
    people, camera, error = figures["people"], figures["camera"], figures["scale"]["error_percent"]
    sigma = max(solved.joint.scale_sigma, 1e-9)
    return Figures(
        error, camera["ate_m"], people["wa_mpjpe_mm"], people["w_mpjpe_mm"], people["foot_sliding_mm"],
        camera["focal_percent"], error / 100.0 / sigma,
    )  # fmt: skip


def _nobody_votes(inputs: Inputs) -> Inputs:
    """Nobody is reliable: the scene stays in its own unit."""
    unreliable = [replace(track, reliable=False) for track in inputs.people.tracks]
    return replace(inputs, people=replace(inputs.people, tracks=unreliable))


def table(study: str, rows: dict[str, list[Figures]]) -> str:
    """Markdown: medians over the inputs, and the worst error of the scale."""
    lines = [
        f"| {study} | scale error, median (worst) | ATE | WA-MPJPE | W-MPJPE | foot sliding | focal | in its sigmas |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, figures in rows.items():
        errors = np.array([figure.scale_percent for figure in figures])
        values = [
            f"{np.median(errors):.2f} % ({errors.max():.1f})",
            f"{1000 * _median(figures, 'ate_m'):.0f} mm",
            f"{_median(figures, 'wa_mpjpe_mm'):.0f} mm",
            f"{_median(figures, 'w_mpjpe_mm'):.0f} mm",
            f"{_median(figures, 'foot_sliding_mm'):.1f} mm",
            f"{_median(figures, 'focal_percent'):.1f} %",
            f"{_median(figures, 'sigmas'):.1f}",
        ]
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines)


def _median(figures: list[Figures], name: str) -> float:
    values = np.array([getattr(figure, name) for figure in figures])
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.controlled.studies", description=__doc__)
    parser.add_argument("studies", nargs="*", choices=[[], *STUDIES], help="all of them where none is named")
    parser.add_argument("--sequences", nargs="+", default=list(SEQUENCES), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--frames", type=int, default=CHUNK)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_default_body()
    prepared = {name: prepare(name, model, arguments.frames) for name in arguments.sequences}
    for study in arguments.studies or STUDIES:
        rows = {
            case.name: [measure(case, one, model, seed) for one in prepared.values() for seed in range(arguments.seeds)]
            for case in STUDIES[study]()
        }
        print(table(study, rows), end="\n\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
