"""python -m bench.controlled.race: how long each solver takes to be as good as the first-order one is in the end.

All curves are traced: the states after every step are kept, which costs no time, and measured afterwards. Times begin
with the matches, so start cameras, the settling of the lens and the scale in closed form are in ours. Ours minimises
another objective than the first-order solve: only our method on that one's objective can be asked when it comes to the
same cost.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from bench.baseline import adam, objective, problem, result, second_order
from bench.sequences import names
from josh_blender.engine.results import SceneResult
from josh_blender.engine.solver.state import State
from josh_blender.engine.stages.joint import JointSettings, metric_scene
from josh_blender.engine.stages.joint import prepare as prepare_joint
from josh_blender.engine.stages.joint_solve import solve_people
from josh_blender.engine.threads import one_torch_thread
from josh_blender.scene4d.body import BodyModel, load_default_body
from josh_blender.scene4d.scene import Scene4D

from . import ours
from .compare import Prepared, prepare
from .inputs import Inputs, Variation, make_inputs
from .truth import Truth

_TRACE_EVERY = 10
#: What a solver has to come to, and the figure of a curve that says so.
GOALS = {"its ATE": "ate_m", "its ATE up to scale": "ate_scaled_m", "its cost": "cost"}
#: A curve has arrived where it is at most this many times its target.
_NEAR = 1.01


@dataclass(frozen=True)
class Curve:
    """seconds since the start; ATE in m, the same with the scale aligned too, and the reference's stage-2 objective at
    that moment."""

    seconds: list[float]
    ate_m: list[float]
    ate_scaled_m: list[float]
    cost: list[float]

    def arrival(self, figure: str, target: float) -> float:
        """Seconds until a figure is as low as a target; infinite where it never is."""
        values = getattr(self, figure)
        arrived = [when for when, value in zip(self.seconds, values, strict=True) if value <= _NEAR * target]
        return arrived[0] if arrived else float("inf")


@dataclass(frozen=True)
class Race:
    """All curves on one input. second_order: our method on the first-order solve's objective."""

    sequence: str
    seed: int
    ours: Curve
    second_order: Curve
    first_order: Curve

    def times(self, figure: str) -> tuple[float, float, float]:
        """Seconds of ours, of our method on the first-order solve's objective and of the first-order solve until a
        figure is what it is in the end of the last."""
        target = getattr(self.first_order, figure)[-1]
        own, method, other = (x.arrival(figure, target) for x in (self.ours, self.second_order, self.first_order))
        return own, method, other


def race(name: str, prepared: Prepared, model: BodyModel, level: float, seed: int) -> Race:
    """All solvers on one input."""
    truth, views = prepared.truth, prepared.views
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(truth, views, prepared.sightings, model, level, seed, Path(folder), Variation())
        repaired = problem.make_problem(inputs, model, problem.REPAIRED)

        def ate(scene: Scene4D, scale: float) -> tuple[float, float]:
            camera = ours.figures(truth, views, inputs, scene, scale, model)["camera"]
            return float(camera["ate_m"]), float(camera["ate_scaled_m"])

        def traced(run: adam.Run) -> Curve:
            joints = [result.joint_result(repaired, state, inputs, model) for state in run.trace.states]
            errors = [ate(ours.scene_of(truth, inputs, joint, model), joint.scale) for joint in joints]
            return Curve(run.trace.seconds, [one for one, _ in errors], [two for _, two in errors], run.trace.cost)

        # Once before its time is taken, so that no library is loaded meanwhile.
        joint = ours.solve(truth, inputs, model).joint
        own = our_curve(truth, inputs, model, ate)
        own.cost[-1] = float(objective.stage_2(repaired, result.state_of_joint(repaired, joint, inputs, model)))
        method = traced(second_order.solve(repaired))
        return Race(name, seed, own, method, traced(adam.solve(repaired, problem.REPAIRED, trace_every=_TRACE_EVERY)))


def our_curve(
    truth: Truth, inputs: Inputs, model: BodyModel, ate: Callable[[Scene4D, float], tuple[float, float]]
) -> Curve:
    """The cameras after the closed form and after every step of the joint solve; its costs stay unknown (infinite)."""
    marks: list[tuple[float, SceneResult, float]] = []
    with one_torch_thread():
        began = perf_counter()
        prepared = prepare_joint(
            inputs.frames, inputs.people, inputs.scene, inputs.folder, inputs.bodies, inputs.contact, JointSettings()
        )
        given, start = prepared.given, prepared.start.log_scale

        def mark(state: State | None) -> None:
            seconds = inputs.start_seconds + perf_counter() - began
            log_scale = float(state.cameras.log_scale) if state is not None else start
            marks.append((seconds, metric_scene(given.scene, state, log_scale), float(np.exp(log_scale))))

        mark(None)
        solve_people(given, prepared.voting, start, prepared.freedom, mark)
    curve = Curve([], [], [], [])
    for seconds, scene, scale in marks:
        error, scaled = ate(ours.scene_of_cameras(truth, inputs, scene), scale)
        curve.seconds.append(seconds)
        curve.ate_m.append(error)
        curve.ate_scaled_m.append(scaled)
        curve.cost.append(float("inf"))
    return curve


def table(races: list[Race]) -> str:
    """Markdown, for every goal: seconds of each solver until there, and how many times sooner ours are."""
    lines = []
    for goal, figure in GOALS.items():
        lines += [
            f"| to {goal} | first order | ours | times sooner | our method, its objective | times sooner |",
            "|---|---|---|---|---|---|",
        ]
        every = np.array([one.times(figure) for one in races])
        sooner = every[:, 2:] / every[:, :2]
        for one, (own, method, other), (a, b) in zip(races, every, sooner, strict=True):
            lines.append(f"| {one.sequence} {one.seed} | {_s(other)} | {_s(own)} | {a:.1f} | {_s(method)} | {b:.1f} |")
        a, b = np.median(sooner, axis=0)
        own, method, other = np.median(every, axis=0)
        lines.append(f"| median | {_s(other)} | {_s(own)} | {a:.1f} | {_s(method)} | {b:.1f} |\n")
    return "\n".join(lines)


def _s(seconds: float) -> str:
    return f"{seconds:.2f} s" if np.isfinite(seconds) else "never"


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
            print(name, seed, races[-1].ours, races[-1].second_order, flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps([asdict(one) for one in races], indent=1), "utf-8")
    print(table(races))
    return 0


if __name__ == "__main__":
    sys.exit(main())
