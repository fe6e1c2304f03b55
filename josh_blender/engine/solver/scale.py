"""The metric scale in closed form, before anything is optimised.

Along the camera ray through a sole the body says z metres and the surface under it lies at lambda scene units: their
ratio is one vote for the scale (metres per scene unit). With no contact: the lower foot of every frame stands on the
ground; else the scale that makes the pelvis move most smoothly in the world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Relative standard deviation of the distance to a plane met head on, and the slope error (rad) of a ray.
_DISTANCE_SIGMA = 0.02
_ANGLE_SIGMA = 0.006
#: Votes of one person on neighbouring frames err alike: about this many frames make one independent vote.
_CORRELATED_FRAMES = 15


@dataclass(frozen=True)
class Votes:
    """Logarithms (N,) of the scale, their weights (N,) and whose they are (N,)."""

    log_scale: Array
    weight: Array
    person: Array


@dataclass(frozen=True)
class ScaleEstimate:
    """log_scale, its standard deviation, per person the median vote, and how many votes there were."""

    log_scale: float
    sigma: float
    per_person: dict[int, float]
    votes: int


def ray_votes(sole: Array, rotation: Array, centre: Array, point: Array, normal: Array) -> tuple[Array, Array]:
    """log scale (N,) and weight (N,) of soles (N,3) in camera axes, m; cameras rotation (N,3,3) and centre (N,3), and
    planes through point (N,3) with normal (N,3), in scene units. Weight 0 where the ray never meets the plane."""
    ray = sole / np.maximum(sole[:, 2:], 1e-9)
    direction = np.einsum("nij,nj->ni", rotation, ray)
    slope = np.einsum("ni,ni->n", normal, direction)
    reach = np.einsum("ni,ni->n", normal, point - centre)
    meets = (sole[:, 2] > 0.05) & (reach / np.where(np.abs(slope) < 1e-9, 1e-9, slope) > 1e-6)
    distance = np.where(meets, reach / np.where(np.abs(slope) < 1e-9, 1e-9, slope), 1.0)
    grazing = np.abs(slope) / np.linalg.norm(direction, axis=-1)
    variance = _DISTANCE_SIGMA**2 + (_ANGLE_SIGMA / np.maximum(grazing, 1e-3)) ** 2
    log_scale = np.log(np.maximum(sole[:, 2], 1e-6) / distance)
    return log_scale, np.where(meets, _DISTANCE_SIGMA**2 / variance, 0.0)


def weighted_median(values: Array, weights: Array) -> float:
    """The value below and above which half of the weight lies (linear in between, so symmetric)."""
    order = np.argsort(values)
    value, weight = values[order], weights[order]
    position = np.cumsum(weight) - 0.5 * weight
    return float(np.interp(0.5 * weight.sum(), position, value))


def combine_votes(votes: Votes) -> ScaleEstimate | None:
    """Robust weighted median of all votes; None without votes.

    sigma: the larger of the votes' spread over their independent number and the disagreement between people.
    """
    good = votes.weight > 0.0
    if not good.any():
        return None
    value, weight, person = votes.log_scale[good], votes.weight[good], votes.person[good]
    middle = weighted_median(value, weight)
    per_person = {
        int(number): weighted_median(value[person == number], weight[person == number]) for number in np.unique(person)
    }
    spread = 1.4826 * weighted_median(np.abs(value - middle), weight)
    effective = weight.sum() ** 2 / (weight**2).sum()
    sigma = max(spread, _DISTANCE_SIGMA) / np.sqrt(max(effective / _CORRELATED_FRAMES, 1.0))
    if len(per_person) > 1:
        medians = np.array(list(per_person.values()))
        sigma = max(sigma, float(medians.std(ddof=1) / np.sqrt(len(medians))))
    return ScaleEstimate(middle, float(max(sigma, 0.002)), per_person, int(good.sum()))


def standing_scale(sole: Array, rotation: Array, centre: Array, stand: Array) -> tuple[float, float] | None:
    """(log scale, sigma) that keeps standing soles in one place; None where the camera moves too little for it.

    sole (N,3) in camera axes, m; rotation (N,3,3), centre (N,3) of its cameras in scene units; stand (N,) which stand
    each belongs to. s C + R x is the same for all of one stand, which is linear in s: s dC = -d(R x) about the means.
    """
    body = np.einsum("nij,nj->ni", rotation, sole)
    names, member = np.unique(stand, return_inverse=True)
    count = np.bincount(member, minlength=len(names))[:, None]

    def centred(values: Array) -> Array:
        mean = np.stack([np.bincount(member, values[:, axis], len(names)) for axis in range(3)], 1) / count
        return np.asarray(values - mean[member])

    body, camera = centred(body), centred(centre)
    weight = np.ones((len(body), 1))
    scale = power = 0.0
    for _ in range(10):
        power = float((weight * camera**2).sum())
        if power < 1e-9:
            return None
        scale = -float((weight * camera * body).sum()) / power
        residual = np.linalg.norm(scale * camera + body, axis=-1, keepdims=True)
        weight = 1.0 / (1.0 + (residual / (2.0 * np.median(residual) + 1e-9)) ** 2)
    if scale <= 0.0:
        return None
    variance = float((weight * (scale * camera + body) ** 2).sum()) / max(float(weight.sum()) - len(names), 1.0) / power
    sigma = float(np.sqrt(variance * _CORRELATED_FRAMES) / scale)
    return (float(np.log(scale)), sigma) if sigma < 0.5 else None


def smooth_motion_scale(
    pelvis: Array, rotation: Array, centre: Array, time: Array, start: float
) -> tuple[float, float] | None:
    """(log scale, sigma) that minimises the pelvis's acceleration in the world; None where the camera hardly moves.

    pelvis (T,3) in camera axes, m; rotation (T,3,3), centre (T,3) of the cameras in scene units; time (T,). The world
    path s C + R x is linear in s, so each robust round is one division.
    """
    if len(time) < 5:
        return None
    before, after = np.diff(time)[:-1, None], np.diff(time)[1:, None]
    mean = 0.5 * (before + after)

    def acceleration(path: Array) -> Array:
        step = np.diff(path, axis=0)
        return np.asarray((step[1:] / after - step[:-1] / before) / mean)

    body = acceleration(np.einsum("tij,tj->ti", rotation, pelvis))
    camera = acceleration(centre)
    scale = start
    weight = np.ones((len(body), 1))
    for _ in range(10):
        power = float((weight * camera**2).sum())
        if power < 1e-9:
            return None
        scale = -float((weight * camera * body).sum()) / power
        residual = np.linalg.norm(scale * camera + body, axis=-1, keepdims=True)
        weight = 1.0 / (1.0 + (residual / (np.median(residual) + 1e-9)) ** 2)
    if scale <= 0.0:
        return None
    residual = scale * camera + body
    # Second differences of noisy places are correlated: about three make one independent measurement.
    variance = 3.0 * float((weight * residual**2).sum() / weight.sum()) / power / 3.0
    sigma = float(np.sqrt(variance) / scale)
    return (float(np.log(scale)), sigma) if sigma < 0.5 else None
