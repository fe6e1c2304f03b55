"""A person as the stages before the joint solve left them, and the points of their body that it follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.body import BodyModel
from ...scene4d.conventions import JOINT_COUNT
from ...scene4d.rotations import matrix_from_axis_angle
from ..fit.landmarks import landmark_map
from ..results import PersonFit, Track
from .body_points import BodyPoints, body_points, vertex_points
from .region_points import region_hulls, region_mix
from .sightings import tensor
from .state import Body

Array = NDArray[Any]


@dataclass(frozen=True)
class BodyMap:
    """Which points of the body the solver follows: landmarks (numbers among MediaPipe's 33), the pelvis, regions.

    hull (H,): vertices of the regions that are not of the feet which may touch first; hull_region (H,): whose they are.
    """

    landmark: Array
    spread: Array
    vertex_mix: Array
    joint_mix: Array
    region_present: Array
    hull: Array
    hull_region: Array

    @property
    def pelvis_row(self) -> int:
        return len(self.landmark)

    def region_row(self, region: int) -> int:
        """Row of a contact region's point."""
        return len(self.landmark) + 1 + region


def body_map(model: BodyModel) -> BodyMap:
    """The points of this body model."""
    seen = landmark_map(model)
    regions = region_mix(model)
    pelvis = np.zeros((1, JOINT_COUNT))
    pelvis[0, 0] = 1.0
    return BodyMap(
        seen.index,
        seen.spread,
        np.concatenate([seen.vertex_weights, np.zeros((1, seen.vertex_weights.shape[1])), regions]),
        np.concatenate([seen.joint_weights, pelvis, np.zeros((len(regions), JOINT_COUNT))]),
        np.any(regions != 0.0, axis=1),
        *region_hulls(model),
    )


@dataclass(frozen=True)
class Figure:
    """A person as the stages left them, with the points of their body: fit, track, contact (T,R), time (T,); hull: the
    points of ``map.hull``."""

    fit: PersonFit
    track: Track
    contact: Array
    time: Array
    points: BodyPoints
    hull: BodyPoints
    body: Body
    map: BodyMap


def make_figure(
    model: BodyModel, points_of: BodyMap, fit: PersonFit, track: Track, contact: Array, time: Array
) -> Figure:
    """Gathers one person; track and contact are cut to the frames of the fit."""
    cut = _some_of_track(track, np.searchsorted(track.index, fit.index))
    betas = np.asarray(fit.betas, np.float64)[: model.shapedirs.shape[-1]]
    rotation = matrix_from_axis_angle(np.asarray(fit.poses, np.float64).reshape(-1, JOINT_COUNT, 3))
    body = Body(tensor(rotation), tensor(fit.trans), tensor(betas))
    points = body_points(model, points_of.vertex_mix, points_of.joint_mix, len(betas))
    hull = vertex_points(model, points_of.hull, len(betas))
    return Figure(fit, cut, np.asarray(contact, np.float64), time[fit.index], points, hull, body, points_of)


def some_frames(figure: Figure, rows: Array) -> Figure:
    """The person on these rows of their frames."""
    fit = figure.fit
    return replace(
        figure,
        fit=replace(
            fit, index=fit.index[rows], poses=fit.poses[rows], trans=fit.trans[rows], confidence=fit.confidence[rows],
            landmark_error=fit.landmark_error[rows],
        ),
        track=_some_of_track(figure.track, rows),
        contact=figure.contact[rows],
        time=figure.time[rows],
        body=Body(figure.body.rotation[rows], figure.body.trans[rows], figure.body.betas),
    )  # fmt: skip


def _some_of_track(track: Track, rows: Array) -> Track:
    return replace(
        track, index=track.index[rows], box=track.box[rows], landmarks=track.landmarks[rows],
        visibility=track.visibility[rows], world_landmarks=track.world_landmarks[rows], detected=track.detected[rows],
        overlap=track.overlap[rows],
    )  # fmt: skip
