"""The coloured cloud of the place, in the world of the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import OPENCV_PIXEL_OFFSET, project, transform, unproject
from ...scene4d.scene import PointCloud
from ..depth.fusion import fuse
from ..results import FramesResult, JointResult, SceneResult
from ..video.reader import open_frames

Array = NDArray[Any]

_LEAST_CONFIDENCE = 0.5
_MOST_POINTS = 3_000_000
#: Depths beyond this many times the median of a map are too vague to be points.
_FARTHEST = 8.0


def undistorted_picture(picture: Array, intrinsics: Array, distortion: Array, target: Array, shape: Any) -> Array:
    """Colours (h,w,3) that a pinhole with intrinsics ``target`` (4,) and picture size ``shape`` sees of a plate."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    rays = unproject(np.stack([columns + 0.5, rows + 0.5], -1), target)
    pixel = (project(rays, intrinsics, distortion) - OPENCV_PIXEL_OFFSET).astype(np.float32)
    return np.asarray(cv2.remap(picture, pixel[..., 0], pixel[..., 1], cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE))


def dense_cloud(
    frames: FramesResult, scene: SceneResult, scene_folder: Path, joint: JointResult, matrix: Array
) -> PointCloud | None:
    """The depth maps as one cloud; None where there are none. matrix (4,4): ``world_from_joint``."""
    positions = [int(position) for position in np.asarray(scene.depth_index)]
    paths = {p: scene_folder / scene.depth_folder / f"{int(frames.frame[p]):06d}.npz" for p in positions}
    positions = [position for position in positions if paths[position].is_file()]
    if not positions:
        return None
    with open_frames(frames) as reader:
        pictures = reader.iterate(positions)
        maps = (_colored_map(picture, paths[position], joint, position, matrix) for position, picture in pictures)
        cloud = fuse(maps, _LEAST_CONFIDENCE, None, _MOST_POINTS)
    number = np.searchsorted(np.asarray(scene.keyframe), np.asarray(positions))
    number = np.clip(number, 0, max(len(scene.keyframe) - 1, 0)).astype(np.uint16)
    return PointCloud(
        cloud.points.astype(np.float32),
        np.asarray(cloud.color, np.uint8),
        np.asarray(cloud.confidence, np.float32),
        number[cloud.source] if len(cloud.points) else np.zeros(0, np.uint16),
    )


def _colored_map(
    picture: Array, path: Path, joint: JointResult, position: int, matrix: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """The depth map of a frame in metres as `fuse` takes it, with the colours of the plate's picture (H,W,3)."""
    with np.load(path, allow_pickle=False) as data:
        depth, confidence = data["depth"].astype(np.float64), data["confidence"].astype(np.float32)
        intrinsics = data["intrinsics"]
    depth *= joint.scale
    known = depth[depth > 0.0]
    if len(known):
        depth[depth > _FARTHEST * np.median(known)] = 0.0
    # Halving before the remap keeps fine texture from turning into noise.
    factor = intrinsics[0] / joint.intrinsics[position, 0]
    size = tuple(round(side * max(factor, 0.1)) for side in (picture.shape[1], picture.shape[0]))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    scaled = joint.intrinsics[position] * np.tile([size[0] / picture.shape[1], size[1] / picture.shape[0]], 2)
    color = undistorted_picture(small, scaled, joint.distortion, intrinsics, depth.shape)
    return depth, confidence, intrinsics, matrix @ joint.world_from_camera[position], color


def sparse_cloud(scene: SceneResult, joint: JointResult, matrix: Array) -> PointCloud:
    """The points of structure from motion."""
    if not len(scene.points):
        return PointCloud.empty()
    position = transform(matrix, np.asarray(scene.points, np.float64) * joint.scale)
    view = np.zeros(len(position), np.uint16)
    view[np.asarray(scene.observation_point, dtype=int)[::-1]] = np.asarray(scene.observation_keyframe)[::-1]
    return PointCloud(
        position.astype(np.float32), np.asarray(scene.point_color, np.uint8), np.ones(len(position), np.float32), view
    )
