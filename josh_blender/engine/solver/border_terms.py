"""Residuals that touch only the border: shapes, heights, depth scales, and what holds the cameras.

Each touches few columns, so their number may grow with the video without a matrix of both.
"""

from __future__ import annotations

import torch

from . import so3
from .problem import Problem
from .rows import Rows
from .settings import SolverSettings
from .state import State

#: Relative standard deviation of the distance between the first and the farthest key frame: fixes the scene's own unit.
_GAUGE = 1e-4
#: A depth map with so many sightings has its factor from them, and from before only within this share.
_ENOUGH_SIGHTINGS = 20
_LOOSE_DEPTH = 0.1


def shape_terms(problem: Problem, settings: SolverSettings, state: State) -> list[Rows]:
    """Betas stay near their estimate, and the body keeps its height."""
    result = []
    for number, (person, body) in enumerate(zip(problem.people, state.bodies, strict=True)):
        columns = problem.layout.betas_start(number) + torch.arange(len(body.betas), device=body.betas.device)
        near = (body.betas - person.initial.betas) / settings.betas
        result.append(Rows.of_border(near, columns[:, None], torch.full_like(near, 1.0 / settings.betas)[:, None]))
        height = person.height_rest + person.height_dirs @ body.betas
        off = (height - person.height) / person.height_sigma
        result.append(Rows.of_border(off[None], columns[None], (person.height_dirs / person.height_sigma)[None]))
    return result


def depth_terms(problem: Problem, state: State) -> list[Rows]:
    """The factor of each depth map stays where it was found; loosely where sightings with depths find it (L_3D)."""
    count, start = problem.layout.depths, problem.layout.depth_start
    numbers = problem.observations.map
    seen = torch.bincount(numbers[numbers >= 0], minlength=count) >= _ENOUGH_SIGHTINGS
    sigma = torch.where(seen, problem.depth_sigma.clamp(min=_LOOSE_DEPTH), problem.depth_sigma)
    columns = start + torch.arange(count, device=numbers.device)
    return [Rows.of_border((state.depth - problem.depth_prior) / sigma, columns[:, None], 1.0 / sigma[:, None])]


def camera_terms(problem: Problem, settings: SolverSettings, state: State) -> list[Rows]:
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
    columns = layout.camera_of(torch.arange(len(keys), device=keys.device)).flatten()
    held = Rows.of_border(residual, columns[:, None], scale.repeat(len(keys))[:, None])
    far = int(extent.argmax())
    reach = now.centre[keys[far]] - now.centre[keys[0]]
    length = reach.norm().clamp(min=1e-9)
    gauge = torch.log(length / spread) / _GAUGE
    slope = (reach / length**2) @ now.rotation[keys[far]] / _GAUGE
    unit = Rows.of_border(gauge[None], layout.camera_of(keys.new_tensor([far]))[:, 3:], slope[None])
    return [held, unit, *lens_terms(problem, settings, state)]


def lens_terms(problem: Problem, settings: SolverSettings, state: State) -> list[Rows]:
    """The focal lengths stay near what they were, and those of a zoom near each other's change."""
    log_focal = state.cameras.log_focal
    columns = problem.layout.FOCAL + torch.arange(len(log_focal), device=log_focal.device)
    # Together, several lenses know as much as the one of a lens that does not zoom.
    slope = torch.full_like(log_focal, len(log_focal) ** -0.5 / settings.focal)
    near = Rows.of_border(slope * log_focal, columns[:, None], slope[:, None])
    step = (log_focal[1:] - log_focal[:-1]) / settings.zoom
    ends = torch.tensor([-1.0, 1.0]).to(log_focal) / settings.zoom
    drift = Rows.of_border(step, torch.stack([columns[:-1], columns[1:]], -1), ends.expand(len(step), -1))
    return [near, drift]


def border_terms(problem: Problem, settings: SolverSettings, state: State) -> dict[str, list[Rows]]:
    """All of them by name."""
    terms = {"prior_shape": shape_terms(problem, settings, state)}
    if problem.layout.depths:
        terms["depth_scale"] = depth_terms(problem, state)
    if len(problem.observations.frame):
        terms["prior_camera"] = camera_terms(problem, settings, state)
    return terms
