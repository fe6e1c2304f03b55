"""Memory on long clips: what is held at full size (512 x 288) must not follow the number of depth maps and views."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from plane_world import draw, street, travelling, write_clip

from josh_blender.engine.depth import fusion
from josh_blender.engine.depth.depth_maps import save_depth_map
from josh_blender.engine.depth.fusion import fuse
from josh_blender.engine.depth.surface_clouds import clouds_on_disk
from josh_blender.engine.networks.mast3r import ViewPrediction
from josh_blender.engine.pairs.canonical import CanonicalView
from josh_blender.engine.pairs.look import Matches, look, pair_graph
from josh_blender.engine.pairs.stored_views import StoredViews
from josh_blender.engine.results import FramesResult, SceneResult
from josh_blender.engine.sfm import motion
from josh_blender.engine.solver.surfaces import read_depth_clouds
from josh_blender.engine.stages.scene_shot import read_pictures
from josh_blender.engine.video.reader import open_frames
from josh_blender.scene4d.camera import rigid

SIZE = (512, 288)
LENS = np.array([450.0, 450.0, 256.0, 144.0])
MEGABYTE = 2**20


def peak_of(work: Callable[[], object]) -> float:
    """The most memory in MB that ``work`` held at a time; numpy's arrays are traced."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / MEGABYTE
    finally:
        tracemalloc.stop()


