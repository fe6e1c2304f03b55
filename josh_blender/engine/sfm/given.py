"""A camera that the user already has: read, checked, and given sparse points by triangulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.arrays import read_npz
from ...scene4d.camera import invert_rigid, project, transform, unproject
from ...scene4d.errors import SceneFormatError, UserError
from .mapping import Mapping
from .motion import Flow

Array = NDArray[Any]

_MIN_ANGLE_DEGREES = 1.0
_MAX_ERROR_PX = 2.0


@dataclass
class GivenCamera:
    """world_from_camera (F,4,4) in metres, intrinsics (F,4), distortion (5,) of the frames that are solved."""

    world_from_camera: Array
    intrinsics: Array
    distortion: Array


def read_given_camera(path: Path, frame: Array) -> GivenCamera:
    """The camera.npz of a 4D scene for source frame numbers (F,).

    Raises:
        UserError: the file is no camera, or it lacks frames of the range.
    """
    remedy = "Give the camera.npz of a 4D scene of this video (docs/scene4d.md)."
    try:
        arrays = read_npz(path, ("frame", "world_from_camera", "intrinsics", "distortion"))
        known, poses = arrays["frame"], arrays["world_from_camera"].astype(np.float64)
        intrinsics, distortion = arrays["intrinsics"].astype(np.float64), arrays["distortion"].astype(np.float64)
        fits = poses.shape == (len(known), 4, 4) and intrinsics.shape == (len(known), 4) and distortion.shape == (5,)
    except (SceneFormatError, KeyError, ValueError, TypeError) as error:
        raise UserError("bad_camera_file", f"{path.name} holds no camera.", remedy) from error
    if not fits or not np.isfinite(poses).all() or not np.isfinite(intrinsics).all():
        raise UserError("bad_camera_file", f"{path.name} holds no camera.", remedy)
    row = {int(number): position for position, number in enumerate(known)}
    missing = [int(number) for number in frame if int(number) not in row]
    if missing:
        raise UserError("camera_too_short", f"{path.name} has no pose for frame {missing[0]}.", remedy)
    rows = [row[int(number)] for number in frame]
    return GivenCamera(poses[rows], intrinsics[rows], distortion)


def triangulate(flow: Flow, keyframe: Array, world_from_camera: Array, intrinsics: Array, distortion: Array) -> Mapping:
    """Points from corners seen by key frames with known poses: midpoint of the two rays, checked by re-projection.

    ``flow`` rows refer to ``keyframe`` (K,); world_from_camera (K,4,4); intrinsics (K,4).
    """
    first, second = world_from_camera[flow.first], world_from_camera[flow.second]
    views = ((first, intrinsics[flow.first], flow.first_pixel), (second, intrinsics[flow.second], flow.second_pixel))
    rays = []
    for pose, lens, pixel in views:
        ray = np.einsum("nij,nj->ni", pose[:, :3, :3], unproject(pixel, lens, distortion))
        rays.append(ray / np.linalg.norm(ray, axis=1, keepdims=True))
    cosine = np.clip(np.sum(rays[0] * rays[1], axis=1), -1.0, 1.0)
    between = second[:, :3, 3] - first[:, :3, 3]
    sine2 = np.maximum(1.0 - cosine**2, 1e-12)
    along_first = (np.sum(between * rays[0], 1) - cosine * np.sum(between * rays[1], 1)) / sine2
    along_second = (cosine * np.sum(between * rays[0], 1) - np.sum(between * rays[1], 1)) / sine2
    points = 0.5 * (
        first[:, :3, 3] + along_first[:, None] * rays[0] + second[:, :3, 3] + along_second[:, None] * rays[1]
    )
    good = (along_first > 0) & (along_second > 0) & (np.degrees(np.arccos(cosine)) > _MIN_ANGLE_DEGREES)
    worst = np.zeros(len(points))
    for pose, lens, pixel in views:
        local = transform(invert_rigid(pose), points[:, None])[:, 0]
        worst = np.maximum(worst, np.linalg.norm(project(local, lens, distortion) - pixel, axis=1))
    kept = np.flatnonzero(good & (worst < _MAX_ERROR_PX * flow.unit))
    rows = np.arange(len(kept))
    return Mapping(
        keyframe=np.asarray(keyframe, dtype=np.int32),
        world_from_camera=world_from_camera,
        intrinsics=intrinsics,
        distortion=distortion,
        points=points[kept],
        error=worst[kept],
        observation_keyframe=np.concatenate([flow.first[kept], flow.second[kept]]).astype(np.int32),
        observation_point=np.concatenate([rows, rows]).astype(np.int32),
        observation_pixel=np.concatenate([flow.first_pixel[kept], flow.second_pixel[kept]]).astype(np.float32),
    )
