"""Bundle adjustment: cameras, scene points and lens alone, where the scene stage left them uncertain.

Contacts tie people to the place as the cameras saw it; with a lens that is 5 % off the place is bent, and its surfaces
with it. So this comes before the people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...scene4d.camera import invert_rigid, project, transform
from ..results import SceneResult
from . import build, levenberg
from .device import on_device
from .settings import SolverSettings
from .sightings import chosen_points
from .surfaces import DepthCloud

Array = NDArray[Any]

_POINTS_PER_KEYFRAME = 2000
_STEPS = 40
_CPU = torch.device("cpu")
_TOLERANCE = 1e-6
#: The start is near, and damping holds back what sightings hardly see: the lens.
_FIRST_DAMPING = 1e-6
#: Sightings are never taken for more exact than this, px of an image 512 px long.
_LEAST_SIGMA_PX = 0.25


def loosened(settings: SolverSettings, focal_sigma: float) -> SolverSettings:
    """Settings whose priors leave cameras and lens to the sightings; weak directions take more steps."""
    return replace(
        settings, camera_degrees=200.0, camera_share=20.0, focal=max(focal_sigma, 1e-6),
        iterations=settings.iterations * 5 // 3,
    )  # fmt: skip


def adjusted(
    scene: SceneResult, focal_sigma: float, clouds: Sequence[DepthCloud] = (), device: torch.device = _CPU
) -> SceneResult:
    """Key frames, points and, with ``focal_sigma`` > 0 (relative), the lens where the sightings project best, and
    where the points lie as deep as independent depth maps (``clouds``) say, each up to a factor of its own.

    Frames between key frames take the interpolated correction. A scene with too few sightings is given back as it is.
    """
    settings = replace(
        loosened(SolverSettings(), focal_sigma), points_per_keyframe=_POINTS_PER_KEYFRAME, iterations=_STEPS,
        first_damping=_FIRST_DAMPING, tolerance=_TOLERANCE,
    )  # fmt: skip
    problem = build.make_problem(scene, [], list(clouds), 0.0, settings, scale_free=False, cameras_free=True)
    layout = problem.layout
    if not bool(problem.free[layout.camera_start : layout.depth_start].any()):
        return scene
    problem.free[layout.FOCAL : layout.camera_start] = focal_sigma > 0.0
    there = on_device(problem, device)
    state = on_device(levenberg.minimize(there, settings, there.initial, levenberg.Report()), _CPU)
    chosen = chosen_points(scene, _POINTS_PER_KEYFRAME)
    points = np.array(scene.points, np.float64)
    points[chosen] = state.points.numpy()
    matrix = np.array(scene.world_from_camera, np.float64)
    matrix[:, :3, :3], matrix[:, :3, 3] = state.cameras.rotation.numpy(), state.cameras.centre.numpy()
    intrinsics = np.array(scene.intrinsics, np.float64)
    intrinsics[:, :2] = state.cameras.focal.numpy()
    return replace(scene, world_from_camera=matrix, points=points, intrinsics=intrinsics)


def reprojection_errors(scene: SceneResult) -> Array:
    """How far each sighting (M,) is from where its point projects, px; inf behind the camera."""
    frame = np.asarray(scene.keyframe)[np.asarray(scene.observation_keyframe)]
    from_world = invert_rigid(np.asarray(scene.world_from_camera, np.float64)[frame])
    local = transform(from_world, np.asarray(scene.points, np.float64)[scene.observation_point][:, None])[:, 0]
    ahead = local[:, 2] > 1e-9
    error = np.full(len(frame), np.inf)
    pixel = project(local[ahead], np.asarray(scene.intrinsics)[frame[ahead]], scene.distortion)
    error[ahead] = np.linalg.norm(pixel - np.asarray(scene.observation_pixel)[ahead], axis=1)
    return error


def with_measured_noise(settings: SolverSettings, scene: SceneResult) -> SolverSettings:
    """Settings that take the sightings for as exact as the scene says they are, and for no less than ``settings`` do.

    The sigma is that of a two-dimensional normal distribution with the median of `reprojection_errors`,
    sigma sqrt(2 log 2). A scene without sightings leaves the settings as they are.
    """
    error = reprojection_errors(scene)
    if not len(error):
        return settings
    long_side = 2.0 * float(np.max(np.asarray(scene.intrinsics)[0, 2:]))
    sigma = float(np.median(error)) / np.sqrt(2.0 * np.log(2.0)) * 512.0 / long_side
    return replace(settings, correspondence_px=float(np.clip(sigma, _LEAST_SIGMA_PX, settings.correspondence_px)))
