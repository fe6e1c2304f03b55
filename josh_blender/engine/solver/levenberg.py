"""Levenberg-Marquardt on the joint problem, with a report of what happened.

The damped step minimises the robustly weighted quadratic model; a step that does not lower the true robust cost is
rejected and the damping raised (Marquardt 1963; gain ratio after Nielsen 1999).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .arrowhead import Arrowhead, Chain, NotPositiveDefinite, solve
from .body_points import BODY_SIZE
from .border_terms import border_terms
from .correspondences import Correspondences
from .problem import Problem
from .residuals import (
    BodyPrior,
    ContactScale,
    ContactStatic,
    Landmarks,
    Moment,
    RootSmooth,
    TurnSmooth,
    moment,
)
from .robust import Cauchy, GemanMcClure
from .rows import Rows, add_diagonal, add_rows
from .self_collision import collision_rows, overlap_of
from .settings import SolverSettings
from .state import State, retract
from .timeline import cut_of, piece_of_columns, piece_of_frames

_LEAST_DAMPING = 1e-9
_MOST_DAMPING = 1e6
_MOST_REJECTIONS = 8


@dataclass
class Report:
    """One entry per accepted step: cost per term, damping; how many trial steps were rejected."""

    costs: list[dict[str, float]] = field(default_factory=list)
    damping: list[float] = field(default_factory=list)
    rejected: int = 0
    converged: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain numbers for `JointResult.report`."""
        return {
            "start": self.costs[0] if self.costs else {},
            "end": self.costs[-1] if self.costs else {},
            "total": [sum(cost.values()) for cost in self.costs],
            "damping": self.damping,
            "steps": len(self.damping),
            "rejected": self.rejected,
            "converged": self.converged,
        }


class Terms:
    """The residual blocks with their sigmas and kernels (docs/solver.md says why these kernels)."""

    def __init__(self, settings: SolverSettings, image_long_side: float) -> None:
        self.settings = settings
        self.landmarks = Landmarks(Cauchy(2.0))
        self.scale = ContactScale(GemanMcClure(3.0), settings.contact)
        self.static = ContactStatic(GemanMcClure(6.0), settings.static)
        self.root = RootSmooth(Cauchy(6.0), settings.acceleration)
        self.prior = BodyPrior(settings)
        self.turn = TurnSmooth(settings.turn_acceleration)
        pixel = settings.correspondence_px * image_long_side / 512.0
        self.correspondences = Correspondences(Cauchy(2.0), pixel, settings.depth_share)


def _robust_cost(groups: Tensor, confidence: Tensor, kernel: Any) -> float:
    return float((confidence * kernel.cost((groups**2).sum(-1))).sum()) if len(groups) else 0.0


def _person_costs(terms: Terms, at: Moment, depth: Tensor) -> dict[str, float]:
    costs = {
        term.name: _robust_cost(term.groups(at), term.confidence(at), term.kernel)
        for term in (terms.landmarks, terms.static, terms.root)
    }
    scale = terms.scale
    costs[scale.name] = _robust_cost(scale.groups_at(at, depth), scale.confidence(at), scale.kernel)
    for term in (terms.prior, terms.turn):
        costs[term.name] = float((term.values(at) ** 2).sum())
    deep = overlap_of(at.person.volume, at.body.rotation, at.body.trans, at.body.betas)
    costs["self_collision"] = float((deep / terms.settings.self_collision_m).square().sum())
    return costs


def evaluate(problem: Problem, terms: Terms, state: State) -> dict[str, float]:
    """Robust cost of each term."""
    costs: dict[str, float] = {}
    for number, person in enumerate(problem.people):
        for name, value in _person_costs(terms, moment(person, number, state, False), state.depth).items():
            costs[name] = costs.get(name, 0.0) + value
    for name, blocks in border_terms(problem, terms.settings, state).items():
        costs[name] = sum(float((rows.residual**2).sum()) for rows in blocks)
    seen = problem.observations
    if len(seen.frame):
        costs[terms.correspondences.name] = terms.correspondences.cost(seen, state)
    return costs


def _self_collision(problem: Problem, terms: Terms, at: Moment) -> Rows:
    body, first = at.body, problem.layout.betas_start(at.number)
    sigma = terms.settings.self_collision_m
    return collision_rows(at.person.volume, body.rotation, body.trans, body.betas, sigma, first)


