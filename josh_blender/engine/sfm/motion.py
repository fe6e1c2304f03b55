"""Is the camera moving, panning about its centre, or standing still? And the rotations and focal length of a pan.

Corners of the background are followed between key frames. Still: nothing moves. Pan: one focal length, one radial
coefficient and one rotation per key frame explain all movement; a false structure from motion is never tried on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.sparse import lil_matrix

from ...scene4d.camera import project, rigid, unproject
from ...scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle, nearest_rotation
from .mapping import Mapping
from .registration import follow

Array = NDArray[Any]

#: Median movement in px at 480 px width up to which a camera counts as standing still.
_STILL_PX = 0.6
#: Median error in px at 480 px width of the rotation model up to which a camera counts as panning.
_PAN_PX = 0.55
_CORNERS = 150
#: Key frames a corner is followed through.
_REACH = 5
_PICTURE_WIDTH = 480.0
#: Pairs of corners that the pan is solved from.
_MOST_PAIRS = 1500
#: Rotation in degrees up to which a camera that turns about its centre still counts as standing still (it sways).
_SWAY_DEGREES = 1.5


@dataclass
class Flow:
    """Background corners seen in two key frames: rows ``first`` and ``second`` (N,) of the key frames, pixels (N,2) of
    the plate, and ``unit``, px of the plate per px at 480 px width."""

    first: Array
    second: Array
    first_pixel: Array
    second_pixel: Array
    unit: float


@dataclass
class Pan:
    """world_from_camera rotations (K,3,3), the first is the identity; focal in px; k1; median error in px at 480."""

    rotation: Array
    focal: float
    k1: float
    error: float


def background_flow(pictures: list[Array], masks: list[Array], scale: float) -> Flow:
    """Follow corners of the background through the key frames; grey pictures and people masks (h,w)."""
    parts: list[tuple[Array, Array, Array, Array]] = []
    for row, picture in enumerate(pictures[:-1]):
        free = cv2.erode((masks[row] == 0).astype(np.uint8), np.ones((15, 15), np.uint8))
        corners = cv2.goodFeaturesToTrack(picture, _CORNERS, 0.01, 8, mask=free)
        if corners is None:
            continue
        start = corners[:, 0]
        moved = start.copy()
        for later in range(row + 1, min(row + 1 + _REACH, len(pictures))):
            moved, kept = follow(pictures[later - 1], pictures[later], moved)
            inside = (moved >= 0).all(axis=1) & (moved < [picture.shape[1], picture.shape[0]]).all(axis=1)
            kept &= inside
            start, moved = start[kept], moved[kept]
            whole = np.clip(moved.astype(int), 0, [picture.shape[1] - 1, picture.shape[0] - 1])
            clear = masks[later][whole[:, 1], whole[:, 0]] == 0
            start, moved = start[clear], moved[clear]
            parts.append((np.full(len(start), row), np.full(len(start), later), start, moved))
    if not parts:
        empty = np.zeros((0, 2))
        return Flow(np.zeros(0, int), np.zeros(0, int), empty, empty, 1.0)
    first, second, start, moved = (np.concatenate([part[number] for part in parts]) for number in range(4))
    unit = pictures[0].shape[1] / scale / _PICTURE_WIDTH
    return Flow(first, second, (start + 0.5) / scale, (moved + 0.5) / scale, unit)


def is_still(flow: Flow) -> bool:
    """Whether the background of no pair of key frames moves."""
    if not len(flow.first):
        return True
    movement = np.linalg.norm(flow.second_pixel - flow.first_pixel, axis=1) / flow.unit
    pairs = flow.first * 100_000 + flow.second
    medians = [np.median(movement[pairs == pair]) for pair in np.unique(pairs)]
    return float(np.percentile(medians, 95)) < _STILL_PX


def _relative_rotation(first: Array, second: Array) -> Array:
    """Rotation (3,3) that takes unit rays (N,3) of the second camera to those of the first, robustly (Kabsch, IRLS)."""
    weights = np.ones(len(first))
    rotation = np.eye(3)
    for _ in range(5):
        rotation = nearest_rotation((first * weights[:, None]).T @ second)
        error = np.linalg.norm(first - second @ rotation.T, axis=1)
        weights = 1.0 / (1.0 + (error / (np.median(error) + 1e-9)) ** 2)
    return rotation


def _unit_rays(pixels: Array, intrinsics: Array, k1: float) -> Array:
    rays = unproject(pixels, intrinsics, np.array([k1, 0.0, 0.0, 0.0, 0.0]))
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def solve_pan(flow: Flow, count: int, size: tuple[int, int], focal: float | None) -> Pan:
    """Rotations of all key frames, focal length (kept where it is given) and k1 from the flow, by robust least squares.

    Residuals are the distances in px between where a corner is seen and where the turned camera would see it.
    """
    width, height = size
    centre = np.array([width / 2.0, height / 2.0])
    candidates = [focal] if focal is not None else [factor * max(size) for factor in (1.0, 0.65, 1.6, 2.6)]
    generator = np.random.default_rng(0)
    chosen = np.sort(generator.choice(len(flow.first), min(len(flow.first), _MOST_PAIRS), replace=False))
    first, second = flow.first[chosen], flow.second[chosen]
    first_pixel, second_pixel = flow.first_pixel[chosen], flow.second_pixel[chosen]
    best: Pan | None = None
    for guess in candidates:
        intrinsics = np.array([guess, guess, *centre])
        rotation = np.tile(np.eye(3), (count, 1, 1))
        for row in range(1, count):
            pair = (flow.first == row - 1) & (flow.second == row)
            step = np.eye(3)
            if pair.sum() >= 8:
                rays = (_unit_rays(pixel[pair], intrinsics, 0.0) for pixel in (flow.first_pixel, flow.second_pixel))
                step = _relative_rotation(*rays)
            rotation[row] = rotation[row - 1] @ step

        def unpack(state: Array) -> tuple[Array, Array, Array]:
            turns = np.concatenate([np.eye(3)[None], matrix_from_axis_angle(state[2:].reshape(-1, 3))])
            length = focal if focal is not None else float(np.exp(state[0]))
            return turns, np.array([length, length, *centre]), np.array([state[1], 0.0, 0.0, 0.0, 0.0])

        def residuals(state: Array) -> Array:
            turns, lens, distortion = unpack(state)
            rays = unproject(first_pixel, lens, distortion)
            world = np.einsum("nij,nj->ni", turns[first], rays)
            local = np.einsum("nji,nj->ni", turns[second], world)
            return ((project(local, lens, distortion) - second_pixel) / flow.unit).ravel()

        start = np.concatenate([[np.log(guess), 0.0], axis_angle_from_matrix(rotation[1:]).ravel()])
        sparsity = lil_matrix((2 * len(first), len(start)), dtype=np.int8)
        sparsity[:, :2] = 1
        for rows in (first, second):
            for axis in range(3):
                for line in range(2):
                    there = np.flatnonzero(rows > 0)
                    sparsity[2 * there + line, 2 + 3 * (rows[there] - 1) + axis] = 1
        bounds = (np.full(len(start), -np.inf), np.full(len(start), np.inf))
        bounds[0][1], bounds[1][1] = -0.5, 0.5
        solved = least_squares(
            residuals, start, jac_sparsity=sparsity, loss="cauchy", f_scale=0.5, max_nfev=25, bounds=bounds
        )
        turns, lens, distortion = unpack(solved.x)
        error = float(np.median(np.linalg.norm(residuals(solved.x).reshape(-1, 2), axis=1)))
        if best is None or error < best.error - 1e-4:
            best = Pan(turns, float(lens[0]), float(distortion[0]), error)
        # Good enough, or so far off that no focal length will help.
        if not 0.5 * _PAN_PX < best.error < 4.0 * _PAN_PX:
            break
    assert best is not None
    return best


def explains(pan: Pan) -> bool:
    """Whether rotations alone explain the movement."""
    return pan.error < _PAN_PX


def sways(pan: Pan) -> bool:
    """Whether the rotations stay so small that the camera is meant to stand still."""
    angle = np.linalg.norm(axis_angle_from_matrix(pan.rotation), axis=-1)
    return float(np.degrees(angle.max(initial=0.0))) < _SWAY_DEGREES


def pan_mapping(flow: Flow, pan: Pan, keyframe: Array, intrinsics: Array, distortion: Array) -> Mapping:
    """The corners as points on the unit sphere around a camera that only turns, for frames (K,) ``keyframe``."""
    start = np.unique(np.stack([flow.first, *flow.first_pixel.T], axis=1), axis=0, return_index=True)[1]
    row_of_corner = np.unique(np.stack([flow.first, *flow.first_pixel.T], axis=1), axis=0, return_inverse=True)[1]
    rays = unproject(flow.first_pixel[start], intrinsics, distortion)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    points = np.einsum("nij,nj->ni", pan.rotation[flow.first[start]], rays)
    return Mapping(
        keyframe=keyframe.astype(np.int32),
        world_from_camera=rigid(pan.rotation, np.zeros(3)),
        intrinsics=intrinsics,
        distortion=distortion,
        points=points,
        error=np.zeros(0),
        observation_keyframe=np.concatenate([flow.first[start], flow.second]).astype(np.int32),
        observation_point=np.concatenate([np.arange(len(points)), row_of_corner.ravel()]).astype(np.int32),
        observation_pixel=np.concatenate([flow.first_pixel[start], flow.second_pixel]).astype(np.float32),
    )
