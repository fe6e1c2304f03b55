"""python -m bench.controlled.race: how long each solver takes to be as good as the first-order one is in the end.

Ours runs anew with more and more steps per round allowed, from nothing each time, so that every point of its curve is
what somebody who waits that long gets. The first-order solve's curve is traced; keeping its states costs it no time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from bench.baseline import adam, objective, problem, result
from bench.sequences import names
from josh_blender.engine.solver.settings import SolverSettings
from josh_blender.scene4d.body import BodyModel, load_default_body

from . import ours
from .compare import Prepared, prepare
from .inputs import Inputs, Variation, make_inputs

#: Steps per round allowed to ours; the last is what it takes by default.
BUDGETS = (0, 1, 2, 4, SolverSettings().iterations)
_TRACE_EVERY = 10
#: A curve has arrived where it is at most this many times its target.
_NEAR = 1.01


@dataclass(frozen=True)
class Curve:
    """seconds since the start, ATE in m and the reference's stage-2 objective at that moment."""

    seconds: list[float]
    ate_m: list[float]
    cost: list[float]

    def arrival(self, values: list[float], target: float) -> float:
        """Seconds until a value is as low as a target; infinite where it never is."""
        arrived = [when for when, value in zip(self.seconds, values, strict=True) if value <= _NEAR * target]
        return arrived[0] if arrived else float("inf")


@dataclass(frozen=True)
class Race:
    """Both curves on one input."""

    sequence: str
    seed: int
    ours: Curve
    first_order: Curve

    def times(self) -> dict[str, tuple[float, float]]:
        """Seconds of ours and of the first-order solve to the first-order one's final ATE, and to its final cost."""
        own, other = self.ours, self.first_order
        ate, cost = other.ate_m[-1], other.cost[-1]
        return {
            "ate": (own.arrival(own.ate_m, ate), other.arrival(other.ate_m, ate)),
            "cost": (own.arrival(own.cost, cost), other.arrival(other.cost, cost)),
        }


def race(name: str, prepared: Prepared, model: BodyModel, level: float, seed: int) -> Race:
    """Both solvers on one input."""
    truth, views = prepared.truth, prepared.views
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(truth, views, prepared.sightings, model, level, seed, Path(folder), Variation())
        repaired = problem.make_problem(inputs, model, problem.REPAIRED)
        run = adam.solve(repaired, problem.REPAIRED, trace_every=_TRACE_EVERY)

        def ate(state: objective.ReferenceState) -> float:
            joint = result.joint_result(repaired, state, inputs, model)
            return _ate(prepared, inputs, ours.scene_of(truth, inputs, joint, model), joint.scale, model)

        first_order = Curve(run.trace.seconds, [ate(state) for state in run.trace.states], run.trace.cost)
        own = Curve([], [], [])
        for budget in BUDGETS:
            solved = ours.solve(truth, inputs, model, SolverSettings(iterations=budget))
            own.seconds.append(solved.seconds)
            own.ate_m.append(_ate(prepared, inputs, solved.scene, solved.joint.scale, model))
            state = result.state_of_joint(repaired, solved.joint, inputs, model)
            own.cost.append(float(objective.stage_2(repaired, state)))
    return Race(name, seed, own, first_order)


def _ate(prepared: Prepared, inputs: Inputs, scene: object, scale: float, model: BodyModel) -> float:
    figures = ours.figures(prepared.truth, prepared.views, inputs, scene, scale, model)
    return float(figures["camera"]["ate_m"])


def table(races: list[Race]) -> str:
    """Markdown: seconds to the first-order solve's final ATE and cost, and how many times sooner ours is there."""
    lines = [
        "| input | to its ATE: ours, first order | times sooner | to its cost: ours, first order | times sooner |",
        "|---|---|---|---|---|",
    ]
    sooner: dict[str, list[float]] = {"ate": [], "cost": []}
    for one in races:
        cells = []
        for goal, (own, other) in one.times().items():
            sooner[goal].append(other / own)
            cells += [f"{own:.1f} s, {other:.1f} s", f"{other / own:.1f}"]
        lines.append(f"| {one.sequence} {one.seed} | {' | '.join(cells)} |")
    middle = {goal: float(np.median(values)) for goal, values in sooner.items()}
    return "\n".join([*lines, f"| median | | {middle['ate']:.1f} | | {middle['cost']:.1f} |"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.controlled.race", description=__doc__)
    parser.add_argument("--sequences", nargs="+", default=list(names()), choices=names(), metavar="NAME")
    parser.add_argument("--level", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the curves there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_default_body()
    races: list[Race] = []
    for name in arguments.sequences:
        prepared = prepare(name, model)
        for seed in range(arguments.seeds):
            races.append(race(name, prepared, model, arguments.level, seed))
            print(name, seed, races[-1].ours, flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps([asdict(one) for one in races], indent=1), "utf-8")
    print(table(races))
    return 0


if __name__ == "__main__":
    sys.exit(main())