def _person_rows(problem: Problem, terms: Terms, state: State, at: Moment) -> list[Rows]:
    """Every block of one person that couples unknowns, robustly weighted."""
    linear: list[tuple[Rows, Tensor, Any]] = [
        (term.rows(at, problem.layout), term.confidence(at), term.kernel)
        for term in (terms.landmarks, terms.static, terms.root)
    ]
    scale = terms.scale
    linear.append((scale.rows_at(at, problem.layout, state.depth), scale.confidence(at), scale.kernel))
    for rows, confidence, kernel in linear:
        rows.weight = confidence * kernel.weight((rows.residual**2).sum(-1))
    return [*(rows for rows, _, _ in linear), _self_collision(problem, terms, at)]


def assemble(problem: Problem, terms: Terms, state: State) -> Arrowhead:
    """The robustly weighted normal equations of everything but the scene points."""
    like = state.points
    system = Arrowhead.zeros(piece_of_columns(problem), like)
    piece = piece_of_frames(len(state.cameras.rotation), like.device)
    for number, person in enumerate(problem.people):
        at = moment(person, number, state, True)
        blocks = _person_rows(problem, terms, state, at)
        touched = [(frame, rows.columns) for rows in blocks for frame, _ in rows.body if rows.columns is not None]
        cut = cut_of(person.index, piece, touched, problem.layout.size)
        chain = Chain.zeros(len(person.index), BODY_SIZE, cut, like)
        system.chains.append(chain)
        for rows in blocks:
            add_rows(system, chain, rows)
        add_diagonal(chain, terms.prior.diagonal(at))
        add_diagonal(chain, terms.turn.diagonal(at))
    for blocks in border_terms(problem, terms.settings, state).values():
        for rows in blocks:
            add_rows(system, None, rows)
    return system


def _with_points(
    problem: Problem, terms: Terms, state: State, base: Arrowhead, damping: float
) -> tuple[Arrowhead, Any]:
    seen = problem.observations
    system = Arrowhead(base.chains, base.matrix.clone(), base.gradient.clone(), base.piece)
    if not len(seen.frame):
        return system, None
    return system, terms.correspondences.add(system, problem.layout, seen, state, damping)


def minimize(
    problem: Problem,
    settings: SolverSettings,
    state: State,
    report: Report,
    on_step: Callable[[State], None] = lambda state: None,
) -> State:
    """The state of least robust cost near ``state``; fills the report, and shows every new state to ``on_step``."""
    terms = Terms(settings, problem.image_long_side)
    damping = settings.first_damping
    costs = evaluate(problem, terms, state)
    report.costs.append(costs)
    for _ in range(settings.iterations):
        base = assemble(problem, terms, state)
        accepted = False
        for _ in range(_MOST_REJECTIONS):
            system, points = _with_points(problem, terms, state, base, damping)
            try:
                step = solve(system, problem.free, damping)
            except NotPositiveDefinite:
                report.rejected += 1
                damping = min(damping * 10.0, _MOST_DAMPING)
                continue
            moved = torch.zeros_like(state.points)
            if points is not None:
                moved = terms.correspondences.step(problem.observations, points, step.border)
            trial = retract(state, problem.layout, step.border, step.chains, moved)
            if points is not None:
                trial = terms.correspondences.settled(problem.observations, trial)
            trial_costs = evaluate(problem, terms, trial)
            before, after = sum(costs.values()), sum(trial_costs.values())
            if after < before:
                accepted = True
                break
            report.rejected += 1
            damping = min(damping * 8.0, _MOST_DAMPING)
        if not accepted:
            break
        state, costs = trial, trial_costs
        report.costs.append(costs)
        report.damping.append(damping)
        on_step(state)
        damping = max(damping / 5.0, _LEAST_DAMPING)
        if before - after < settings.tolerance * before:
            report.converged = True
            break
    return state


def scale_sigma(problem: Problem, settings: SolverSettings, state: State) -> float:
    """Formal standard deviation of the logarithm of the scale: from the inverse of the border's Schur complement; 1 (it
    may be anything) where the equations leave it open."""
    if not bool(problem.free[problem.layout.SCALE]):
        return 0.0
    terms = Terms(settings, problem.image_long_side)
    system, _ = _with_points(problem, terms, state, assemble(problem, terms, state), 0.0)
    try:
        step = solve(system, problem.free, 1e-10)
        unit = (step.last == problem.layout.SCALE).to(step.schur)
        return float((unit @ torch.linalg.solve(step.schur, unit)).clamp(0.0, 1.0).sqrt())
    except NotPositiveDefinite:
        return 1.0
