"""Stage 3 as a whole on small drawn clips: what it calls the camera, what it keeps, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plane_world import nobody, panning, street, travelling, write_clip

from josh_blender.engine.depth.lookup import read_depth_map
from josh_blender.engine.results import FramesResult, SceneResult
from josh_blender.engine.stages.scene import SceneSettings, run_scene
from josh_blender.scene4d.errors import UserError

SIZE = (480, 270)
INTRINSICS = np.array([420.0, 420.0, 240.0, 135.0])


def solve(frames: FramesResult, folder: Path, **settings) -> SceneResult:
    return run_scene(frames, nobody(), folder / "people", SceneSettings(**settings), folder, lambda done, total: None)


@pytest.fixture(scope="module")
def moving(tmp_path_factory) -> tuple[FramesResult, np.ndarray]:
    poses = travelling(26, 1.5)
    return write_clip(tmp_path_factory.mktemp("moving"), poses, INTRINSICS, SIZE), poses


@pytest.fixture(scope="module")
def still(tmp_path_factory) -> FramesResult:
    return write_clip(tmp_path_factory.mktemp("still"), np.tile(np.eye(4), (8, 1, 1)), INTRINSICS, SIZE)


@pytest.fixture(scope="module")
def zooming(tmp_path_factory) -> tuple[FramesResult, np.ndarray, np.ndarray]:
    poses = travelling(26, 2.5)
    lens = np.tile(INTRINSICS, (26, 1))
    lens[:, :2] *= np.linspace(1.0, 1.25, 26)[:, None]
    return write_clip(tmp_path_factory.mktemp("zooming"), poses, lens, SIZE, fps=10), poses, lens


def write_camera(path: Path, poses: np.ndarray, intrinsics: np.ndarray = INTRINSICS) -> Path:
    np.savez(
        path,
        frame=np.arange(len(poses), dtype=np.int32),
        world_from_camera=poses,
        intrinsics=np.array(np.broadcast_to(intrinsics, (len(poses), 4))),
        distortion=np.zeros(5),
    )
    return path


@pytest.mark.slow
def test_moving_camera_comes_back_with_every_frame_and_depth(moving, tmp_path):
    frames, truth = moving
    result = solve(frames, tmp_path)
    assert result.camera_kind == "moving" and not result.metric
    assert result.intrinsics.shape == (26, 4) and result.intrinsics[0, 0] == pytest.approx(420.0, rel=0.02)
    assert result.quality["keyframes_registered"] == result.quality["keyframes_asked"]
    centre, true = (path[:, :3, 3] - path[:, :3, 3].mean(0) for path in (result.world_from_camera, truth))
    u, sizes, vt = np.linalg.svd(true.T @ centre)
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = np.trace(np.diag(sizes) @ sign) / np.sum(centre**2)
    error = np.linalg.norm(true - scale * centre @ (u @ sign @ vt).T, axis=1)
    length = np.linalg.norm(np.diff(truth[:, :3, 3], axis=0), axis=1).sum()
    assert error.max() < 0.01 * length
    # The floor lies 1.5 below the first camera.
    normal, offset = result.ground[:3], result.ground[3]
    assert scale * (normal @ result.world_from_camera[0, :3, 3] + offset) == pytest.approx(1.5, rel=0.03)
    assert len(result.depth_index) >= 4
    found = read_depth_map(frames, result, tmp_path, int(result.depth_index[1]))
    assert found is not None and np.mean(found.depth > 0) > 0.6


@pytest.mark.slow
def test_given_focal_is_kept_to_the_last_digit(moving, tmp_path):
    result = solve(moving[0], tmp_path, focal_px=420.0)
    np.testing.assert_array_equal(result.intrinsics[:, :2], 420.0)
    np.testing.assert_array_equal(result.distortion, 0.0)


@pytest.mark.slow
def test_given_camera_is_kept_exactly_and_is_metric(moving, tmp_path):
    frames, truth = moving
    result = solve(frames, tmp_path, camera_file=write_camera(tmp_path / "camera.npz", truth))
    np.testing.assert_array_equal(result.world_from_camera, truth)
    np.testing.assert_array_equal(result.intrinsics, np.tile(INTRINSICS, (26, 1)))
    assert result.metric
    # The floor is seen from 4.7 to 7 ahead only: what lies under the camera is extrapolated.
    assert np.degrees(np.arccos(-result.ground[1])) < 1.0 and result.ground[3] == pytest.approx(1.5, abs=0.07)


@pytest.mark.slow
def test_a_lens_that_zooms_has_its_focal_length_on_every_frame(zooming, tmp_path):
    frames, _, lens = zooming
    result = solve(frames, tmp_path)
    assert result.camera_kind == "moving" and len(result.keyframe) == 13
    share = result.intrinsics[:, 0] / lens[:, 0]
    # Three planes leave the focal length itself loose; how it changes is seen.
    assert share.mean() == pytest.approx(1.0, abs=0.08)
    assert share.max() / share.min() < 1.02
    np.testing.assert_array_equal(result.intrinsics[:, 2:], lens[:, 2:])


def test_a_given_camera_may_zoom(zooming, tmp_path):
    frames, poses, lens = zooming
    result = solve(frames, tmp_path, camera_file=write_camera(tmp_path / "camera.npz", poses, lens))
    np.testing.assert_array_equal(result.intrinsics, lens)
    off = [np.abs(result.points @ item.plane[:3] + item.plane[3]) for item in street()]
    assert np.median(np.min(off, axis=0)) < 0.04


def test_camera_file_that_is_too_short_is_refused(still, tmp_path):
    short = write_camera(tmp_path / "camera.npz", np.tile(np.eye(4), (3, 1, 1)))
    with pytest.raises(UserError, match="frame 3") as caught:
        solve(still, tmp_path, camera_file=short)
    assert caught.value.kind == "camera_too_short"


def test_tripod_without_people_is_static_and_claims_no_ground(still, tmp_path):
    result = solve(still, tmp_path)
    assert result.camera_kind == "static"
    np.testing.assert_array_equal(result.world_from_camera, np.tile(np.eye(4), (8, 1, 1)))
    assert result.ground.shape == (0,) and not len(result.depth_index) and not len(result.points)
    assert result.warnings


def test_pan_has_one_centre_and_the_right_turn(tmp_path):
    truth = panning(16, 30.0)
    frames = write_clip(tmp_path / "clip", truth, INTRINSICS, SIZE)
    result = solve(frames, tmp_path)
    assert result.camera_kind == "pan"
    np.testing.assert_array_equal(result.world_from_camera[:, :3, 3], 0.0)
    assert result.intrinsics[0, 0] == pytest.approx(420.0, rel=0.03)
    forward = result.world_from_camera[0, :3, :3].T @ result.world_from_camera[-1, :3, 2]
    expected = truth[0, :3, :3].T @ truth[-1, :3, 2]
    assert np.degrees(np.arccos(forward @ expected)) < 1.0


def test_a_still_camera_called_moving_says_that_it_has_no_parallax(still, tmp_path):
    with pytest.raises(UserError) as caught:
        solve(still, tmp_path, camera_kind="moving")
    assert caught.value.kind == "no_parallax"
    assert "static" in caught.value.remedy


def test_one_frame_is_a_static_camera(tmp_path):
    frames = write_clip(tmp_path / "clip", np.eye(4)[None], INTRINSICS, SIZE)
    result = solve(frames, tmp_path)
    assert result.camera_kind == "static" and result.world_from_camera.shape == (1, 4, 4)


def test_unknown_backend_is_named(still, tmp_path):
    with pytest.raises(UserError, match="kinect"):
        solve(still, tmp_path, backend="kinect")
