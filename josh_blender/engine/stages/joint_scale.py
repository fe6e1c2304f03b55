"""The scale before anything is optimised: votes of feet on the place, and what is left where there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results import SceneResult
from ..solver.body_points import pose
from ..solver.figures import Figure
from ..solver.scale import ScaleEstimate, Votes, combine_votes, smooth_motion_scale, standing_scale
from ..solver.touches import (
    Place,
    Touches,
    foot_touches,
    lower_foot_touches,
    stands,
    support_of,
    touch_votes,
)

Array = NDArray[Any]

_SCALE_ROUNDS = 3
#: Scales tried around the first votes (logarithms); a sole within so many metres of a surface stands on it; another
#: scale must let so many times as many soles stand.
_TRIED = np.linspace(-0.6, 0.6, 31)
_STANDS_M = 0.06
_CLEARLY = 1.2
#: Of how many touches of all people, and at least of each, this is asked, and where rays meet the place.
_ASKED, _LEAST_ASKED = 60, 10


@dataclass(frozen=True)
class StartScale:
    """Where the solve begins, and what is known about it. ``lower_feet``: it assumed that the lower foot stands."""

    log_scale: float
    sigma: float
    source: str
    votes: dict[str, Any]
    warnings: list[str]
    lower_feet: bool


def poses_of(scene: SceneResult) -> tuple[Array, Array]:
    """Rotations (F,3,3) and centres (F,3) of all cameras, world from camera in scene units."""
    matrix = np.asarray(scene.world_from_camera, np.float64)
    return matrix[:, :3, :3], matrix[:, :3, 3]


def _vote(
    scene: SceneResult,
    figures: list[Figure],
    touches: list[Touches],
    place: Place,
) -> ScaleEstimate | None:
    """Votes on what the rays through the soles meet; then, with the scale known, on what lies under each foot."""
    rotation, centre = poses_of(scene)
    estimate: ScaleEstimate | None = None
    scale: float | None = None
    some = [touch.thinned(max(_ASKED // len(touches), _LEAST_ASKED)) for touch in touches]
    for number in range(_SCALE_ROUNDS):
        values, weights, owners = [], [], []
        last = number + 1 == _SCALE_ROUNDS or not place.clouds
        for figure, touch in zip(figures, touches if last else some, strict=True):
            support = support_of(figure, touch, rotation, centre, scale, place)
            value, weight = touch_votes(figure, touch, support, rotation, centre)
            values.append(value)
            weights.append(weight)
            owners.append(np.full(len(value), figure.fit.track_id))
        votes = Votes(np.concatenate(values), np.concatenate(weights), np.concatenate(owners))
        found = combine_votes(votes) if len(votes.log_scale) else None
        if found is None:
            return estimate
        estimate = found
        if last:
            break
        if scale is None:
            scale = where_most_stand(scene, figures, some, place, float(np.exp(estimate.log_scale)))
        else:
            scale = float(np.exp(estimate.log_scale))
    return estimate


def where_most_stand(
    scene: SceneResult, figures: list[Figure], touches: list[Touches], place: Place, scale: float
) -> float:
    """``scale``, or another near it at which clearly more soles are on some surface of the place.

    On a flat ground the rays agree. On stairs a ray may meet the steps before or behind the foot, or the ground below
    them, each at another scale; only the true one puts every foot on a surface.
    """
    rotation, centre = poses_of(scene)

    def standing(tried: float) -> float:
        total = 0.0
        for figure, touch in zip(figures, touches, strict=True):
            support = support_of(figure, touch, rotation, centre, tried, place)
            index = figure.fit.index[touch.frame]
            sole = centre[index] + np.einsum("nij,nj->ni", rotation[index], touch.point) / tried
            gap = np.einsum("ni,ni->n", sole - support.point, support.normal) * tried
            share = np.clip(1.0 - (gap / _STANDS_M) ** 2, 0.0, None)
            total += float((touch.weight * support.weight * share).sum())
        return total

    now = standing(scale)
    # Nothing can be clearly better where nearly everybody stands already.
    if _CLEARLY * now >= sum(float(touch.weight.sum()) for touch in touches):
        return scale
    scales = scale * np.exp(_TRIED)
    counts = np.array([standing(tried) for tried in scales])
    best = int(np.argmax(counts))
    return float(scales[best]) if counts[best] > _CLEARLY * now else scale


def start_scale(scene: SceneResult, voting: list[Figure], place: Place, height_known: bool) -> StartScale:
    """The scale in closed form: contacts, else the lower foot on the ground, else smooth motion, else as it is."""
    source = "height" if height_known else "population"
    if scene.metric:
        return StartScale(0.0, 0.0, "camera", {}, [], False)
    if not voting:
        warning = "Nobody could be measured: the size of the scene is unknown and left as it came."
        return StartScale(0.0, 1.0, "none", {}, [warning], False)
    rotation, _ = poses_of(scene)
    touches = [foot_touches(figure, figure.body) for figure in voting]
    found = _vote(scene, voting, touches, place)
    if found is not None:
        return StartScale(found.log_scale, found.sigma, source, _describe(found), [], False)
    lower = [lower_foot_touches(figure, figure.body, place.up @ rotation[figure.fit.index]) for figure in voting]
    found = _vote(scene, voting, lower, place)
    if found is not None:
        warning = "No foot was seen to stand: the scale assumes that the lower foot is on the ground."
        return StartScale(found.log_scale, max(found.sigma, 0.05), "ground", _describe(found), [warning], True)
    still = _stand_still(scene, voting, touches)
    answers = [still] if still is not None else _smooth_motion(scene, voting)
    if answers:
        value, sigma = min(answers, key=lambda pair: pair[1])
        warning = "Nobody stands on visible ground: the scale comes from people's motion and is uncertain."
        return StartScale(value, max(sigma, 0.05), "motion", {"people": len(answers)}, [warning], False)
    warning = "Nothing ties the people to the place: the size of the scene is unknown."
    return StartScale(0.0, 1.0, "none", {}, [warning], False)


def _stand_still(scene: SceneResult, voting: list[Figure], touches: list[Touches]) -> tuple[float, float] | None:
    """(log scale, sigma) at which standing feet stay where they are."""
    rotation, centre = poses_of(scene)
    soles, frames, numbered = [], [], []
    last = 0
    for figure, touch in zip(voting, touches, strict=True):
        if not len(touch.frame):
            continue
        numbers = stands(touch) + last
        last = int(numbers.max())
        soles.append(touch.point)
        frames.append(figure.fit.index[touch.frame])
        numbered.append(numbers)
    if not soles:
        return None
    frame = np.concatenate(frames)
    return standing_scale(np.concatenate(soles), rotation[frame], centre[frame], np.concatenate(numbered))


def _smooth_motion(scene: SceneResult, voting: list[Figure]) -> list[tuple[float, float]]:
    """Per person (log scale, sigma) at which they move most smoothly; those who say nothing are left out."""
    rotation, centre = poses_of(scene)
    answers = []
    for figure in voting:
        pelvis = pose(figure.points, figure.body.rotation, figure.body.trans, figure.body.betas).joints[:, 0].numpy()
        index = figure.fit.index
        answer = smooth_motion_scale(pelvis, rotation[index], centre[index], figure.time, 1.0)
        if answer is not None:
            answers.append(answer)
    return answers


def _describe(estimate: ScaleEstimate) -> dict[str, Any]:
    return {
        "scale": float(np.exp(estimate.log_scale)),
        "sigma": estimate.sigma,
        "votes": estimate.votes,
        "per_person": {str(person): float(np.exp(value)) for person, value in estimate.per_person.items()},
    }
