"""What can be shown before the result is there: the camera's path and sparse points, then boxes where people are.

A stage leaves ``preview.npz`` in its folder, which the pipeline announces. Everything in it is approximate: Z up, the
ground near zero, about metres. Arrays: ``frame (F,)`` source frame numbers, ``world_from_camera (F,4,4)``,
``intrinsics (F,4)`` and ``size (2,)`` width and height in px, ``points (P,3)``, ``color (P,3)`` sRGB 0..255,
``person (N,)`` ids, ``height (N,)`` m, ``place (N,F,3)`` where each person stands, NaN while nobody is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..scene4d.arrays import write_npz
from ..scene4d.body import BodyModel
from ..scene4d.camera import transform
from .results import BodiesResult, FramesResult, PersonFit, SceneResult

Array = NDArray[Any]
Result = TypeVar("Result")

PREVIEW_NAME = "preview.npz"
_MOST_POINTS = 20_000
#: Before anybody was measured the camera is taken to be held at this height, m.
_CAMERA_HEIGHT = 1.6
#: Height of a standing person's pelvis as a share of the height.
_PELVIS_SHARE = 0.53


def with_preview(folder: Path, result: Result, preview: Callable[[Result], dict[str, Array]]) -> Result:
    """Leave the preview of a stage's result in its folder; returns the result."""
    write_npz(folder / PREVIEW_NAME, preview(result))
    return result


def scene_preview(frames: FramesResult, scene: SceneResult) -> dict[str, Array]:
    """The camera's path and the sparse points."""
    above = _camera_height(scene)
    scale = 1.0 if scene.metric or above is None else _CAMERA_HEIGHT / above
    return _place(frames, scene, scale)


def people_preview(
    frames: FramesResult, scene: SceneResult, bodies: BodiesResult, model: BodyModel
) -> dict[str, Array]:
    """The same at the scale that puts people onto the ground, with the places where they are."""
    figures = [_figure(person, model) for person in bodies.people]
    scale = 1.0 if scene.metric else _scale_of_people(scene, figures)
    if scale is None:
        return scene_preview(frames, scene)
    arrays = _place(frames, scene, scale)
    place = np.full((len(figures), len(frames.frame), 3), np.nan)
    for row, figure in enumerate(figures):
        pelvis = transform(arrays["world_from_camera"][figure.index], figure.pelvis[:, None])[:, 0]
        place[row, figure.index] = pelvis - [0.0, 0.0, _PELVIS_SHARE * figure.height]
    arrays["person"] = np.array([figure.id for figure in figures], np.int32)
    arrays["height"] = np.array([figure.height for figure in figures])
    arrays["place"] = place
    return arrays


@dataclass(frozen=True)
class _Figure:
    """A person in the camera: pelvis (T,3) m at the frames index (T,), and the height of the body, m."""

    id: int
    index: Array
    pelvis: Array
    height: float
    reliable: bool


def _figure(person: PersonFit, model: BodyModel) -> _Figure:
    pelvis = model.joints(person.betas)[0] + np.asarray(person.trans, np.float64)
    return _Figure(person.track_id, person.index, pelvis, float(model.height(person.betas)), person.reliable)


def _up(scene: SceneResult) -> Array:
    """Unit vector against gravity: the ground's normal, else the cameras' mean up."""
    up = np.asarray(scene.ground[:3], np.float64)
    if not len(up):
        up = -np.asarray(scene.world_from_camera)[:, :3, 1].mean(axis=0)
    length = float(np.linalg.norm(up))
    return up / length if length > 1e-9 else np.array([0.0, -1.0, 0.0])


def _camera_height(scene: SceneResult) -> float | None:
    """Median height of the camera over the ground in scene units; None where no ground was seen."""
    if not len(scene.ground):
        return None
    normal = np.asarray(scene.ground[:3], np.float64)
    centre = np.asarray(scene.world_from_camera)[:, :3, 3]
    height = float(np.median(centre @ normal + scene.ground[3]) / np.linalg.norm(normal))
    return height if height > 1e-6 else None


def _scale_of_people(scene: SceneResult, figures: list[_Figure]) -> float | None:
    """Metres per scene unit at which pelvises are as high above the ground as a standing person's.

    A pelvis at p in the camera, metres, lies s (n.c + d) + n.Rp above the ground of a scene of scale s.
    """
    if not len(scene.ground):
        return None
    length = float(np.linalg.norm(scene.ground[:3]))
    normal, offset = np.asarray(scene.ground[:3], np.float64) / length, float(scene.ground[3]) / length
    pose = np.asarray(scene.world_from_camera, np.float64)
    votes = []
    for figure in [figure for figure in figures if figure.reliable] or figures:
        above = pose[figure.index, :3, 3] @ normal + offset
        toward = np.einsum("i,tij,tj->t", normal, pose[figure.index, :3, :3], figure.pelvis)
        good = above > 1e-6
        votes.append((_PELVIS_SHARE * figure.height - toward[good]) / above[good])
    vote = np.concatenate(votes) if votes else np.zeros(0)
    vote = vote[vote > 0.0]
    return float(np.median(vote)) if len(vote) else None


def _place(frames: FramesResult, scene: SceneResult, scale: float) -> dict[str, Array]:
    pose = np.asarray(scene.world_from_camera, np.float64)
    up = _up(scene)
    forward = pose[0, :3, 2] - (pose[0, :3, 2] @ up) * up
    if np.linalg.norm(forward) < 1e-3:
        forward = -pose[0, :3, 1] + (pose[0, :3, 1] @ up) * up
    forward /= np.linalg.norm(forward)
    rotation = np.stack([np.cross(forward, up), forward, up])
    first = pose[0, :3, 3]
    height = _CAMERA_HEIGHT / scale
    if len(scene.ground):
        length = np.linalg.norm(scene.ground[:3])
        height = (scene.ground[:3] @ first + scene.ground[3]) / length
    origin = first - height * up
    preview = np.tile(np.eye(4), (len(pose), 1, 1))
    preview[:, :3, :3] = rotation @ pose[:, :3, :3]
    preview[:, :3, 3] = scale * (pose[:, :3, 3] - origin) @ rotation.T
    step = max(1, -(-len(scene.points) // _MOST_POINTS))
    points = scale * (np.asarray(scene.points, np.float64)[::step] - origin) @ rotation.T
    return {
        "frame": np.asarray(frames.frame, np.int32),
        "world_from_camera": preview,
        "intrinsics": np.asarray(scene.intrinsics, np.float64),
        "size": np.array([frames.source.width, frames.source.height], np.int32),
        "points": points.astype(np.float32),
        "color": np.asarray(scene.point_color, np.uint8)[::step],
        "person": np.zeros(0, np.int32),
        "height": np.zeros(0),
        "place": np.zeros((0, len(pose), 3)),
    }
