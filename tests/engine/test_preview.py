"""Previews: a scene in any units and axes comes out metric and upright once people stand in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from josh_blender.engine.preview import people_preview, scene_preview, with_preview
from josh_blender.engine.results import BodiesResult, FramesResult, PersonFit, SceneResult, VideoSource
from josh_blender.scene4d.arrays import read_npz
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.camera import invert_rigid, transform
from josh_blender.scene4d.rotations import matrix_from_axis_angle

FRAMES = 7
SCALE = 0.35  # scene units per metre
EYE = 1.45


def frames() -> FramesResult:
    source = VideoSource("a.mp4", "video", 640, 480, 25, 1, 20, 0, "1-a", "bt709")
    return FramesResult(source, np.arange(5, 5 + FRAMES, dtype=np.int32), np.arange(FRAMES) / 25.0)


def true_cameras() -> np.ndarray:
    """Metric, Z up, origin on the ground under the first camera, which looks along +Y and a little down."""
    pose = np.tile(np.eye(4), (FRAMES, 1, 1))
    pose[:, :3, :3] = matrix_from_axis_angle(np.array([-np.pi / 2 - 0.2, 0.0, 0.0]))
    pose[:, 0, 3] = 0.3 * np.arange(FRAMES)
    pose[:, 2, 3] = EYE
    return pose


def scene(ground: bool = True, metric: bool = False) -> tuple[SceneResult, np.ndarray]:
    """The world in made-up axes and units, and its points (P,3) in metres."""
    turn = np.eye(4)
    turn[:3, :3] = matrix_from_axis_angle(np.array([0.7, -0.3, 1.1]))
    turn[:3, 3] = [4.0, -2.0, 9.0]
    scale = 1.0 if metric else SCALE
    pose = turn @ true_cameras()
    pose[:, :3, 3] *= scale
    points = np.random.default_rng(3).uniform([-3.0, 2.0, 0.0], [3.0, 9.0, 2.0], size=(50, 3))
    normal = turn[:3, 2]
    plane = np.array([*(2.0 * normal), -2.0 * scale * (normal @ turn[:3, 3])])
    none = np.zeros(0, np.int32)
    result = SceneResult(
        "moving", none, pose, np.tile([500.0, 500, 320, 240], (FRAMES, 1)), np.zeros(5),
        scale * transform(turn, points), np.full((50, 3), 9, np.uint8), none, none, np.zeros((0, 2), np.float32), none,
        plane if ground else np.zeros(0), metric=metric,
    )  # fmt: skip
    return result, points


def standing(places: np.ndarray) -> BodiesResult:
    """One person per row of places (N,3) m, standing still, whose pelvis is as high as the preview takes it to be."""
    model = load_default_body()
    betas = np.zeros(10)
    pelvis = np.concatenate([places[:, :2], np.full((len(places), 1), 0.53 * float(model.height(betas)))], axis=1)
    index = np.arange(2, FRAMES, dtype=np.int32)
    people = []
    for number, point in enumerate(pelvis, 1):
        seen = transform(invert_rigid(true_cameras()[index]), np.broadcast_to(point, (len(index), 1, 3)))[:, 0]
        trans = seen - model.joints(betas)[0]
        zeros = np.zeros(len(index))
        people.append(PersonFit(number, index, betas, np.zeros((len(index), 72)), trans, zeros + 1.0, zeros))
    return BodiesResult("cc0", people)


def test_people_give_the_scene_its_size() -> None:
    result, points = scene()
    places = np.array([[0.5, 5.0, 0.0], [-1.0, 7.0, 0.0]])
    arrays = people_preview(frames(), result, standing(places), load_default_body())
    assert np.abs(arrays["world_from_camera"] - true_cameras()).max() < 1e-9
    assert np.abs(arrays["points"] - points).max() < 1e-5
    assert arrays["person"].tolist() == [1, 2]
    assert np.isnan(arrays["place"][:, :2]).all()
    assert np.abs(arrays["place"][:, 2:] - places[:, None]).max() < 1e-9


def test_before_people_the_camera_is_held_at_eye_height() -> None:
    result, points = scene()
    arrays = scene_preview(frames(), result)
    assert arrays["world_from_camera"][0, 2, 3] == pytest.approx(1.6)
    assert np.abs(arrays["points"] - points * 1.6 / EYE).max() < 1e-5
    assert len(arrays["person"]) == 0


def test_a_metric_scene_keeps_its_size() -> None:
    result, points = scene(metric=True)
    assert np.abs(scene_preview(frames(), result)["points"] - points).max() < 1e-5


def test_without_ground_and_points_there_is_still_a_camera() -> None:
    result, _ = scene(ground=False)
    result.points, result.point_color = np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    arrays = people_preview(frames(), result, standing(np.zeros((1, 3))), load_default_body())
    assert np.isfinite(arrays["world_from_camera"]).all() and len(arrays["points"]) == 0


def test_preview_lies_in_the_folder_of_its_stage(tmp_path: Path) -> None:
    result, _ = scene()
    assert with_preview(tmp_path, result, lambda one: scene_preview(frames(), one)) is result
    assert read_npz(tmp_path / "preview.npz")["frame"].tolist() == list(range(5, 5 + FRAMES))
