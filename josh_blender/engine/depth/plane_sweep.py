"""Depth of one picture from its neighbours: a sweep of fronto-parallel planes, matched by normalised correlation and
smoothed by semi-global matching (Hirschmüller 2008, four directions).

OpenCV warps and filters: on a CPU this is several times faster than the same with tensors, and takes a few dozen MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import invert_rigid, opencv_matrix

Array = NDArray[Any]

#: Side of the correlation window, px.
_WINDOW = 7
#: Grey levels: pictures flatter than this inside the window cannot be matched.
_FLAT = 1.5
#: Distance in px between the images of neighbouring planes.
_PLANE_STEP_PX = 1.0
_FEWEST_PLANES, _MOST_PLANES = 32, 64
#: Penalties of semi-global matching for a change of one plane and of more, in units of the matching cost.
_SMALL_CHANGE, _LARGE_CHANGE = 0.12, 0.7
#: Grey levels per halving of the large penalty at an edge of the picture.
_EDGE = 12.0
#: Matching cost where a plane lies outside every source picture: neither for nor against.
_UNSEEN = 0.7


@dataclass(frozen=True)
class View:
    """An undistorted grey picture (h,w) uint8, its pinhole intrinsics (4,) and its world_from_camera (4,4)."""

    picture: Array
    intrinsics: Array
    world_from_camera: Array


@dataclass(frozen=True)
class RawDepth:
    """depth (h,w) along z in scene units, 0 = none; correlation (h,w) -1..1 at that depth; flat (h,w) bool: too smooth
    to be matched."""

    depth: Array
    correlation: Array
    flat: Array


def plane_homography(reference: View, source: View, plane: Array) -> Array:
    """Homography (3,3) in OpenCV's pixels from the reference to the source picture, by way of a plane (4,)
    n.x + d = 0 in the reference camera's axes."""
    source_from_reference = invert_rigid(source.world_from_camera) @ reference.world_from_camera
    rotation, shift = source_from_reference[:3, :3], source_from_reference[:3, 3]
    # On the plane 1 = -n.x / d.
    middle = rotation - np.outer(shift, plane[:3]) / plane[3]
    return opencv_matrix(source.intrinsics) @ middle @ np.linalg.inv(opencv_matrix(reference.intrinsics))


def _mean(picture: Array) -> Array:
    return cv2.boxFilter(picture, cv2.CV_32F, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT)


class Correlator:
    """Windowed correlation of a reference picture with source pictures warped onto it."""

    def __init__(self, reference: View) -> None:
        self.reference = reference
        self._picture = reference.picture.astype(np.float32)
        self._mean = _mean(self._picture)
        self._variance = np.maximum(_mean(self._picture**2) - self._mean**2, 0.0)
        self.flat = self._variance < _FLAT**2
        self._everywhere = np.ones(reference.picture.shape, np.uint8)

    def correlate(self, source: View, source_picture: Array, homography: Array) -> Array:
        """Correlation (h,w) float32, neutral where the plane is outside the source; ``source_picture`` float32."""
        height, width = self._picture.shape
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpPerspective(
            source_picture, homography, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=-1e4
        )
        outside = warped < 0.0
        warped[outside] = 0.0
        mean = _mean(warped)
        variance = np.maximum(_mean(warped * warped) - mean * mean, 0.0)
        covariance = _mean(self._picture * warped) - self._mean * mean
        noise = np.float32(_FLAT**2)
        result = covariance / np.sqrt((self._variance + noise) * (variance + noise))
        if outside.any():
            result[cv2.dilate(outside.view(np.uint8), np.ones((_WINDOW, _WINDOW), np.uint8)) > 0] = 1.0 - _UNSEEN
        return result


def inverse_depths(reference: View, sources: list[View], nearest: float, farthest: float) -> Array:
    """Inverse depths (D,) of the planes, evenly spaced, farthest first; ``nearest`` and ``farthest`` in scene units."""
    steepest = 0.0
    for source in sources:
        shift = (invert_rigid(source.world_from_camera) @ reference.world_from_camera)[:3, 3]
        centre = source.intrinsics[2:]
        # Change of the image place with inverse depth: f * (t_xy - x * t_z) at the picture's border.
        reach = np.abs(shift[:2]) * source.intrinsics[:2] + np.abs(shift[2]) * centre
        steepest = max(steepest, float(reach.max()))
    span = 1.0 / nearest - 1.0 / farthest
    count = int(np.clip(np.ceil(span * steepest / _PLANE_STEP_PX), _FEWEST_PLANES, _MOST_PLANES))
    return np.linspace(1.0 / farthest, 1.0 / nearest, count)


