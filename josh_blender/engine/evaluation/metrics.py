"""The figures of merit, each a function of arrays (docs/evaluation.md defines them in words).

Distances go in as metres and come out as the unit that the docstring names. T frames, J joints, N points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...scene4d.rotations import nearest_rotation
from ..similarity import Similarity, align

Array = NDArray[Any]

SEGMENT = 100
SHORTEST_TAIL = 10
#: A foot stands while the truth moves it slower than this, m/s.
STANDING_SPEED = 0.3
FLOATING_M = 0.2
#: How far along a camera's axes the points lie that take part in laying cameras on each other.
_LEVER_M = 0.05


def segments(count: int) -> list[slice]:
    """Stretches of 100 frames; a tail shorter than 10 joins the one before."""
    starts = list(range(0, count, SEGMENT))
    if len(starts) > 1 and count - starts[-1] < SHORTEST_TAIL:
        starts.pop()
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], count], strict=True)]


def _distance(a: Array, b: Array) -> Array:
    return np.asarray(np.linalg.norm(a - b, axis=-1))


def wa_mpjpe(joints: Array, truth: Array) -> Array:
    """Per-joint errors (T,J) mm, each 100 frames aligned as a whole by one similarity."""
    parts = []
    for part in segments(len(joints)):
        fit = align(joints[part], truth[part], with_scale=True)
        parts.append(_distance(fit.apply(joints[part]), truth[part]))
    return 1000.0 * np.concatenate(parts)


def w_mpjpe(joints: Array, truth: Array) -> Array:
    """Per-joint errors (T,J) mm, each 100 frames aligned by a similarity of their first two frames."""
    parts = []
    for part in segments(len(joints)):
        fit = align(joints[part][:2], truth[part][:2], with_scale=True)
        parts.append(_distance(fit.apply(joints[part]), truth[part]))
    return 1000.0 * np.concatenate(parts)


def pa_mpjpe(joints: Array, truth: Array) -> Array:
    """Errors (T,J) mm after a similarity per frame."""
    return 1000.0 * np.stack(
        [_distance(align(a, b, with_scale=True).apply(a), b) for a, b in zip(joints, truth, strict=True)]
    )


def mpjpe(joints: Array, truth: Array) -> Array:
    """Errors (T,J) mm with the pelves (joint 0) laid on each other; both in camera axes."""
    return 1000.0 * _distance(joints - joints[:, :1], truth - truth[:, :1])


def root_translation_error(root: Array, truth: Array) -> float:
    """Percent: mean distance of root paths (T,3) after rigid alignment, over the length of the true path."""
    length = float(_distance(truth[1:], truth[:-1]).sum())
    if length < 1e-6:
        return float("nan")
    return 100.0 * float(_distance(align(root, truth, with_scale=False).apply(root), truth).mean()) / length


def jitter(joints: Array, fps: float) -> float:
    """Mean third difference of joints (T,J,3) in 10 m/s^3."""
    if len(joints) < 4:
        return float("nan")
    return float(np.linalg.norm(np.diff(joints, n=3, axis=0), axis=-1).mean() * fps**3 / 10.0)


def foot_sliding(feet: Array, truth: Array, time: Array) -> Array:
    """Speeds (M,) in mm per 1/30 s of feet (T,4,3) over the intervals in which the truth stands."""
    span = np.diff(time)[:, None]
    standing = _distance(truth[1:], truth[:-1]) / span < STANDING_SPEED
    speed = _distance(feet[1:], feet[:-1]) / span
    return np.asarray(speed[standing] * 1000.0 / 30.0)


@dataclass(frozen=True)
class TrajectoryError:
    """ATE: RMSE in m of camera centres after rigid alignment, and with scale; path: length of the true path, m;
    scale: of the similarity that takes estimated centres to true ones; spread: RMS distance of true centres from their
    mean, m."""

    rmse: float
    rmse_scaled: float
    path: float
    scale: float
    spread: float
    alignment: Similarity


def trajectory_error(centres: Array, truth: Array, orientation: Array, true_orientation: Array) -> TrajectoryError:
    """Camera centres (F,3) against true ones, with world-from-camera rotations (F,3,3) of both.

    Centres on a line leave the turn about it open, and centres in one place all turns: the orientations fix what these
    do not, and count next to nothing where the centres spread.
    """
    spread = float(np.sqrt(((truth - truth.mean(0)) ** 2).sum(-1).mean()))
    rigid = _align_cameras(centres, truth, orientation, true_orientation)
    scaled = align(centres, truth, with_scale=True)

    def rmse(fit: Similarity) -> float:
        return float(np.sqrt((_distance(fit.apply(centres), truth) ** 2).mean()))

    path = float(_distance(truth[1:], truth[:-1]).sum())
    return TrajectoryError(rmse(rigid), rmse(scaled), path, scaled.scale, spread, rigid)


def _align_cameras(centres: Array, truth: Array, orientation: Array, true_orientation: Array) -> Similarity:
    """Wahba's problem (1965) over the centres about their means and, as points `_LEVER_M` along them, the axes."""
    pairs = (truth - truth.mean(0)).T @ (centres - centres.mean(0)) / len(truth)
    pairs += _LEVER_M**2 * (true_orientation @ np.swapaxes(orientation, 1, 2)).mean(0)
    rotation = nearest_rotation(pairs)
    return Similarity(1.0, rotation, truth.mean(0) - rotation @ centres.mean(0))


