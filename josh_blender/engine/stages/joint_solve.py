"""The joint solve itself: people on a few frames a second first, then on all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...scene4d.body import BodyModel
from ..results import SceneResult
from ..solver import build, levenberg
from ..solver.coarse import coarse_frames, on_all_frames
from ..solver.device import on_device
from ..solver.figures import Figure, some_frames
from ..solver.moved_place import moved_place
from ..solver.problem import Problem
from ..solver.settings import SolverSettings
from ..solver.state import Body, State
from ..solver.touches import Place, foot_touches, lower_foot_touches, supported


@dataclass(frozen=True)
class Given:
    """What people are solved in: scene, what contacts see of it, their body, whether its height is known; weights, and
    the device that computes."""

    scene: SceneResult
    place: Place
    model: BodyModel
    height_known: bool
    settings: SolverSettings
    device: torch.device


@dataclass(frozen=True)
class Freedom:
    """What the solve may move beside the people, and whether every lower foot stands."""

    scale: bool
    cameras: bool
    lower_feet: bool = False


@dataclass(frozen=True)
class SolvedPeople:
    """The state of all frames, the formal sigma of its log scale, and the reports of the two solves."""

    state: State
    log_scale_sigma: float
    coarse: levenberg.Report
    fine: levenberg.Report


def solve_people(
    given: Given,
    figures: list[Figure],
    log_scale: float,
    freedom: Freedom,
    on_step: Callable[[State], None] = lambda state: None,
) -> SolvedPeople:
    """Figures, cameras, scale and place in one solve. ``on_step`` sees the state after every step: first that of a few
    frames of the people (and of all cameras), then that of all.

    Surfaces under contacts are found before each of the two solves.
    """
    settings = given.settings
    rows = [coarse_frames(figure.time, settings.coarse_spacing) for figure in figures]
    few = [some_frames(figure, some) for figure, some in zip(figures, rows, strict=True)]
    problem = build.make_problem(
        given.scene, few, given.place.clouds, log_scale, settings,
        scale_free=freedom.scale, cameras_free=freedom.cameras,
    )  # fmt: skip
    coarse, fine = levenberg.Report(), levenberg.Report()
    start = problem.initial
    problem = _with_people(problem, given.place, torch.zeros_like(start.depth), given, few, start, freedom)
    rough = replace(settings, tolerance=settings.coarse_tolerance)
    state = _minimized(problem, rough, start, coarse, given.device, on_step)

    bodies = zip(figures, rows, state.bodies, strict=True)
    state = replace(state, bodies=tuple(on_all_frames(figure.body, some, body) for figure, some, body in bodies))
    place = moved_place(given.place, state.cameras, state.depth)
    problem = _with_people(problem, place, state.depth, given, figures, state, freedom)
    state = _minimized(problem, settings, state, fine, given.device, on_step)
    there = on_device((problem, state), given.device)
    return SolvedPeople(state, levenberg.scale_sigma(there[0], settings, there[1]), coarse, fine)


def _minimized(
    problem: Problem, settings: SolverSettings, state: State, report: levenberg.Report, device: torch.device,
    on_step: Callable[[State], None],
) -> State:  # fmt: skip
    """`levenberg.minimize` on a device; states come from the CPU, and go back there."""
    here = torch.device("cpu")
    there, start = on_device((problem, state), device)
    solved = levenberg.minimize(there, settings, start, report, lambda now: on_step(on_device(now, here)))
    return on_device(solved, here)


def solve_alone(given: Given, figure: Figure) -> Body:
    """One person in the finished, metric world: cameras and scale stay."""
    finished = replace(given, place=Place(given.place.up, np.asarray(given.scene.ground), []))
    return solve_people(finished, [figure], 0.0, Freedom(scale=False, cameras=False)).state.bodies[0]


def _with_people(
    problem: Problem, place: Place, log_depth: Tensor, given: Given, figures: list[Figure], state: State,
    freedom: Freedom,
) -> Problem:  # fmt: skip
    """The problem of these people, each on what lies under them at this state; the depth maps of the place are
    multiplied by exp ``log_depth`` (D,) already."""
    rotation, centre = state.cameras.rotation.numpy(), state.cameras.centre.numpy()
    scale = float(state.cameras.scale)
    people = []
    for figure, body in zip(figures, state.bodies, strict=True):
        if freedom.lower_feet:
            feet = lower_foot_touches(figure, body, place.up @ rotation[figure.fit.index])
        else:
            feet = foot_touches(figure, body)
        touches, support = supported(figure, body, feet, rotation, centre, scale, place)
        person = build.person_problem(figure, given.scene, given.model, given.height_known, given.settings)
        people.append(build.with_surfaces(person, figure, touches, support, state.cameras, log_depth, place.clouds))
    return replace(problem, people=tuple(people))
