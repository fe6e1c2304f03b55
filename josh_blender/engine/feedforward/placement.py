"""People in the world of a camera path."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.body import BodyModel
from ...scene4d.camera import transform
from ...scene4d.conventions import CONTACT_REGIONS
from ...scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from ..results import PersonFit, PersonWorld

Array = NDArray[Any]


def placed(fit: PersonFit, model: BodyModel, world_from_camera: Array, reliable: bool, reason: str) -> PersonWorld:
    """A body fit where its cameras say it is; nobody touches anything yet.

    SMPL turns about the pelvis: R_w = R R_0 and t_w = R (J_0 + t) + C - J_0.
    """
    cameras = np.asarray(world_from_camera, np.float64)[fit.index]
    pelvis = model.joints(fit.betas)[0]
    poses = np.array(fit.poses, np.float64)
    poses[:, :3] = axis_angle_from_matrix(cameras[:, :3, :3] @ matrix_from_axis_angle(poses[:, :3]))
    trans = transform(cameras, (np.asarray(fit.trans, np.float64) + pelvis)[:, None])[:, 0] - pelvis
    return PersonWorld(
        track_id=fit.track_id,
        index=np.asarray(fit.index),
        betas=np.asarray(fit.betas, np.float64),
        poses=poses,
        trans=trans,
        confidence=np.asarray(fit.confidence),
        contact=np.zeros((len(fit.index), len(CONTACT_REGIONS)), np.float32),
        reliable=reliable,
        reason=reason,
    )
