"""Stage 5: which regions of each body touch the scene, from how they move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...scene4d.body import BodyModel, default_body_path, load_body
from ...scene4d.conventions import CONTACT_REGIONS, JOINT_COUNT
from ...scene4d.errors import UserError
from ...scene4d.rotations import matrix_from_axis_angle
from ..contact.labels import foot_contact, region_columns, seat_contact, speeds
from ..contact.motion import up_direction, velocities, world_positions
from ..contact.scale import scale_from_ground, scale_from_standing
from ..contact.settings import LabelSettings
from ..results import BodiesResult, ContactResult, FramesResult, PeopleResult, PersonContact, PersonFit, SceneResult
from ..solver.body_points import BodyPoints, body_points, pose
from ..solver.region_points import FOOT_REGIONS, region_mix

Array = NDArray[Any]

_TRUSTED_CONFIDENCE = 0.3


@dataclass(frozen=True)
class ContactSettings:
    """backend: "kinematic". body: the body file of stage 4, None for the CC0 body."""

    backend: str = "kinematic"
    body: Path | None = None
    labels: LabelSettings = field(default_factory=LabelSettings)


def run_contact(
    frames: FramesResult,
    people: PeopleResult,
    scene: SceneResult,
    bodies: BodiesResult,
    settings: ContactSettings,
    folder: Path,
    progress: Callable[[int, int], None],
) -> ContactResult:
    """Contact probabilities of every person; a frame without evidence has the chain's expectation.

    Raises:
        UserError: an unknown backend, or another body than the one that was fitted.
    """
    if settings.backend != "kinematic":
        raise UserError(
            "unknown_backend", f"There is no contact backend called “{settings.backend}”.", "Use “kinematic”."
        )
    model = load_body(default_body_path() if settings.body is None else settings.body)
    if model.body_id != bodies.body_id:
        raise UserError(
            "other_body", "The contacts were asked for another body than the one that was fitted.", "Run again."
        )
    points = _sole_points(model)
    placed = [_place(points, fit) for fit in bodies.people]
    scale = rough_scale(scene, frames.time, bodies.people, [soles for soles, _ in placed])
    up = _up(scene, bodies.people)
    result = []
    progress(0, len(placed))
    for fit, (soles, joints) in zip(bodies.people, placed, strict=True):
        result.append(_label(fit, soles, joints, scene, frames.time, scale, up, settings.labels))
        progress(len(result), len(placed))
    return ContactResult(people=result)


def rough_scale(scene: SceneResult, time: Array, fits: list[PersonFit], soles: list[Array]) -> float:
    """Metres per scene unit good to some percent, from people whose tracks are reliable (from all where none is).

    soles: per person (T,4,3) in camera axes, metres. 1 where the scene is metric or there is nobody.
    """
    chosen = [k for k, fit in enumerate(fits) if fit.reliable] or list(range(len(fits)))
    trusted = [fits[k].confidence >= _TRUSTED_CONFIDENCE for k in chosen]
    if scene.metric or not any(mask.any() for mask in trusted):
        return 1.0
    if scene.ground.size:
        votes = [
            scale_from_ground(soles[k][mask], scene.world_from_camera[fits[k].index[mask]], scene.ground)
            for k, mask in zip(chosen, trusted, strict=True)
        ]
        medians = [float(np.median(vote)) for vote in votes if len(vote)]
        if medians:
            return float(np.median(medians))
    return scale_from_standing(
        [soles[k] for k in chosen],
        [scene.world_from_camera[fits[k].index] for k in chosen],
        [time[fits[k].index] for k in chosen],
    )


def _sole_points(model: BodyModel) -> BodyPoints:
    mix = region_mix(model)[[CONTACT_REGIONS.index(name) for name in FOOT_REGIONS]]
    return body_points(model, mix, np.zeros((len(mix), JOINT_COUNT)), model.shapedirs.shape[-1])


def _place(points: BodyPoints, fit: PersonFit) -> tuple[Array, Array]:
    rotation = matrix_from_axis_angle(fit.poses.reshape(len(fit.poses), JOINT_COUNT, 3))
    posed = pose(points, torch.as_tensor(rotation), _double(fit.trans), _double(fit.betas))
    return posed.points.numpy(), posed.joints.numpy()


def _double(array: Array) -> torch.Tensor:
    return torch.as_tensor(np.asarray(array, np.float64))


def _up(scene: SceneResult, fits: list[PersonFit]) -> Array:
    upright = [
        np.einsum(
            "tij,tj->ti",
            scene.world_from_camera[fit.index, :3, :3],
            matrix_from_axis_angle(fit.poses[:, :3])[..., 1],
        )
        for fit in fits
        if fit.reliable
    ]
    return up_direction(scene.ground, scene.world_from_camera, np.concatenate([np.zeros((0, 3)), *upright]))


def _label(
    fit: PersonFit,
    soles: Array,
    joints: Array,
    scene: SceneResult,
    time: Array,
    scale: float,
    up: Array,
    settings: LabelSettings,
) -> PersonContact:
    cameras, times = scene.world_from_camera[fit.index], time[fit.index]
    feet = world_positions(soles, cameras, scale)
    body = world_positions(joints, cameras, scale)
    view = feet - scale * cameras[:, None, :3, 3]
    view /= np.linalg.norm(view, axis=-1, keepdims=True)
    speed = speeds(velocities(feet, times), view, settings.along_view)
    contact = foot_contact(speed, feet @ up, fit.confidence, times, settings)
    pelvis_speed = np.linalg.norm(velocities(body[:, :1], times)[:, 0], axis=-1)
    seat = seat_contact(body, pelvis_speed, up, fit.confidence, times, settings)
    return PersonContact(track_id=fit.track_id, contact=region_columns(contact, seat))
