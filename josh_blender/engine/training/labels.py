"""Pairs of frames of a 4D scene, with what is known about the people in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import invert_rigid
from ...scene4d.conventions import JOINT_NAMES
from ...scene4d.errors import UserError
from ...scene4d.files import find_source, read_scene
from ...scene4d.rotations import matrix_from_axis_angle
from ...scene4d.scene import Scene4D
from ..evaluation.figures import PersonPoints, person_points

Array = NDArray[Any]

#: What stands and what is laid onto the points, in the order of the published losses.
FEET = tuple(JOINT_NAMES.index(name) for name in ("left_foot", "right_foot", "left_ankle", "right_ankle"))
#: Boxes reach beyond the joints by this share of their height: to the skin, the crown and the soles.
_MARGIN = 0.1
#: Seconds from one pair to the next.
_EVERY = 0.1


@dataclass(frozen=True)
class PersonLabel:
    """One person in a pair. boxes (2,4) x0 y0 x1 y1 px of the video; translation (3,) and rotation (3,3): motion of
    the body in its own axes; facing (2,3,3): rotation of the body in both cameras; in_camera (2,3) SMPL translation in
    both cameras, m; feet (2,4,3): left and right foot, left and right ankle relative to the pelvis in the body's own
    axes, m; in_place (2,4,3): the same in the cameras."""

    boxes: Array
    translation: Array
    rotation: Array
    facing: Array
    in_camera: Array
    feet: Array
    in_place: Array


@dataclass(frozen=True)
class PairLabel:
    """A pair of frames: source frame numbers, camera_first_from_camera_second (4,4) m, and the people in both."""

    first: int
    second: int
    first_from_second: Array
    people: tuple[PersonLabel, ...]


@dataclass(frozen=True)
class LabelledClip:
    """A scene with its video and its pairs."""

    scene: Scene4D
    folder: Path
    video: Path
    pairs: tuple[PairLabel, ...]


def read_clip(path: Path, seconds: float) -> LabelledClip:
    """The pairs of a scene4d folder: frames ``seconds`` apart, a pair every tenth of a second.

    Raises:
        UserError: the scene cannot be read, its video is gone, or it holds nobody to learn from.
    """
    scene = read_scene(path)
    video = find_source(scene)
    if video is None or scene.folder is None:
        raise UserError(
            "missing_video", f"The video of {path.name} is not where the scene says.", "Move it back beside the scene."
        )
    pairs = tuple(pairs_of(scene, seconds))
    if not pairs:
        raise UserError(
            "nothing_to_learn",
            f"{path.name} holds no reliable person on two frames {seconds:g} s apart.",
            "Leave it out.",
        )
    return LabelledClip(scene, scene.folder, video, pairs)


def pairs_of(scene: Scene4D, seconds: float) -> Iterator[PairLabel]:
    """The pairs of a scene in which a reliable person is seen on both frames."""
    camera = scene.camera
    time = np.asarray(camera.time, np.float64)
    step = np.median(np.diff(time)) if len(time) > 1 else 0.0
    apart = max(1, round(seconds / step)) if step > 0.0 else 1
    every = max(1, round(_EVERY / step)) if step > 0.0 else 1
    seen = [points for person in scene.people if person.reliable and (points := person_points(person, camera))]
    for first in range(0, len(time) - apart, every):
        second = first + apart
        moments = [first, second]
        people = [label for points in seen if (label := _label(points, moments, scene)) is not None]
        if people:
            first_from_second = invert_rigid(camera.world_from_camera[first]) @ camera.world_from_camera[second]
            yield PairLabel(int(camera.frame[first]), int(camera.frame[second]), first_from_second, tuple(people))


def _label(points: PersonPoints, moments: list[int], scene: Scene4D) -> PersonLabel | None:
    """``moments``: two positions in the camera's frames."""
    rows = [np.flatnonzero(points.frame == number) for number in scene.camera.frame[moments]]
    if not all(len(row) for row in rows):
        return None
    both = np.array([row[0] for row in rows])
    boxes = np.stack([_box(points.plate[row]) for row in both])
    size = np.array([scene.source.width, scene.source.height])
    middle = 0.5 * (boxes[:, :2] + boxes[:, 2:])
    inside = np.isfinite(boxes).all() and bool(((middle > 0.0) & (middle < size)).all())
    if not points.seen[both].all() or not inside:
        return None
    rotation = matrix_from_axis_angle(np.asarray(points.person.poses[both, :3], np.float64))
    pelvis, camera_pelvis = points.joints[both, 0], points.camera_joints[both, 0]
    rest = points.model.joints(points.person.betas[: points.model.shapedirs.shape[-1]])[0]
    feet = points.joints[both][:, FEET] - pelvis[:, None]
    return PersonLabel(
        boxes=boxes,
        translation=rotation[0].T @ (pelvis[1] - pelvis[0]),
        rotation=rotation[0].T @ rotation[1],
        facing=np.swapaxes(scene.camera.world_from_camera[moments, :3, :3], 1, 2) @ rotation,
        in_camera=camera_pelvis - rest,
        feet=np.einsum("nji,nkj->nki", rotation, feet),
        in_place=points.camera_joints[both][:, FEET],
    )


def _box(plate: Array) -> Array:
    low, high = plate.min(axis=0), plate.max(axis=0)
    margin = _MARGIN * (high[1] - low[1])
    return np.concatenate([low - margin, high + margin])
