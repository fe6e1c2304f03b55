"""The scene backend “mast3r” with a network that knows the street, with errors of a known size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from oracle import StreetOracle, oracle_for
from plane_world import draw, nobody, street, travelling, write_clip

from josh_blender.engine.depth.lookup import read_depth_map
from josh_blender.engine.networks.pictures import cropped
from josh_blender.engine.results import FramesResult, SceneResult
from josh_blender.engine.sfm.keyframes import choose_keyframes
from josh_blender.engine.similarity import align
from josh_blender.engine.stages.scene import SceneSettings, run_scene
from josh_blender.engine.stages.scene_mast3r import camera_of_pairs
from josh_blender.engine.stages.scene_shot import Shot, read_pictures
from josh_blender.engine.video.reader import open_frames
from josh_blender.scene4d.errors import UserError

SIZE = (480, 270)
INTRINSICS = np.array([420.0, 420.0, 240.0, 135.0])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[FramesResult, np.ndarray]:
    poses = travelling(26, 1.5)
    return write_clip(tmp_path_factory.mktemp("moving"), poses, INTRINSICS, SIZE), poses


def solve(frames: FramesResult, truth: np.ndarray, folder: Path, network: StreetOracle | None = None, **errors: float):
    settings = SceneSettings(backend="mast3r")
    keyframe = choose_keyframes(frames.time, settings.keyframes_per_second)
    fit = cropped(*SIZE, long_side=256)
    with open_frames(frames) as reader:
        pictures = read_pictures(reader, frames, folder, keyframe, settings.width)
        shot = Shot(frames, nobody(), folder, reader, pictures, settings, folder, lambda: None)
        return camera_of_pairs(shot, fit, network or oracle_for(fit, truth[keyframe], INTRINSICS, **errors))


def path_error(result: SceneResult, truth: np.ndarray) -> tuple[float, float]:
    """Largest error of the camera's place after a similarity as a share of the path, and the similarity's scale."""
    found = align(result.world_from_camera[:, :3, 3], truth[:, :3, 3], with_scale=True)
    error = np.linalg.norm(found.apply(result.world_from_camera[:, :3, 3]) - truth[:, :3, 3], axis=1)
    return float(error.max() / np.linalg.norm(np.diff(truth[:, :3, 3], axis=0), axis=1).sum()), found.scale


@pytest.mark.slow
def test_lens_path_and_depth_from_noisy_pairs(clip: tuple[FramesResult, np.ndarray], tmp_path: Path) -> None:
    """Each pair in a unit of its own (10 %), depth off by 3 % per pixel, one match in five wrong."""
    frames, truth = clip
    result = solve(frames, truth, tmp_path, unit=0.1, depth=0.03, wrong=0.2)
    assert result is not None
    assert result.quality["keyframes_registered"] == result.quality["keyframes_asked"]
    assert result.intrinsics[0, 0] == pytest.approx(420.0, rel=0.02)
    error, scale = path_error(result, truth)
    assert error < 0.02
    assert result.focal_sigma > 0.0 and len(result.points) > 500
    # Every map in the world's unit, whatever its pair's was.
    for index in result.depth_index[1:-1]:
        found = read_depth_map(frames, result, tmp_path, int(index))
        assert found is not None
        true = draw(street(), truth[index], found.intrinsics, found.depth.shape[::-1])[1]
        both = (found.depth > 0) & (true > 0)
        ratio = np.median(scale * found.depth[both] / true[both])
        assert both.mean() > 0.5 and ratio == pytest.approx(1.0, abs=0.03)
    normal, offset = result.ground[:3], result.ground[3]
    height = normal @ result.world_from_camera[0, :3, 3] + offset
    assert scale * height == pytest.approx(1.5, rel=0.04)


@pytest.mark.slow
def test_a_clip_that_nothing_ties_together_is_given_back(clip: tuple[FramesResult, np.ndarray], tmp_path: Path) -> None:
    frames, truth = clip
    assert solve(frames, truth, tmp_path, wrong=1.0) is None


def test_weights_that_are_missing_are_said_before_anything_runs(
    clip: tuple[FramesResult, np.ndarray], tmp_path: Path
) -> None:
    settings = SceneSettings(backend="mast3r", camera_kind="moving")
    with pytest.raises(UserError, match="There is no"):
        run_scene(
            clip[0], nobody(), tmp_path, settings, tmp_path, lambda done, total: None, tmp_path / "none.safetensors"
        )