def walk_past_a_wall(count: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Depth maps as `fuse` takes them: each shows a place that none before it showed."""
    random = np.random.default_rng(2)
    depth = (4.0 + 0.2 * random.random(SIZE[::-1])).astype(np.float32)
    confidence = np.where(random.random(SIZE[::-1]) < 0.1, 0.8, 0.2).astype(np.float32)
    for number in range(count):
        color = np.full((*depth.shape, 3), number, np.uint8)
        yield depth, confidence, LENS, rigid(np.eye(3), np.array([5.0 * number, 0.0, 0.0])), color


def test_the_cloud_of_many_maps_takes_no_more_memory_than_that_of_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "_POINTS_AT_ONCE", 250_000)
    few, many = (peak_of(lambda count=count: fuse(walk_past_a_wall(count), 0.5, None, 150_000)) for count in (60, 240))
    assert many < 1.1 * few
    assert many < 60.0


@pytest.mark.parametrize("most", [10_000_000, 3_000])
def test_thinning_on_the_way_keeps_what_thinning_at_the_end_keeps(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """The first map holds the corner that cubes are counted from, as it does where all maps are thinned at once."""
    random = np.random.default_rng(4)
    maps = []
    for number in range(6):
        depth = (4.0 + 0.2 * random.random((72, 128))).astype(np.float32)
        color = random.integers(0, 256, (*depth.shape, 3), np.uint8)
        pose = rigid(np.eye(3), np.full(3, 0.1 * number))
        maps.append((depth, random.uniform(0.3, 1.0, depth.shape).astype(np.float32), LENS / 4.0, pose, color))
    at_once = fuse(maps, 0.5, 0.02, most)
    monkeypatch.setattr(fusion, "_POINTS_AT_ONCE", 8_000)
    on_the_way = fuse(iter(maps), 0.5, 0.02, most)
    assert 0 < len(at_once.points) <= most and set(at_once.source) == set(range(6))
    for one, other in zip(vars(at_once).values(), vars(on_the_way).values(), strict=True):
        np.testing.assert_array_equal(one, other)


def clip_of_maps(folder: Path, count: int) -> tuple[FramesResult, SceneResult]:
    """Depth maps of the street on disk, one per frame."""
    poses = travelling(count, 0.05 * count)
    frames = write_clip(folder / "clip", poses[:1], LENS, SIZE)
    frames = FramesResult(frames.source, np.arange(count, dtype=np.int32), np.arange(count) / 5.0)
    depth = draw(street(), poses[0], LENS, SIZE)[1]
    for index in range(count):
        save_depth_map(folder / "depth", frames, index, depth, np.where(depth > 0.0, 0.8, 0.0), LENS)
    nothing = np.zeros(0, np.int32)
    return frames, SceneResult(
        "moving", np.arange(count, dtype=np.int32), poses, np.tile(LENS, (count, 1)), np.zeros(5),
        np.zeros((0, 3)), np.zeros((0, 3), np.uint8), nothing, nothing, np.zeros((0, 2), np.float32),
        depth_index=np.arange(count, dtype=np.int32), ground=np.zeros(0),
    )  # fmt: skip


def test_maps_on_disk_say_what_maps_in_memory_say_and_hold_little(tmp_path: Path) -> None:
    frames, scene = clip_of_maps(tmp_path, 12)
    longer = np.linspace(1.0, 1.2, 12)
    rays = np.random.default_rng(1).uniform(-0.6, 0.6, (500, 2))
    held: list[object] = []
    for lens in (None, longer):
        known = read_depth_clouds(frames, scene, tmp_path, lens)
        found = clouds_on_disk(frames, scene, tmp_path, lens)
        assert len(found) == len(known) == 12
        for one, other in zip(found, known, strict=True):
            np.testing.assert_array_equal(one.depths_at(rays), other.depths_at(rays))
            assert {tuple(point) for point in one.points} <= {tuple(point) for point in other.points}
            assert 5_000 <= len(one.points) < 7_500
    peak = peak_of(lambda: held.append(clouds_on_disk(frames, scene, tmp_path)))
    assert held and peak < 15.0


def test_views_and_matches_of_a_long_clip_hold_little(tmp_path: Path) -> None:
    """Views go to disk, and the matches of a pair are few where there are many pairs."""
    random = np.random.default_rng(5)
    relative = random.uniform(0.9, 1.1, SIZE[::-1])
    anchors = np.full((SIZE[1] // 8, SIZE[0] // 8), 3.0)
    peaks = []
    for count in (20, 80):
        folder = tmp_path / str(count)
        folder.mkdir()

        def keep_and_ask(folder: Path = folder, count: int = count) -> None:
            views = StoredViews(folder)
            for number in range(count):
                views.add(number, CanonicalView(number + anchors, relative, 1.0 + relative, 400.0 + number))
            assert len(views) == len(views.focal) == count
            assert [view.anchor_depth[0, 0] - 3.0 for view in views.values()] == list(range(count))
            np.testing.assert_allclose(views[7].depth(), 10.0 * relative, rtol=1e-6)
            assert views[7].focal == 407.0 and count not in views

        peaks.append(peak_of(keep_and_ask))
    assert peaks[1] < 1.25 * peaks[0] and peaks[1] < 30.0


class Noise:
    """A network of pairs that matches every spot with itself; points and descriptors of a random place."""

    def __init__(self, height: int, width: int) -> None:
        random = torch.Generator().manual_seed(3)
        points = torch.rand((1, height, width, 3), generator=random) + 1.0
        descriptor = torch.nn.functional.normalize(torch.randn((1, height, width, 24), generator=random), dim=-1)
        surely = torch.rand((1, height, width), generator=random)
        self._view = ViewPrediction(points, 2.0 + 0.0 * surely, descriptor, 1.0 + surely)

    def predict(self, first: int, second: int) -> tuple[ViewPrediction, ViewPrediction]:
        return self._view, self._view


def test_a_pair_keeps_its_most_confident_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    def matches() -> list[Matches]:
        nobody = np.zeros((48, 64), np.uint8)
        found = look(pair_graph(6), Noise(48, 64), lambda view: nobody, lambda: None)
        return [item for item in found if isinstance(item, Matches)]

    every = matches()
    monkeypatch.setattr("josh_blender.engine.pairs.look._MATCHES_OF_ALL", 0)
    monkeypatch.setattr("josh_blender.engine.pairs.look._MATCHES_OF_PAIR", 20)
    for all_of_pair, few in zip(every, matches(), strict=True):
        assert all_of_pair.found == few.found == len(all_of_pair.confidence) == 48 and len(few.confidence) == 20
        assert few.confidence.min() >= np.sort(all_of_pair.confidence)[-20]
        assert few.first_pixel.nbytes + few.second_pixel.nbytes + few.confidence.nbytes == 20 * 12
        spots = {tuple(spot) for spot in np.hstack([all_of_pair.first_pixel, all_of_pair.second_pixel])}
        assert {tuple(spot) for spot in np.hstack([few.first_pixel, few.second_pixel])} <= spots


def test_corners_are_the_same_in_pictures_that_are_streamed(tmp_path: Path) -> None:
    frames = write_clip(tmp_path / "clip", travelling(14, 0.8), LENS / 2.0, (256, 144))
    keyframe = list(range(14))
    with open_frames(frames) as reader:
        asked: list[int] = []
        held, streamed = (read_pictures(reader, frames, tmp_path, keyframe, 256, late) for late in (False, True))
        read = reader.read
        reader.read = lambda index, size=None: asked.append(index) or read(index, size)  # type: ignore[method-assign]
        known, found = (
            motion.background_flow(pictures.grey, pictures.people, pictures.scale) for pictures in (held, streamed)
        )
    assert asked == keyframe
    for one, other in zip(vars(known).values(), vars(found).values(), strict=True):
        np.testing.assert_array_equal(one, other)
