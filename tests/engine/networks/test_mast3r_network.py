"""The scene backend “mast3r” with a network of the real layout and small random weights, read from its file.

Random descriptors match nothing but themselves, so both sides of the network have the same weights and the camera
stands still: every spot then matches itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from plane_world import nobody, travelling, write_clip
from tiny_networks import SIZES, tiny_network

from josh_blender.engine.depth.lookup import read_depth_map
from josh_blender.engine.networks.pictures import cropped
from josh_blender.engine.networks.weights import NetworkFile, load_mast3r, save_network
from josh_blender.engine.pairs.canonical import CanonicalView
from josh_blender.engine.pairs.look import Mast3rPairs, Matches, look, pair_graph
from josh_blender.engine.sfm.keyframes import choose_keyframes
from josh_blender.engine.stages import scene_mast3r
from josh_blender.engine.stages.scene_mast3r import moving_camera_of_pairs
from josh_blender.engine.stages.scene_shot import SceneSettings, Shot, read_pictures
from josh_blender.engine.video.reader import open_frames
from josh_blender.scene4d.files import mask_path

SIZE = (480, 270)
FIT = cropped(*SIZE, long_side=128)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = tiny_network().mast3r
    network.dec_blocks2.load_state_dict(network.dec_blocks.state_dict())
    network.downstream_head2.load_state_dict(network.downstream_head1.state_dict())
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_network(path, network.state_dict(), NetworkFile("mast3r", SIZES))
    return path


@pytest.fixture
def shot(tmp_path: Path) -> Iterator[Shot]:
    """A camera that stands still, and somebody who walks through its picture."""
    frames = write_clip(tmp_path / "clip", travelling(1).repeat(16, 0), np.array([420.0, 420.0, 240.0, 135.0]), SIZE)
    for number in frames.frame:
        mask = np.zeros(SIZE[::-1], np.uint8)
        mask[60:250, 100 + 10 * number : 180 + 10 * number] = 1
        path = mask_path(tmp_path, int(number))
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), mask)
    settings = SceneSettings(backend="mast3r")
    with open_frames(frames) as reader:
        keyframe = choose_keyframes(frames.time, settings.keyframes_per_second)
        pictures = read_pictures(reader, frames, tmp_path, keyframe, settings.width, streamed=True)
        yield Shot(frames, nobody(), tmp_path, reader, pictures, settings, tmp_path, lambda: None)


def people(shot: Shot, view: int) -> np.ndarray:
    return FIT.cut_out(shot.mask(shot.pictures.keyframe[view], FIT.scaled))


def test_what_the_network_sees_has_its_sizes_and_nobody_masked_is_matched(shot: Shot, weights: Path) -> None:
    keyframe = shot.pictures.keyframe
    network = Mast3rPairs(load_mast3r(weights, "cpu"), FIT, lambda view: shot.reader.read(keyframe[view]), "cpu")
    graph = pair_graph(len(keyframe))
    matches, views = [], {}
    for found in look(graph, network, partial(people, shot), lambda: None):
        if isinstance(found, Matches):
            matches.append(found)
        else:
            views[found[0]] = found[1]
    assert [(pair.first, pair.second) for pair in matches] == graph and set(views) == set(range(len(keyframe)))
    for pair in matches:
        assert pair.found >= len(pair.confidence) > 50
        assert (pair.first_pixel.dtype, pair.second_pixel.dtype, pair.confidence.dtype) == (
            np.int16,
            np.int16,
            np.float32,
        )
        for view, pixel in ((pair.first, pair.first_pixel), (pair.second, pair.second_pixel)):
            assert pixel.shape == (len(pair.confidence), 2)
            assert (pixel >= 0).all() and (pixel < FIT.size).all()
            mask = people(shot, view)
            assert mask.any() and not mask[pixel[:, 1], pixel[:, 0]].any()
    # They would be, were they not masked.
    pair = next(iter(look([(0, 1)], network, lambda view: np.zeros(FIT.size[::-1]), lambda: None)))
    assert isinstance(pair, Matches) and people(shot, 0)[pair.first_pixel[:, 1], pair.first_pixel[:, 0]].any()
    height, width = FIT.size[::-1]
    for number, view in views.items():
        assert isinstance(view, CanonicalView) and view.focal > 0.0
        assert view.anchor_depth.shape == (height // 8, width // 8)
        assert view.relative_depth.shape == view.confidence.shape == (height, width)
        assert np.isfinite(view.depth()).all()
        covered = people(shot, number) > 0
        assert view.confidence[covered].max() < 0.01 < view.confidence[~covered].min()


def test_from_the_file_of_weights_to_a_scene(shot: Shot, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_mast3r, "cropped", partial(cropped, long_side=128))
    result = moving_camera_of_pairs(shot, weights)
    assert result is not None and result.keyframe.tolist() == shot.pictures.keyframe
    assert result.world_from_camera.shape == (16, 4, 4) and result.intrinsics.shape == (16, 4)
    assert np.isfinite(result.world_from_camera).all() and np.abs(result.world_from_camera - np.eye(4)).max() < 0.05
    assert len(result.points) == len(result.point_color) > 100
    for row in range(len(result.keyframe)):
        pixel = FIT.size * result.observation_pixel[result.observation_keyframe == row] / SIZE
        assert len(pixel) and not people(shot, row)[pixel[:, 1].astype(int), pixel[:, 0].astype(int)].any()
        found = read_depth_map(shot.frames, result, shot.folder, int(result.keyframe[row]))
        assert found is not None and found.depth.shape == FIT.size[::-1]
        covered = people(shot, row) > 0
        assert not found.depth[covered].any() and (found.depth[~covered] > 0.0).mean() > 0.9
    # Nothing of the way there stays on the disk.
    assert {path.name for path in shot.folder.iterdir()} == {"clip", "masks", "depth"}
