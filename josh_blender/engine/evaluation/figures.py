"""People of a scene as points: joints, feet and skin in the world, and joints on the plate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ...scene4d.body import BodyModel, load_default_body
from ...scene4d.camera import invert_rigid, project, transform
from ...scene4d.conventions import JOINT_COUNT
from ...scene4d.rotations import matrix_from_axis_angle
from ...scene4d.scene import CameraPath, Person
from ..solver.body_points import body_points, pose

Array = NDArray[Any]

#: Two people are the same when their joints are nearer on the plate than this share of their height there.
_SAME_PERSON = 0.4


@dataclass(frozen=True)
class PersonPoints:
    """frame (T,); joints (T,24,3) and feet (T,4,3) in the world, m; plate (T,24,2) px; camera_joints (T,24,3) in camera
    axes; size (T,) height on the plate, px; seen (T,) confidence above zero."""

    person: Person
    model: BodyModel
    frame: Array
    joints: Array
    feet: Array
    plate: Array
    camera_joints: Array
    size: Array
    seen: Array


def body_of(person: Person) -> BodyModel | None:
    """The person's body; None where only the user's own file has it."""
    if person.body is not None:
        return person.body
    default = load_default_body()
    return default if default.body_id == person.body_id else None


def person_points(person: Person, camera: CameraPath) -> PersonPoints | None:
    """The points of a person whose body is at hand."""
    model = body_of(person)
    if model is None:
        return None
    feet = np.zeros((4, len(model.v_template)))
    feet[np.arange(4), model.foot_vertices] = 1.0
    betas = person.betas[: model.shapedirs.shape[-1]]
    points = body_points(model, feet, np.zeros((4, JOINT_COUNT)), len(betas))
    rotation = matrix_from_axis_angle(np.asarray(person.poses, np.float64).reshape(-1, JOINT_COUNT, 3))
    arrays = (rotation, person.trans, betas)
    posed = pose(points, *(torch.as_tensor(np.asarray(array, np.float64)) for array in arrays))
    joints = posed.joints.numpy()
    place = np.searchsorted(camera.frame, person.frame)
    local = transform(invert_rigid(camera.world_from_camera[place]), joints)
    plate = project(local, camera.intrinsics[place, None], camera.distortion)
    size = camera.intrinsics[place, 1] * person.height / np.maximum(local[:, 0, 2], 0.1)
    return PersonPoints(
        person, model, np.asarray(person.frame), joints, posed.points.numpy(), plate, local, size,
        np.asarray(person.confidence) > 0.0,
    )  # fmt: skip


def common(first: Array, second: Array) -> tuple[Array, Array]:
    """Positions in each of the frame numbers (rising) that both have."""
    _, a, b = np.intersect1d(first, second, return_indices=True)
    return a, b


def match_people(estimates: list[PersonPoints], truths: list[PersonPoints]) -> list[tuple[PersonPoints, PersonPoints]]:
    """Pairs (estimate, truth) of the same person by their joints on the plate; nobody is used twice."""
    cost = np.full((len(estimates), len(truths)), np.inf)
    for row, estimate in enumerate(estimates):
        for column, truth in enumerate(truths):
            a, b = common(estimate.frame, truth.frame)
            if len(a):
                gap = np.linalg.norm(estimate.plate[a] - truth.plate[b], axis=-1).mean(1) / truth.size[b]
                # Longer overlap breaks ties between pieces of one track.
                cost[row, column] = float(np.median(gap)) + 1e-3 / len(a)
    limited = np.where(cost < _SAME_PERSON, cost, 1e6)
    rows, columns = linear_sum_assignment(limited) if cost.size else ([], [])
    return [
        (estimates[row], truths[column])
        for row, column in zip(rows, columns, strict=True)
        if limited[row, column] < 1e6
    ]
