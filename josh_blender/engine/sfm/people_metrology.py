"""Focal length, tilt and height of a camera that does not travel, from the people who walk in front of it.

Single-view metrology: an upright person of known height stands on a plane; how the height in the picture changes with
the place of the feet gives the plane, and how the body's axis leans gives the focal length as far as the view allows it
(Lv, Zhao and Nevatia 2006 use vanishing points; here all people and frames are one robust least-squares problem). Where
the view says little, a prior on the focal length decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ...scene4d.camera import project, unproject
from ...scene4d.rotations import matrix_from_axis_angle
from ..results import PeopleResult, Track

Array = NDArray[Any]

#: Stature in metres that people are taken to have, and its spread.
STATURE = 1.71
_STATURE_SPREAD = 0.06
#: MediaPipe's points, and their heights as shares of the stature while walking.
_FEET, _SHOULDERS, _EARS, _HIPS = [29, 30, 31, 32], [11, 12], [7, 8], [23, 24]
_FEET_HEIGHT, _SHOULDER_HEIGHT, _EAR_HEIGHT = 0.025, 0.80, 0.915
_VISIBLE = 0.6
#: Error of the model, as a share of the person's height in the picture: people bob and lean.
_SPREAD = 0.025
#: Focal length as a share of the picture's longer side (35 mm on full frame) and its spread in natural logarithm.
_FOCAL_SHARE, _FOCAL_SPREAD = 1.0, 0.25
#: Radians: cameras are held level sideways; up and down they may look.
_ROLL_SPREAD, _PITCH_SPREAD = 0.03, 0.35
_HEIGHT_PRIOR, _HEIGHT_SPREAD = 1.6, 0.8
_MOST_SIGHTINGS = 400
_LEAST_SIGHTINGS = 5


@dataclass(frozen=True)
class Sightings:
    """People seen upright and whole: index (N,) frame; person (N,) number of the track; feet, shoulders, ears (N,2) px
    of the plate; size (N,) px from feet to ears."""

    index: Array
    person: Array
    feet: Array
    shoulders: Array
    ears: Array
    size: Array


@dataclass(frozen=True)
class Metrology:
    """focal px; ground (4,) n.x + d = 0 in the world of the rotations, metres for people of the assumed stature; error:
    median residual as a share of the person's height; focal_sigma: relative standard deviation; farthest: distance in
    metres of the farthest feet."""

    focal: float
    ground: Array
    error: float
    focal_sigma: float
    farthest: float


def _upright(track: Track) -> Array:
    marks, visible = track.landmarks, track.visibility
    shoulder, hip, foot = (marks[:, points, 1].mean(axis=1) for points in (_SHOULDERS, _HIPS, _FEET))
    whole = visible[:, [*_FEET, *_SHOULDERS]].min(axis=1) > _VISIBLE
    height = foot - shoulder
    # A seated or crouching person's hips are near the feet.
    share = (foot - hip) / np.maximum(height, 1.0)
    return track.detected & whole & (height > 20.0) & (share > 0.52) & (share < 0.78) & (track.overlap < 0.3)


def gather_sightings(people: PeopleResult, size: tuple[int, int]) -> Sightings:
    """Upright people of reliable tracks; of all tracks where none is reliable. Evenly thinned."""
    trusted = [track for track in people.tracks if track.reliable] or people.tracks
    parts = []
    for number, track in enumerate(trusted):
        marks = track.landmarks.astype(np.float64)
        inside = marks[:, _FEET, 1].max(axis=1) < size[1] - 2.0
        rows = np.flatnonzero(_upright(track) & inside)
        feet, shoulders, ears = (marks[rows][:, points].mean(axis=1) for points in (_FEET, _SHOULDERS, _EARS))
        parts.append((np.asarray(track.index)[rows], np.full(len(rows), number), feet, shoulders, ears))
    if not parts:
        none = np.zeros((0, 2))
        return Sightings(np.zeros(0, int), np.zeros(0, int), none, none, none, np.zeros(0))
    index, person, feet, shoulders, ears = (np.concatenate([part[item] for part in parts]) for item in range(5))
    kept = np.unique(np.linspace(0, max(len(index) - 1, 0), min(len(index), _MOST_SIGHTINGS)).round().astype(int))
    index, person, feet, shoulders, ears = (value[kept] for value in (index, person, feet, shoulders, ears))
    return Sightings(index, person, feet, shoulders, ears, np.linalg.norm(ears - feet, axis=1))


def _up(pitch: float, roll: float) -> Array:
    """World up in the axes of a camera that looks down by ``pitch`` and leans right by ``roll`` (radians)."""
    return matrix_from_axis_angle([0.0, 0.0, roll]) @ matrix_from_axis_angle([pitch, 0.0, 0.0]) @ [0.0, -1.0, 0.0]


def solve_metrology(
    sightings: Sightings,
    rotation: Array,
    size: tuple[int, int],
    distortion: Array,
    focal: float | None,
) -> Metrology | None:
    """Focal length (kept where given) and ground of a camera with world_from_camera rotations (F,3,3) and no travel.

    size: (width, height) of the plate. None where too few upright people are seen.
    """
    count = len(sightings.index)
    if count < _LEAST_SIGHTINGS:
        return None
    persons = int(sightings.person.max()) + 1
    turns = rotation[sightings.index]
    # The prior of pitch and roll belongs to the middle of the clip's cameras.
    middle = turns[count // 2]
    centre = np.array([size[0] / 2.0, size[1] / 2.0])
    usual = _FOCAL_SHARE * max(size)

    def unpack(state: Array) -> tuple[Array, Array, float, Array]:
        length = focal if focal is not None else usual * float(np.exp(state[0]))
        up = middle @ _up(state[1], state[2])
        return np.array([length, length, *centre]), up, float(np.exp(state[3])), np.exp(state[4:])

    def places(state: Array) -> tuple[Array, Array, Array, Array]:
        lens, up, height, statures = unpack(state)
        local = unproject(sightings.feet, lens, distortion)
        rays = np.einsum("nij,nj->ni", turns, local)
        stature = STATURE * statures[sightings.person]
        falling = np.maximum(-rays @ up, 1e-3)
        feet = rays * ((height - _FEET_HEIGHT * stature) / falling)[:, None]
        return feet, stature, lens, up

    def residuals(state: Array) -> Array:
        feet, stature, lens, up = places(state)
        parts = []
        for level, seen in ((_SHOULDER_HEIGHT, sightings.shoulders), (_EAR_HEIGHT, sightings.ears)):
            point = feet + ((level - _FEET_HEIGHT) * stature)[:, None] * up
            local = np.einsum("nji,nj->ni", turns, point)
            parts.append((project(local, lens, distortion) - seen) / (_SPREAD * sightings.size)[:, None])
        data = np.concatenate(parts).ravel()
        # Neighbouring frames repeat one another's error: all of them count like a few dozen.
        data = (
            np.sign(data) * np.sqrt(2.0 * (np.sqrt(1.0 + 0.5 * data**2) - 1.0) * 2.0) * np.sqrt(40.0 / max(count, 40))
        )
        prior = [
            state[0] / _FOCAL_SPREAD,
            state[1] / _PITCH_SPREAD,
            state[2] / _ROLL_SPREAD,
            (np.exp(state[3]) - _HEIGHT_PRIOR) / _HEIGHT_SPREAD,
        ]
        return np.concatenate([data, prior, state[4:] / _STATURE_SPREAD])

    best: Any = None
    for pitch in (-0.1, 0.1, 0.35):
        start = np.concatenate([[0.0, pitch, 0.0, np.log(_HEIGHT_PRIOR)], np.zeros(persons)])
        solved = least_squares(residuals, start, max_nfev=60)
        if best is None or solved.cost < best.cost:
            best = solved
    feet, stature, lens, up = places(best.x)
    point = feet + ((_SHOULDER_HEIGHT - _FEET_HEIGHT) * stature)[:, None] * up
    seen = project(np.einsum("nji,nj->ni", turns, point), lens, distortion)
    error = float(np.median(np.linalg.norm(seen - sightings.shoulders, axis=1) / sightings.size))
    covariance = np.linalg.inv(best.jac.T @ best.jac + 1e-9 * np.eye(len(best.x)))
    sigma = 0.0 if focal is not None else float(np.sqrt(covariance[0, 0]))
    farthest = float(np.max(np.linalg.norm(feet, axis=1)))
    return Metrology(float(lens[0]), np.append(up, np.exp(best.x[3])), error, sigma, farthest)
