"""From the motion of people between frames to the camera's path.

A body's pose in the world moves by what the network says, world_from_body(b) = world_from_body(a) M, and the body fit
says where it is in the camera, so the camera's own motion follows: camera_a_from_camera_b = camera_a_from_body M
body_from_camera_b. Everybody's answer is one opinion about the same camera. (The reference follows one person only and
turns it about the SMPL origin instead of the pelvis.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.body import BodyModel
from ...scene4d.camera import invert_rigid, rigid
from ...scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle, nearest_rotation
from ..results import PersonFit

Array = NDArray[Any]

#: Confidence of a body fit below which the person only speaks where nobody else does.
_LEAST_CONFIDENCE = 0.05


@dataclass(frozen=True)
class BodyPath:
    """A person in the camera. index (T,) contiguous frames; camera_from_body (T,4,4): the pelvis with the root's
    rotation, metres; weight (T,) how much the person is trusted."""

    index: Array
    camera_from_body: Array
    weight: Array

    def at(self, frame: int) -> int | None:
        """Row of a frame, None where the person is not there."""
        row = frame - int(self.index[0]) if len(self.index) else -1
        return row if 0 <= row < len(self.index) else None


def body_path(fit: PersonFit, model: BodyModel, trusted: bool) -> BodyPath:
    """The path of a body fit in the camera."""
    rotation = matrix_from_axis_angle(np.asarray(fit.poses, np.float64)[:, :3])
    pelvis = np.asarray(fit.trans, np.float64) + model.joints(fit.betas)[0]
    weight = np.maximum(np.asarray(fit.confidence, np.float64), 1e-3 * _LEAST_CONFIDENCE)
    return BodyPath(np.asarray(fit.index), rigid(rotation, pelvis), weight if trusted else _LEAST_CONFIDENCE * weight)


def share_of(motion: Array, share: float) -> Array:
    """The motion (4,4) as far as it has gone after ``share`` of its time: straight, and turning evenly."""
    turned = matrix_from_axis_angle(share * axis_angle_from_matrix(motion[:3, :3]))
    return rigid(turned, share * motion[:3, 3])


def mean_pose(poses: Sequence[Array], weights: Sequence[float]) -> Array:
    """Weighted mean of rigid motions (4,4): mean translation, chordal mean rotation."""
    share = np.asarray(weights, np.float64) / np.sum(weights)
    stacked = np.stack(list(poses))
    return rigid(nearest_rotation(np.einsum("n,nij->ij", share, stacked[:, :3, :3])), share @ stacked[:, :3, 3])


class Trajectory:
    """The camera's path, made longer by one pair of frames after the other. The first camera is the world.

    world_from_camera: (F,4,4) float64 metres; frames up to ``known`` are final. guessed: number of frames that no
    person and no other evidence placed.
    """

    def __init__(self, people: Mapping[int, BodyPath], time: Array) -> None:
        self._people, self._time = people, np.asarray(time, np.float64)
        self.world_from_camera: Array = np.tile(np.eye(4), (len(time), 1, 1))
        self.known = 0
        self.guessed = 0

    def advance(self, last: int, motions: Mapping[int, Array], otherwise: Array | None = None) -> None:
        """Go on to frame ``last``.

        Args:
            last: index of the pair's second frame; its first is the one that ended the pair before.
            motions: by person, the motion (4,4) of the body in its own axes from the pair's first frame to ``last``.
            otherwise: camera_first_from_camera_last (4,4), metres, for when nobody in ``motions`` was fitted.
        """
        first, start = self.known, self.world_from_camera[self.known]
        span = self._time[last] - self._time[first]
        for frame in range(first + 1, last + 1):
            share = float((self._time[frame] - self._time[first]) / span) if span > 0.0 else 1.0
            opinions, weights = self._opinions(first, frame, share, motions)
            if opinions:
                moved = mean_pose(opinions, weights)
            elif otherwise is not None:
                moved = share_of(otherwise, share)
            else:
                moved = np.eye(4)
                self.guessed += 1
            pose = start @ moved
            # Products of many rotations leave the rotations.
            pose[:3, :3] = nearest_rotation(pose[:3, :3])
            self.world_from_camera[frame] = pose
        self.known = last

    def _opinions(
        self, first: int, frame: int, share: float, motions: Mapping[int, Array]
    ) -> tuple[list[Array], list[float]]:
        opinions, weights = [], []
        for person, motion in motions.items():
            path = self._people.get(person)
            rows = (None, None) if path is None else (path.at(first), path.at(frame))
            if path is None or rows[0] is None or rows[1] is None:
                continue
            moved = path.camera_from_body[rows[0]] @ share_of(motion, share)
            opinions.append(moved @ invert_rigid(path.camera_from_body[rows[1]]))
            weights.append(float(min(path.weight[rows[0]], path.weight[rows[1]])))
        return opinions, weights


def pair_steps(time: Array, seconds: float) -> list[int]:
    """Frames at which pairs meet: each at least ``seconds`` after the one before, the last frame always."""
    steps, count = [0], len(time)
    for frame in range(1, count):
        # Rates such as 29.97 must not turn three frames into four.
        if time[frame] - time[steps[-1]] >= seconds * (1.0 - 1e-2) or frame == count - 1:
            steps.append(frame)
    return steps
