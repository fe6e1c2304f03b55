"""Z up, the ground at zero, the origin under the first camera, +Y where it looks.

Up is the normal of the ground that the scene showed, unless people's backs say clearly otherwise (a hillside); without
a ground it is the mean direction of backs, and without people the camera's own up. Zero is the height of the soles that
touch first; without contacts the ground, then the lowest foot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...scene4d.body import BodyModel
from ...scene4d.conventions import CONTACT_REGIONS, JOINT_COUNT
from ...scene4d.rotations import matrix_from_axis_angle
from ..results import JointResult, PersonWorld
from ..solver.body_points import body_points, pose
from ..solver.region_points import FOOT_REGIONS, region_mix
from ..solver.upright import mean_direction

Array = NDArray[Any]

#: Beyond this angle between the ground's normal and people's backs the ground is a slope and backs show gravity.
_SLOPE_DEGREES = 15.0
#: Seconds from the first contact that count as "first".
_FIRST_S = 1.0
_CONTACT_LEAST = 0.5
_EYE_HEIGHT_M = 1.6


@dataclass(frozen=True)
class WorldAxes:
    """matrix (4,4) ``world_from_joint``, rigid; source: where up and zero came from."""

    matrix: Array
    up_source: str
    ground_source: str


def soles(person: PersonWorld, model: BodyModel) -> Array:
    """Soles (T,4,3) of left heel, left ball, right heel, right ball."""
    mix = region_mix(model)[[CONTACT_REGIONS.index(name) for name in FOOT_REGIONS]]
    points = body_points(model, mix, np.zeros((len(mix), JOINT_COUNT)), len(person.betas))
    rotation = matrix_from_axis_angle(np.asarray(person.poses, np.float64).reshape(-1, JOINT_COUNT, 3))
    trans, betas = (torch.as_tensor(np.asarray(array, np.float64)) for array in (person.trans, person.betas))
    posed = pose(points, torch.as_tensor(rotation), trans, betas)
    return np.asarray(posed.points.numpy())


def find_up(joint: JointResult) -> tuple[Array, str]:
    """Unit vector against gravity in the axes of the joint stage, and its source."""
    reliable = [person for person in joint.people if person.reliable] or joint.people
    backs = [matrix_from_axis_angle(person.poses[:, :3])[:, :, 1] for person in reliable]
    spine = mean_direction(np.concatenate(backs)) if backs else None
    if len(joint.ground):
        normal = joint.ground[:3] / np.linalg.norm(joint.ground[:3])
        if spine is None or np.degrees(np.arccos(np.clip(normal @ spine, -1.0, 1.0))) < _SLOPE_DEGREES:
            return np.asarray(normal), "ground"
    if spine is not None:
        return spine, "people"
    return mean_direction(-joint.world_from_camera[:, :3, 1]), "camera"


def find_height(joint: JointResult, time: Array, model: BodyModel, up: Array) -> tuple[float, str]:
    """Height of the ground along ``up``, and its source."""
    heights, times, lowest = [], [], []
    feet = [CONTACT_REGIONS.index(name) for name in FOOT_REGIONS]
    for person in [person for person in joint.people if person.reliable] or joint.people:
        height = soles(person, model) @ up
        touching = (person.contact[:, feet] >= _CONTACT_LEAST) & (person.confidence > 0.0)[:, None]
        heights.append(height[touching])
        times.append(np.broadcast_to(time[person.index][:, None], touching.shape)[touching])
        lowest.append(height.min(axis=1))
    height = np.concatenate(heights) if heights else np.zeros(0)
    if len(height):
        when = np.concatenate(times)
        return float(np.median(height[when <= when.min() + _FIRST_S])), "contacts"
    camera = joint.world_from_camera[0, :3, 3]
    if len(joint.ground):
        normal, offset = joint.ground[:3], float(joint.ground[3])
        slope = float(normal @ up)
        if abs(slope) > 0.1:
            return float(camera @ up - (normal @ camera + offset) / slope), "ground"
    if lowest:
        return float(np.median(np.concatenate(lowest))), "lowest feet"
    return float(camera @ up) - _EYE_HEIGHT_M, "assumed camera height"


def find_axes(joint: JointResult, time: Array, model: BodyModel) -> WorldAxes:
    """The world of the result for a joint result in its own axes; time (F,) s."""
    up, up_source = find_up(joint)
    height, ground_source = find_height(joint, time, model, up)
    first = joint.world_from_camera[0]
    heading = first[:3, 2] - (first[:3, 2] @ up) * up
    if np.linalg.norm(heading) < 1e-3:
        # Looking straight down or up: the top of the image points ahead.
        heading = -first[:3, 1] + (first[:3, 1] @ up) * up
    heading = heading / np.linalg.norm(heading)
    rotation = np.stack([np.cross(heading, up), heading, up])
    camera = first[:3, 3]
    origin = camera + (height - camera @ up) * up
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -rotation @ origin
    return WorldAxes(matrix, up_source, ground_source)
