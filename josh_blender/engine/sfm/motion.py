"""Is the camera moving, panning about its centre, or standing still? And the rotations and focal length of a pan.

Corners of the background are followed between key frames. Still: nothing moves. Pan: one focal length, one radial
coefficient and one rotation per key frame explain all movement; a false structure from motion is never tried on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import project, rigid, unproject
from ...scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle, nearest_rotation
from .mapping import Mapping
from .registration import follow

Array = NDArray[Any]

#: Median movement in px at 480 px width up to which a camera counts as standing still.
_STILL_PX = 0.6
#: Errors in px at 480 px width up to which rotations alone explain the movement. Parallax hides in the median, as most
#: corners of a wall move alike: three quarters of all corners, and most of those followed longest, must fit.
_PAN_UPPER_PX, _PAN_WIDE_PX = 0.45, 0.35
#: Median error beyond which no focal length is tried any more.
_HOPELESS_PX = 2.2
_CORNERS = 150
#: Key frames a corner is followed through.
_REACH = 5
_PICTURE_WIDTH = 480.0
#: Pairs of corners that the pan is solved from.
_MOST_PAIRS = 3000
_FOCAL_GUESSES = (1.0, 0.65, 1.6, 2.6)
#: Steps from every focal length, and further ones from the best.
_FIRST_PAN_STEPS = 8
_PAN_STEPS = 40
#: Robust scale of the residuals, px at 480 px width, and how far k1 may be from 0.
_PAN_SIGMA, _K1_SPREAD = 0.15, 0.1
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
    """world_from_camera rotations (K,3,3), the first is the identity; focal in px; k1; errors in px at 480 px width:
    median, 75th percentile, and median of the corners that were followed longest."""

    rotation: Array
    focal: float
    k1: float
    error: float
    upper_error: float
    wide_error: float


def background_flow(pictures: Sequence[Array], masks: Sequence[Array], scale: float) -> Flow:
    """Follow corners of the background through the key frames; grey pictures and people masks (h,w), of which no more
    than six in a row are asked for at a time."""
    parts: list[tuple[Array, Array, Array, Array]] = []
    for row in range(len(pictures) - 1):
        picture = pictures[row]
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
    unit = picture.shape[1] / scale / _PICTURE_WIDTH
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


@dataclass
class _PanState:
    rotation: Array
    focal: float
    k1: float


def _pan_residuals(flow: Flow, state: _PanState, centre: Array) -> Array:
    """Distances (N,2), px at 480 px width, from where a corner is seen to where the turned camera would see it."""
    lens = np.array([state.focal, state.focal, *centre])
    distortion = np.array([state.k1, 0.0, 0.0, 0.0, 0.0])
    rays = unproject(flow.first_pixel, lens, distortion)
    world = np.einsum("nij,nj->ni", state.rotation[flow.first], rays)
    local = np.einsum("nji,nj->ni", state.rotation[flow.second], world)
    return (project(local, lens, distortion) - flow.second_pixel) / flow.unit


def _moved(state: _PanState, focal_step: float, k1_step: float, turns: Array) -> _PanState:
    rotation = state.rotation @ matrix_from_axis_angle(turns)
    return _PanState(rotation, state.focal * float(np.exp(focal_step)), float(np.clip(state.k1 + k1_step, -0.5, 0.5)))


def _normal_equations(flow: Flow, state: _PanState, centre: Array, fixed_focal: bool) -> tuple[Array, Array, float]:
    """Cauchy-weighted normal matrix, gradient and cost in (log focal, k1, turns of all key frames but the first)."""
    count = len(state.rotation)
    residual = _pan_residuals(flow, state, centre)
    squared = np.sum((residual / _PAN_SIGMA) ** 2, axis=1)
    weight = 1.0 / (1.0 + squared) / _PAN_SIGMA**2
    none = np.zeros((count, 3))
    step = 1e-6
    lens = np.stack(
        [
            (_pan_residuals(flow, _moved(state, step, 0.0, none), centre) - residual) / step * (not fixed_focal),
            (_pan_residuals(flow, _moved(state, 0.0, step, none), centre) - residual) / step,
        ],
        axis=-1,
    )
    # A turn of every camera at once moves each corner through its first and its second view: the two are separated.
    first, second = np.empty((*residual.shape, 3)), np.empty((*residual.shape, 3))
    for axis in range(3):
        turn = matrix_from_axis_angle(np.eye(3)[axis] * step)
        for rows, target in ((flow.first, first), (flow.second, second)):
            target[..., axis] = (_turned(flow, state, centre, rows is flow.first, turn) - residual) / step
    size = 2 + 3 * count
    normal, gradient = np.zeros((size, size)), np.zeros(size)
    columns = np.concatenate(
        [
            np.tile([0, 1], (len(residual), 1)),
            2 + 3 * flow.first[:, None] + np.arange(3),
            2 + 3 * flow.second[:, None] + np.arange(3),
        ],
        axis=1,
    )
    jacobian = np.concatenate([lens, first, second], axis=2)
    blocks = np.einsum("n,nai,naj->nij", weight, jacobian, jacobian)
    np.add.at(normal, (columns[:, :, None], columns[:, None, :]), blocks)
    np.add.at(gradient, columns, np.einsum("n,nai,na->ni", weight, jacobian, residual))
    free = np.r_[0:2, 5:size]
    return normal[np.ix_(free, free)], gradient[free], float(np.log1p(squared).sum())


def _turned(flow: Flow, state: _PanState, centre: Array, in_first: bool, turn: Array) -> Array:
    """Residuals with the camera of the first (or second) view of every corner turned."""
    lens = np.array([state.focal, state.focal, *centre])
    distortion = np.array([state.k1, 0.0, 0.0, 0.0, 0.0])
    rays = unproject(flow.first_pixel, lens, distortion)
    first, second = state.rotation[flow.first], state.rotation[flow.second]
    first, second = (first @ turn, second) if in_first else (first, second @ turn)
    local = np.einsum("nji,nj->ni", second, np.einsum("nij,nj->ni", first, rays))
    return (project(local, lens, distortion) - flow.second_pixel) / flow.unit


def _thinned(flow: Flow) -> Flow:
    generator = np.random.default_rng(0)
    chosen = np.sort(generator.choice(len(flow.first), min(len(flow.first), _MOST_PAIRS), replace=False))
    return Flow(flow.first[chosen], flow.second[chosen], flow.first_pixel[chosen], flow.second_pixel[chosen], flow.unit)


def solve_pan(flow: Flow, count: int, size: tuple[int, int], focal: float | None) -> Pan:
    """Rotations of all key frames, focal length (kept where it is given) and k1 from the flow.

    Levenberg-Marquardt with Cauchy weights from several focal lengths; the best is kept.
    """
    centre = np.array([size[0] / 2.0, size[1] / 2.0])
    few = _thinned(flow)
    best: tuple[float, _PanState] | None = None
    for guess in [focal] if focal is not None else [factor * max(size) for factor in _FOCAL_GUESSES]:
        rotation = _chained_rotations(flow, count, np.array([guess, guess, *centre]))
        state = _solve_from(few, _PanState(rotation, guess, 0.0), centre, focal is not None, _FIRST_PAN_STEPS)
        error = float(np.median(_pan_errors(few, state, centre)))
        if best is None or error < best[0]:
            best = error, state
        # So far off that no focal length will help.
        if best[0] > _HOPELESS_PX:
            break
    assert best is not None
    state = _solve_from(few, best[1], centre, focal is not None, _PAN_STEPS)
    errors = _pan_errors(few, state, centre)
    followed = few.second - few.first
    wide = float(np.median(errors[followed == followed.max()]))
    return Pan(
        state.rotation, state.focal, state.k1, float(np.median(errors)), float(np.percentile(errors, 75.0)), wide
    )


def _pan_errors(flow: Flow, state: _PanState, centre: Array) -> Array:
    """Distances (N,) px at 480 px width."""
    return np.asarray(np.linalg.norm(_pan_residuals(flow, state, centre), axis=1))


def _chained_rotations(flow: Flow, count: int, intrinsics: Array) -> Array:
    rotation = np.tile(np.eye(3), (count, 1, 1))
    for row in range(1, count):
        pair = (flow.first == row - 1) & (flow.second == row)
        step = np.eye(3)
        if pair.sum() >= 8:
            rays = (_unit_rays(pixel[pair], intrinsics, 0.0) for pixel in (flow.first_pixel, flow.second_pixel))
            step = _relative_rotation(*rays)
        rotation[row] = rotation[row - 1] @ step
    return rotation


def _solve_from(flow: Flow, state: _PanState, centre: Array, fixed_focal: bool, steps: int) -> _PanState:
    count = len(state.rotation)
    damping = 1e-3
    normal, gradient, cost = _normal_equations(flow, state, centre, fixed_focal)
    for _ in range(steps):
        # The lens of a short pan is held near a plain one.
        lens_prior = np.zeros(len(gradient))
        lens_prior[1] = 1.0 / _K1_SPREAD**2
        pull = lens_prior * np.r_[0.0, state.k1, np.zeros(len(gradient) - 2)]
        scaled = normal + np.diag(lens_prior + damping * np.diag(normal) + 1e-9)
        step = -np.linalg.solve(scaled, gradient + pull)
        step[0] = np.clip(step[0], -0.3, 0.3)
        turns = np.concatenate([np.zeros((1, 3)), step[2:].reshape(count - 1, 3)])
        tried = _moved(state, float(step[0]), float(step[1]), turns)
        equations = _normal_equations(flow, tried, centre, fixed_focal)
        if equations[2] < cost:
            small = cost - equations[2] < 1e-7 * cost
            state, (normal, gradient, cost) = tried, equations
            damping = max(damping / 5.0, 1e-9)
            if small:
                break
        else:
            damping *= 5.0
            if damping > 1e4:
                break
    return state


def explains(pan: Pan) -> bool:
    """Whether rotations alone explain the movement."""
    return pan.upper_error < _PAN_UPPER_PX and pan.wide_error < _PAN_WIDE_PX


def might_explain(pan: Pan) -> bool:
    """Whether rotations come near enough to serve where structure from motion finds no parallax."""
    return pan.error < _PAN_UPPER_PX


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
        intrinsics=np.tile(intrinsics, (len(keyframe), 1)),
        distortion=distortion,
        points=points,
        error=np.zeros(0),
        observation_keyframe=np.concatenate([flow.first[start], flow.second]).astype(np.int32),
        observation_point=np.concatenate([np.arange(len(points)), row_of_corner.ravel()]).astype(np.int32),
        observation_pixel=np.concatenate([flow.first_pixel[start], flow.second_pixel]).astype(np.float32),
    )
