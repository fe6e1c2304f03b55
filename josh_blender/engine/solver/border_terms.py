"""Residuals that touch only the border: shapes, heights, depth scales, and what holds the cameras.

Each is a pair (residual (G,), Jacobian (G,Z)); they are few, so the Jacobian is dense.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import so3
from .problem import Problem
from .settings import SolverSettings
from .state import State

#: Relative standard deviation of the distance between the first and the farthest key frame: fixes the scene's own unit.
_GAUGE = 1e-4
#: A depth map with so many sightings has its factor from them, and from before only within this share.
_ENOUGH_SIGHTINGS = 20
_LOOSE_DEPTH = 0.1


def shape_terms(problem: Problem, settings: SolverSettings, state: State) -> tuple[Tensor, Tensor]:
    """Betas stay near their estimate, and the body keeps its height."""
    residuals, rows = [], []
    for number, (person, body) in enumerate(zip(problem.people, state.bodies, strict=True)):
        start, count = problem.layout.betas_start(number), len(body.betas)
        jacobian = body.betas.new_zeros(count + 1, problem.layout.size)
        jacobian[:count, start : start + count] = torch.eye(count, dtype=jacobian.dtype) / settings.betas
        jacobian[count, start : start + count] = person.height_dirs / person.height_sigma
        height = person.height_rest + person.height_dirs @ body.betas
        residuals.append((body.betas - person.initial.betas) / settings.betas)
        residuals.append(((height - person.height) / person.height_sigma)[None])
        rows.append(jacobian)
    if not residuals:
        return state.points.new_zeros(0), state.points.new_zeros(0, problem.layout.size)
    return torch.cat(residuals), torch.cat(rows)


def depth_terms(problem: Problem, state: State) -> tuple[Tensor, Tensor]:
    """The factor of each depth map stays where it was found; loosely where sightings with depths find it (L_3D)."""
    count, start = problem.layout.depths, problem.layout.depth_start
    jacobian = state.points.new_zeros(count, problem.layout.size)
    place = torch.arange(count)
    numbers = problem.observations.map
    seen = torch.bincount(numbers[numbers >= 0], minlength=count) >= _ENOUGH_SIGHTINGS
    sigma = torch.where(seen, problem.depth_sigma.clamp(min=_LOOSE_DEPTH), problem.depth_sigma)
    jacobian[place, start + place] = 1.0 / sigma
    return (state.depth - problem.depth_prior) / sigma, jacobian


def camera_terms(problem: Problem, settings: SolverSettings, state: State) -> tuple[Tensor, Tensor]:
    """Key frames and lens stay near structure from motion's answer; the extent fixes the scene's unit (gauge)."""
    keys, layout = problem.keyframe, problem.layout
    initial, now = problem.initial.cameras, state.cameras
    start = initial.centre[keys]
    extent = (start - start[0]).norm(dim=-1)
    spread = extent.max().clamp(min=1e-3)
    turn = so3.log(initial.rotation[keys].transpose(-1, -2) @ now.rotation[keys])
    shift = (now.rotation[keys].transpose(-1, -2) @ (now.centre[keys] - start)[..., None])[..., 0]
    scale = torch.cat(
        [
            turn.new_full((3,), 1.0 / float(torch.deg2rad(turn.new_tensor(settings.camera_degrees)))),
            (1.0 / (settings.camera_share * spread)).expand(3),
        ]
    )
    residual = (torch.cat([turn, shift], -1) * scale).flatten()
    jacobian = residual.new_zeros(len(residual) + 1, layout.size)
    place = torch.arange(len(residual))
    jacobian[place, layout.CAMERA + place] = scale.repeat(len(keys))
    far = int(extent.argmax())
    reach = now.centre[keys[far]] - now.centre[keys[0]]
    length = reach.norm().clamp(min=1e-9)
    gauge = torch.log(length / spread) / _GAUGE
    first = layout.CAMERA + 6 * far + 3
    jacobian[-1, first : first + 3] = (reach / length**2) @ now.rotation[keys[far]] / _GAUGE
    lens = jacobian.new_zeros(1, layout.size)
    lens[0, layout.FOCAL] = 1.0 / settings.focal
    return torch.cat([residual, gauge[None], now.log_focal[None] / settings.focal]), torch.cat([jacobian, lens])


def border_terms(problem: Problem, settings: SolverSettings, state: State) -> dict[str, tuple[Tensor, Tensor]]:
    """All of them by name."""
    terms = {"prior_shape": shape_terms(problem, settings, state)}
    if problem.layout.depths:
        terms["depth_scale"] = depth_terms(problem, state)
    if len(problem.observations.frame):
        terms["prior_camera"] = camera_terms(problem, settings, state)
    return terms
