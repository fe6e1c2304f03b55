"""python -m bench.controlled.studies: what each part of the joint solve is worth, as Markdown tables.

Every table is ours alone on controlled inputs; `python -m bench.controlled` compares with the baseline.
`--json` keeps the figures, from which `python -m bench.controlled.plots` draws.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from bench.sample.footsteps import WalkSettings
from bench.sample.shots import Shot
from bench.sequences import shot_of
from josh_blender.scene4d.body import BodyModel, load_default_body

from . import ours
from .cases import STUDIES, Case
from .compare import Prepared, prepare, prepare_shot
from .inputs import Inputs, make_inputs

#: What sets several people apart: metres to the side, seconds, metres of height.
_LANE, _LATER, _SHORTER = 0.9, 0.5, 0.06


@dataclass(frozen=True)
class Figures:
    """Of one case on one input. sigmas: error of the scale in units of its stated sigma; seconds: what the solve took,
    with its start."""

    scale_percent: float
    ate_m: float
    wa_mpjpe_mm: float
    w_mpjpe_mm: float
    foot_sliding_mm: float
    focal_percent: float
    sigmas: float
    seconds: float


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
        camera["focal_percent"], error / 100.0 / sigma, solved.seconds,
    )  # fmt: skip


def prepared_for(case: Case, name: str, model: BodyModel) -> Prepared:
    """A sequence as a case wants it: how many of its frames, and how many people."""
    if case.people:
        return prepare_shot(with_people(shot_of(name, False), case.people), model, case.frames)
    return prepare(name, model, case.frames)


def with_people(shot: Shot, count: int) -> Shot:
    """The first person of a shot ``count`` times: side by side, one a little after the other, of other heights."""
    first = shot.people[0]
    walk = first.action
    assert isinstance(walk, WalkSettings)
    people = []
    for number in range(count):
        points = tuple((x, y + _LANE * number) for x, y in walk.path)
        action = replace(walk, path=points, start=walk.start + _LATER * number)
        people.append(replace(first, height=first.height - _SHORTER * number, action=action))
    return replace(shot, people=tuple(people))


def _nobody_votes(inputs: Inputs) -> Inputs:
    """Nobody is reliable: the scene stays in its own unit."""
    unreliable = [replace(track, reliable=False) for track in inputs.people.tracks]
    return replace(inputs, people=replace(inputs.people, tracks=unreliable))


def table(study: str, rows: dict[str, list[Figures]]) -> str:
    """Markdown: medians over the inputs, and the worst error of the scale."""
    lines = [
        f"| {study} | scale error, median (worst) | ATE | WA-MPJPE | W-MPJPE | foot sliding | focal | in its sigmas "
        "| time |",
        "|---|---|---|---|---|---|---|---|---|",
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
            f"{_median(figures, 'seconds'):.1f} s",
        ]
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines)


def _median(figures: list[Figures], name: str) -> float:
    values = np.array([getattr(figure, name) for figure in figures])
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.controlled.studies", description=__doc__)
    parser.add_argument("studies", nargs="*", choices=[[], *STUDIES], help="all of them where none is named")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="keep the figures there, beside those of other studies")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_default_body()

    @cache
    def prepared(case: Case, name: str) -> Prepared:
        return prepared_for(case, name, model)

    for study in arguments.studies or STUDIES:
        rows: dict[str, list[Figures]] = {}
        for case in STUDIES[study].cases:
            plain = Case("", frames=case.frames, people=case.people)
            rows[case.name] = [
                measure(case, prepared(plain, name), model, seed)
                for name in STUDIES[study].sequences
                for seed in range(arguments.seeds)
            ]
        print(table(study, rows), end="\n\n", flush=True)
        if arguments.json:
            known = json.loads(arguments.json.read_text("utf-8")) if arguments.json.is_file() else {}
            known[study] = {name: [asdict(figure) for figure in figures] for name, figures in rows.items()}
            arguments.json.write_text(json.dumps(known, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
