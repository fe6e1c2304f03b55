"""Before people meet the place: a lens that the scene stage left uncertain is settled from the sightings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...scene4d.body import BodyModel
from ..results import BodiesResult, PeopleResult, PersonFit, SceneResult
from ..sfm.ground import estimate_ground, foot_rays
from ..solver import bundle
from ..solver.surfaces import DepthCloud

Array = NDArray[Any]

#: Points that the ground is found from.
_GROUND_POINTS = 6000


def settled(
    scene: SceneResult, bodies: BodiesResult, model: BodyModel, device: torch.device
) -> tuple[SceneResult, BodiesResult, Array | None]:
    """Cameras, points and lens adjusted, the bodies as far away as the new lens shows them, and how many times (F,)
    as long the lens is now; everything as it is (None) where the lens is certain."""
    if scene.focal_sigma <= 0.0 or scene.camera_kind != "moving":
        return scene, bodies, None
    adjusted = bundle.adjusted(scene, scene.focal_sigma, device=device)
    factor = np.asarray(adjusted.intrinsics)[:, 0] / np.asarray(scene.intrinsics)[:, 0]
    people = [_at_distance(fit, model, factor[fit.index]) for fit in bodies.people]
    return adjusted, replace(bodies, people=people), factor


def _at_distance(fit: PersonFit, model: BodyModel, factor: Array) -> PersonFit:
    """The same picture through a lens ``factor`` (T,) times as long: the pelvis is as many times as far away."""
    betas = np.asarray(fit.betas, np.float64)[: model.shapedirs.shape[-1]]
    pelvis = model.joints(betas)[0]
    trans = np.array(fit.trans, np.float64)
    trans[:, 2] = (trans[:, 2] + pelvis[2]) * factor - pelvis[2]
    return replace(fit, trans=trans)


def ground_of(scene: SceneResult, people: PeopleResult, clouds: list[DepthCloud]) -> Array:
    """The ground (4,), or shape (0,), that depth maps show."""
    if not clouds:
        return np.zeros(0)
    share = max(1, _GROUND_POINTS // len(clouds))
    points = np.concatenate([cloud.points[:: max(1, len(cloud.points) // share)] for cloud in clouds])
    feet = foot_rays(people, scene.world_from_camera, scene.intrinsics, scene.distortion)
    return estimate_ground(points, scene.world_from_camera, *feet)
