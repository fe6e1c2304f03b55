"""The camera of every frame: the points of the key frames are followed into the frames between them.

Points are tracked by pyramidal Lucas-Kanade forward from the key frame before and backward from the one after; each
frame's pose is then refined against their places alone, from a start between its key frames.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import rigid
from ...scene4d.rotations import nearest_rotation, slerp_matrices
from .mapping import Mapping
from .pose_refinement import Views, refine_poses
from .zoom import interpolate_intrinsics

Array = NDArray[Any]

_WINDOW = (21, 21)
_LEVELS = 3
#: A track that does not come back to where it began, px of the tracked pictures, is dropped.
_RETURN_PX = 0.7
#: Frames with fewer tracked points lean on the path between their key frames.
_FEW_POINTS = 30
#: How far a frame that follows few points may be from between its key frames (`refine_poses`).
_HELD = 0.003


def interpolate_poses(world_from_camera: Array, known: Array, count: int) -> Array:
    """Poses (count,4,4): known ones at rows ``known`` (K,), in between on the straight path, constant beyond."""
    known = np.asarray(known)
    rows = np.clip(np.arange(count), known[0], known[-1])
    after = np.clip(np.searchsorted(known, rows), 1, max(1, len(known) - 1)) if len(known) > 1 else np.zeros(count, int)
    before = np.maximum(after - 1, 0)
    span = np.maximum(known[after] - known[before], 1)
    weight = (rows - known[before]) / span
    first, second = world_from_camera[before], world_from_camera[after]
    rotation = slerp_matrices(first[:, :3, :3], second[:, :3, :3], weight)
    place = first[:, :3, 3] * (1.0 - weight[:, None]) + second[:, :3, 3] * weight[:, None]
    return rigid(nearest_rotation(rotation), place)


def follow(previous: Array, current: Array, pixels: Array) -> tuple[Array, Array]:
    """Pixels (N,2) in the current picture, OpenCV's convention, and which of them came back."""
    if not len(pixels):
        return pixels, np.zeros(0, dtype=bool)
    start = pixels.astype(np.float32).reshape(-1, 1, 2)
    options = {"winSize": _WINDOW, "maxLevel": _LEVELS}
    moved, found, _ = cv2.calcOpticalFlowPyrLK(previous, current, start, None, **options)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(current, previous, moved, None, **options)
    returned = np.linalg.norm((back - start)[:, 0], axis=1) < _RETURN_PX
    return moved[:, 0], (found[:, 0] > 0) & (found_back[:, 0] > 0) & returned


def _tracks_between(
    pictures: list[Array], start_points: Array, start_pixels: Array, scale: float
) -> list[tuple[Array, Array]]:
    """For each picture after the first: rows of points and plate pixels that could be followed so far."""
    points, pixels = start_points, start_pixels * scale - 0.5
    result = []
    for previous, current in itertools.pairwise(pictures):
        moved, kept = follow(previous, current, pixels)
        points, pixels = points[kept], moved[kept]
        result.append((points, (pixels + 0.5) / scale))
    return result


def register_all_frames(
    mapping: Mapping,
    pictures: Iterable[tuple[int, Array]],
    count: int,
    scale: float,
    step: Callable[[], None],
    fixed_centre: bool = False,
) -> tuple[Array, Array, Array]:
    """Poses (F,4,4), intrinsics (F,4) and median errors (F,) px of the plate; ``pictures`` gives (index, grey (h,w))
    of all F in order.

    Key frames keep the pose and lens of the mapping. ``fixed_centre`` lets the camera only turn.
    """
    intrinsics = interpolate_intrinsics(mapping.intrinsics, mapping.keyframe, count)
    poses = interpolate_poses(mapping.world_from_camera, mapping.keyframe, count)
    errors = np.full(count, np.nan)
    seen_in = [mapping.observation_keyframe == row for row in range(len(mapping.keyframe))]
    row_of = {int(index): row for row, index in enumerate(mapping.keyframe)}
    held: list[Array] = []
    first_held = 0
    for index, picture in pictures:
        held.append(picture)
        if index in row_of or index == count - 1:
            _register_span(mapping, held, first_held, row_of, seen_in, scale, intrinsics, poses, errors, fixed_centre)
            held, first_held = [picture], index
        step()
    return poses, intrinsics, errors


def _register_span(
    mapping: Mapping,
    pictures: list[Array],
    first: int,
    row_of: dict[int, int],
    seen_in: list[Array],
    scale: float,
    intrinsics: Array,
    poses: Array,
    errors: Array,
    fixed_centre: bool,
) -> None:
    """Refine the frames between two key frames (or beyond the last); pictures[0] is that of frame ``first``."""
    last = first + len(pictures) - 1
    gathered: dict[int, list[tuple[Array, Array, float]]] = {}
    for end, order in ((first, pictures), (last, pictures[::-1])):
        row = row_of.get(end)
        if row is None:
            continue
        chosen = seen_in[row]
        tracks = _tracks_between(order, mapping.observation_point[chosen], mapping.observation_pixel[chosen], scale)
        for number, (points, pixels) in enumerate(tracks, start=1):
            frame = end + number if end == first else end - number
            gathered.setdefault(frame, []).append((points, pixels, 1.0 / number))
    frames = [frame for frame in gathered if frame not in row_of]
    if not frames:
        return
    views = [_view(mapping, gathered[frame]) for frame in frames]
    prior = np.where([len(points) < _FEW_POINTS for points, _, _ in views], _HELD, np.inf)
    poses[frames], errors[frames] = refine_poses(
        poses[frames], Views.of(views), intrinsics[frames], mapping.distortion, prior_sigma=prior,
        fixed_centre=fixed_centre,
    )  # fmt: skip


def _view(mapping: Mapping, parts: list[tuple[Array, Array, float]]) -> tuple[Array, Array, Array]:
    """Points (N,3), pixels (N,2) and weights (N,) of what was followed to a frame from the key frames beside it."""
    rows = np.concatenate([part[0] for part in parts])
    weights = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    return mapping.points[rows], np.concatenate([part[1] for part in parts]), weights