def rotation_error(orientation: Array, truth: Array) -> float:
    """Degrees: mean angle between world-from-camera rotations (F,3,3) and true ones after the one turn of the world
    that takes them nearest to these (chordal mean)."""
    turned = nearest_rotation((truth @ np.swapaxes(orientation, 1, 2)).mean(0)) @ orientation
    # Of the chord, not of the cosine: that has no digits left for small angles.
    chord = np.linalg.norm(turned - truth, axis=(1, 2)) / np.sqrt(8.0)
    return float(np.degrees(2.0 * np.arcsin(np.minimum(chord, 1.0))).mean())


def scale_error(scale: float) -> float:
    """|ln s|, in percent."""
    return 100.0 * abs(float(np.log(scale)))


def voxel_filter(points: Array, size: float) -> Array:
    """Mean (M,3) of the points (N,3) in each cube of that size."""
    if not len(points):
        return points
    cell = np.floor(points / size).astype(np.int64)
    _, member, count = np.unique(cell, axis=0, return_inverse=True, return_counts=True)
    member = member.reshape(-1)
    return np.stack([np.bincount(member, points[:, axis]) / count for axis in range(3)], 1)


def chamfer(points: Array, truth: Array, seen: Array, voxel: float) -> tuple[float, float]:
    """(accuracy, completeness) m: mean distance of the estimate (N,3) to the nearest true point (M,3), and of the true
    points that were ``seen`` (M,) to the estimate."""
    a, b, visible = voxel_filter(points, voxel), voxel_filter(truth, voxel), voxel_filter(truth[seen], voxel)
    if not len(a) or not len(visible):
        return float("nan"), float("nan")
    return float(cKDTree(b).query(a)[0].mean()), float(cKDTree(a).query(visible)[0].mean())


def foot_floating(feet: Array, scene: Array) -> float:
    """Share of frames whose lowest foot vertex (of feet (T,4,3), Z up) is more than 0.2 m from the scene (N,3)."""
    if not len(scene):
        return float("nan")
    lowest = np.take_along_axis(feet, feet[..., 2].argmin(1)[:, None, None], axis=1)[:, 0]
    return float((cKDTree(scene).query(lowest)[0] > FLOATING_M).mean())


@dataclass(frozen=True)
class ContactFigures:
    """Precision, recall and F1 of one region; NaN where undefined."""

    precision: float
    recall: float
    f1: float


def contact_figures(estimate: Array, truth: Array) -> ContactFigures:
    """Of boolean labels (N,)."""
    hit = float((estimate & truth).sum())

    def share(total: float) -> float:
        return hit / total if total else float("nan")

    sizes = float(estimate.sum()), float(truth.sum())
    f1 = 2.0 * hit / sum(sizes) if sum(sizes) else float("nan")
    return ContactFigures(share(sizes[0]), share(sizes[1]), f1)


@dataclass(frozen=True)
class DepthFigures:
    """Absolute relative error, RMSE in m, share within a factor of 1.25, median true / estimated."""

    abs_rel: float
    rmse: float
    delta: float
    ratio: float


def depth_figures(depth: Array, truth: Array) -> DepthFigures:
    """Of positive depths (N,) m at the same pixels."""
    if not len(depth):
        return DepthFigures(*[float("nan")] * 4)
    factor = np.maximum(depth / truth, truth / depth)
    return DepthFigures(
        float((np.abs(depth - truth) / truth).mean()),
        float(np.sqrt(((depth - truth) ** 2).mean())),
        float((factor < 1.25).mean()),
        float(np.median(truth / depth)),
    )
