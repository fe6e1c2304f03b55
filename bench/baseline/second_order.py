"""Our method on the reference's own objective: Levenberg-Marquardt on stage 2 (R2), robustly reweighted, every person's
bodies eliminated onto the cameras as in the joint solve. It says what the method is worth with the same terms: both
solvers are measured by the very function that both minimise.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import torch

from josh_blender.engine.solver.arrowhead import Arrowhead, NotPositiveDefinite
from josh_blender.engine.solver.arrowhead import solve as eliminate

from .adam import Run, Trace
from .objective import ReferenceState
from .problem import ReferenceProblem
from .second_order_people import Person, Posed, add_person, pose_person
from .second_order_start import start
from .second_order_terms import Correspondences, Layout, Projected, add_correspondences, project, retract

_STEPS = 50
#: Steps end when one lowers the cost by less than this share of it.
_ENOUGH = 1e-4
#: Damping as in the joint solve: less by 5 after a step that helps, more by 8 after one that does not.
_FIRST_DAMPING, _LEAST_DAMPING, _MOST_REJECTIONS = 1e-4, 1e-9, 8


@dataclass(frozen=True)
class Terms:
    """What of the objective does not change from step to step. free (Z,): border columns that may move, all but those
    of the first key frame."""

    problem: ReferenceProblem
    layout: Layout
    correspondences: Correspondences
    people: tuple[Person, ...]
    free: torch.Tensor

    @classmethod
    def of(cls, problem: ReferenceProblem) -> Terms:
        layout = Layout.of(problem)
        free = torch.arange(layout.size) >= 6
        return cls(problem, layout, Correspondences.of(problem), tuple(map(Person.of, problem.people)), free)


@dataclass(frozen=True)
class Moment:
    """A state, what its terms are there, and its cost, that of `objective.stage_2`."""

    state: ReferenceState
    projected: Projected
    people: list[Posed]
    cost: float


def moment(terms: Terms, state: ReferenceState) -> Moment:
    """The objective of a state."""
    projected = project(terms.correspondences, terms.problem, state)
    people = [
        pose_person(person, terms.problem, state, body) for person, body in zip(terms.people, state.bodies, strict=True)
    ]
    return Moment(state, projected, people, float(sum((posed.cost for posed in people), projected.cost)))


def assemble(terms: Terms, at: Moment) -> Arrowhead:
    """The normal equations of the reweighted objective; the gradient is the objective's own."""
    # All columns in one piece of time: the reference solves 101 frames at most.
    system = Arrowhead.zeros(torch.zeros(terms.layout.size, dtype=torch.int64), terms.problem.median)
    add_correspondences(system, terms.layout, terms.correspondences, terms.problem, at.state, at.projected)
    for number, (person, posed) in enumerate(zip(terms.people, at.people, strict=True)):
        add_person(system, terms.layout, number, person, terms.problem, at.state, posed)
    return system


def better(terms: Terms, at: Moment, damping: float) -> tuple[Moment, float] | None:
    """The first of ever shorter steps that lowers the cost, with the damping that it took; None where none does."""
    system = assemble(terms, at)
    for _ in range(_MOST_REJECTIONS):
        try:
            step = eliminate(system, terms.free, damping)
        except NotPositiveDefinite:
            damping *= 8.0
            continue
        trial = moment(terms, retract(at.state, terms.layout, step.border, step.chains))
        if trial.cost < at.cost:
            return trial, damping
        damping *= 8.0
    return None


@torch.no_grad()
def solve(problem: ReferenceProblem) -> Run:
    """From the depth maps' start to the end. The trace holds the start and the state after every step."""
    began = perf_counter()
    trace = Trace()
    terms = Terms.of(problem)
    at, damping = moment(terms, start(problem)), _FIRST_DAMPING
    _keep(trace, at, began)
    for _ in range(_STEPS):
        found = better(terms, at, damping)
        if found is None:
            break
        before, (at, damping) = at.cost, found
        _keep(trace, at, began)
        if before - at.cost < _ENOUGH * before:
            break
        damping = max(damping / 5.0, _LEAST_DAMPING)
    return Run(at.state, perf_counter() - began, trace)


def _keep(trace: Trace, at: Moment, began: float) -> None:
    """Adds to a trace. States are never changed in place: to keep one costs nothing."""
    trace.seconds.append(perf_counter() - began)
    trace.cost.append(at.cost)
    trace.states.append(at.state)
