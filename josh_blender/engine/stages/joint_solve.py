"""The joint solve itself: people on a few frames a second first, then on all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...scene4d.body import BodyModel
from ..results import SceneResult
from ..solver import build, levenberg
from ..solver.coarse import coarse_frames, on_all_frames, some_frames
from ..solver.figures import Figure
from ..solver.problem import Problem
from ..solver.settings import SolverSettings
from ..solver.state import Body, State
from ..solver.touches import Place, foot_touches, lower_foot_touches, supported


@dataclass(frozen=True)
class Given:
    """What people are solved in: scene, what contacts see of it, their body, whether its height is known; weights."""

    scene: SceneResult
    place: Place
    model: BodyModel
    height_known: bool
    settings: SolverSettings


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
    problem = _with_people(problem, given, few, problem.initial, freedom)
    rough = replace(settings, tolerance=settings.coarse_tolerance)
    state = levenberg.minimize(problem, rough, problem.initial, coarse, on_step)

    bodies = zip(figures, rows, state.bodies, strict=True)
    state = replace(state, bodies=tuple(on_all_frames(figure.body, some, body) for figure, some, body in bodies))
    problem = _with_people(problem, given, figures, state, freedom)
    state = levenberg.minimize(problem, settings, state, fine, on_step)
    return SolvedPeople(state, levenberg.scale_sigma(problem, settings, state), coarse, fine)


def solve_alone(given: Given, figure: Figure) -> Body:
    """One person in the finished, metric world: cameras and scale stay."""
    finished = replace(given, place=Place(given.place.up, np.asarray(given.scene.ground), []))
    return solve_people(finished, [figure], 0.0, Freedom(scale=False, cameras=False)).state.bodies[0]


def _with_people(problem: Problem, given: Given, figures: list[Figure], state: State, freedom: Freedom) -> Problem:
    """The problem of these people, each on what lies under them at this state."""
    place = given.place
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
        people.append(build.with_surfaces(person, figure, touches, support, given.scene, place.clouds))
    return replace(problem, people=tuple(people))