def _aggregate_lines(cost: Array, edge_penalty: Array, total: Array) -> None:
    """Add one direction of semi-global matching to ``total``; lines (L,N,D) run along the first axis."""
    previous = cost[0].copy()
    total[0] += previous
    candidate = np.empty_like(previous)
    for row in range(1, len(cost)):
        lowest = previous.min(axis=1, keepdims=True)
        np.minimum(previous, lowest + edge_penalty[row][:, None], out=candidate)
        np.minimum(candidate[:, 1:], previous[:, :-1] + _SMALL_CHANGE, out=candidate[:, 1:])
        np.minimum(candidate[:, :-1], previous[:, 1:] + _SMALL_CHANGE, out=candidate[:, :-1])
        candidate -= lowest
        candidate += cost[row]
        total[row] += candidate
        previous, candidate = candidate, previous


def semi_global(cost: Array, picture: Array) -> Array:
    """Sum over four directions (h,w,D) of the smoothed matching cost (h,w,D); grey picture (h,w) softens at edges."""
    grey = picture.astype(np.float32)
    total = np.zeros_like(cost)
    for axis in (0, 1):
        lines = np.ascontiguousarray(cost.swapaxes(0, axis)) if axis else cost
        summed = np.zeros_like(lines) if axis else total
        step = np.abs(np.diff(grey, axis=axis, prepend=np.take(grey, [0], axis=axis)))
        penalty = _SMALL_CHANGE + (_LARGE_CHANGE - _SMALL_CHANGE) / (1.0 + step.swapaxes(0, axis) / _EDGE)
        _aggregate_lines(lines, penalty, summed)
        # Backwards the step into row r is the one from row r + 1.
        backward = np.roll(penalty, -1, axis=0)
        _aggregate_lines(lines[::-1], backward[::-1], summed[::-1])
        if axis:
            total += summed.swapaxes(0, axis)
    return total


def _refine(total: Array, best: Array) -> Array:
    """Place (h,w) of the minimum between the planes, by a parabola through three values."""
    middle = np.clip(best, 1, total.shape[2] - 2)[..., None]
    left, centre, right = (np.take_along_axis(total, middle + offset, axis=2)[..., 0] for offset in (-1, 0, 1))
    bend = left - 2.0 * centre + right
    offset = np.where(bend > 1e-6, 0.5 * (left - right) / np.maximum(bend, 1e-6), 0.0)
    return np.where(middle[..., 0] == best, best + np.clip(offset, -0.5, 0.5), best)


def sweep(reference: View, sources: list[View], nearest: float, farthest: float) -> RawDepth:
    """Depth of the reference picture; ``nearest`` and ``farthest`` bound it, in scene units.

    Each pixel takes the two best of its sources, so that what one of them does not see does no harm.
    """
    planes = inverse_depths(reference, sources, nearest, farthest)
    correlator = Correlator(reference)
    height, width = reference.picture.shape
    pictures = [source.picture.astype(np.float32) for source in sources]
    cost = np.empty((height, width, len(planes)), np.float32)
    for number, inverse in enumerate(planes):
        plane = np.array([0.0, 0.0, -1.0, 1.0 / inverse])
        lowest, second = np.full((2, height, width), np.float32(2.0))
        for source, picture in zip(sources, pictures, strict=True):
            match = 1.0 - correlator.correlate(source, picture, plane_homography(reference, source, plane))
            second = cv2.min(second, cv2.max(lowest, match))
            lowest = cv2.min(lowest, match)
        cost[:, :, number] = lowest if len(sources) == 1 else 0.5 * (lowest + second)
    total = semi_global(cost, reference.picture)
    best = total.argmin(axis=2)
    correlation = 1.0 - np.take_along_axis(cost, best[..., None], axis=2)[..., 0]
    place = _refine(total, best)
    inverse_depth = planes[0] + place * (planes[1] - planes[0])
    depth = (1.0 / inverse_depth).astype(np.float32)
    # The first and last planes gather whatever lies beyond them.
    depth[(best == 0) | (best == len(planes) - 1)] = 0.0
    return RawDepth(depth, correlation.astype(np.float32), correlator.flat)
