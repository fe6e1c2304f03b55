"""JOSH3R on clips: with a network of the real layout and small random weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from plane_world import travelling, write_clip
from tiny_networks import tiny_network, write_josh3r

from josh_blender.engine.feedforward.runner import PairRunner, camera_motion
from josh_blender.engine.networks.acceleration import Batches
from josh_blender.engine.networks.pictures import squeezed
from josh_blender.engine.results import BodiesResult, FramesResult, MotionResult, PeopleResult, PersonFit, Track
from josh_blender.engine.stages import motion
from josh_blender.engine.stages.lens import LensSettings, run_lens
from josh_blender.engine.stages.motion import MotionSettings, run_motion
from josh_blender.scene4d.arrays import read_npz
from josh_blender.scene4d.body import load_default_body
from josh_blender.scene4d.camera import invert_rigid, rigid, transform
from josh_blender.scene4d.errors import UserError
from josh_blender.scene4d.files import read_scene
from josh_blender.scene4d.rotations import matrix_from_axis_angle

SIZE = (480, 270)
INTRINSICS = np.array([420.0, 420.0, 240.0, 135.0])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_josh3r(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> FramesResult:
    return write_clip(tmp_path_factory.mktemp("clip"), travelling(21, 1.0), INTRINSICS, SIZE)


def person(number: int, first: int, count: int, gaps: tuple[int, ...] = ()) -> tuple[Track, PersonFit]:
    """Somebody who stands before the camera; not seen in the rows ``gaps``."""
    index = np.arange(first, first + count, dtype=np.int32)
    detected = np.ones(count, bool)
    detected[list(gaps)] = False
    box = np.tile([200.0, 60.0, 280.0, 260.0], (count, 1)).astype(np.float32)
    nothing = np.zeros((count, 33), np.float32)
    track = Track(
        number, number, index, box, np.zeros((count, 33, 2), np.float32), nothing, np.zeros((count, 33, 3)), detected,
        np.zeros(count),
    )  # fmt: skip
    trans = np.tile([0.1 * number, 0.2, 4.0], (count, 1))
    poses = np.zeros((count, 72))
    poses[:, 0] = np.pi
    return track, PersonFit(number, index, np.zeros(10), poses, trans, detected.astype(float), np.zeros(count))


def solve(
    clip: FramesResult, weights: Path, folder: Path, *people: tuple[Track, PersonFit], refine: bool = False
) -> tuple[MotionResult, list[Path]]:
    shown: list[Path] = []
    files = (weights, None)
    lens = run_lens(clip, LensSettings(focal_px=420.0), files, lambda done, total: None)
    result = run_motion(
        clip, PeopleResult([track for track, _ in people]), folder, lens,
        BodiesResult(load_default_body().body_id, [fit for _, fit in people]), MotionSettings(refine=refine), files,
        folder, lambda done, total: None, shown.append,
    )  # fmt: skip
    return result, shown


def test_a_network_at_rest_puts_the_people_where_they_are_and_leaves_the_camera(
    clip: FramesResult, weights: Path, tmp_path: Path
) -> None:
    result, _ = solve(clip, weights, tmp_path, person(1, 0, 21), person(2, 5, 10))
    assert np.abs(result.joint.world_from_camera - np.eye(4)).max() < 1e-6
    assert [one.track_id for one in result.joint.people] == [1, 2]
    assert np.allclose(result.joint.people[0].trans, [0.1, 0.2, 4.0], atol=1e-6)
    assert result.pairs == 7 and result.guessed == 0 and not result.warnings
    assert len(result.scene.depth_index) >= 3
    assert all((tmp_path / "depth" / f"{clip.frame[index]:06d}.npz").is_file() for index in result.scene.depth_index)


def test_gaps_and_empty_frames_are_bridged_or_said(clip: FramesResult, weights: Path, tmp_path: Path) -> None:
    for people in ((), (person(1, 0, 21, gaps=tuple(range(6, 14))),), (person(1, 18, 3),)):
        result, _ = solve(clip, weights, tmp_path, *people)
        assert np.isfinite(result.joint.world_from_camera).all()
        assert bool(result.warnings) == (result.guessed > 0)


def test_one_frame(weights: Path, tmp_path: Path) -> None:
    frames = write_clip(tmp_path / "one", travelling(1), INTRINSICS, SIZE)
    result, _ = solve(frames, weights, tmp_path, person(1, 0, 1))
    assert result.joint.world_from_camera.shape == (1, 4, 4) and len(result.scene.depth_index) == 1


def test_what_is_known_is_shown_while_the_video_is_read(
    clip: FramesResult, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motion, "_SHOW_EVERY", 0.0)
    counts = []
    real = motion._Stream.write

    def write(stream: motion._Stream, trajectory: object) -> None:
        real(stream, trajectory)
        counts.append(len(read_npz(tmp_path / motion.STREAM_NAME)["frame"]))

    monkeypatch.setattr(motion._Stream, "write", write)
    _, shown = solve(clip, weights, tmp_path, person(1, 0, 21))
    assert counts == sorted(counts) and counts[0] < counts[-1] == 21
    assert shown == [tmp_path / motion.STREAM_NAME] * len(counts)


def test_nothing_but_the_last_picture_is_kept(clip: FramesResult) -> None:
    """Memory does not grow with the clip: every picture is read once, and its tokens go with the pair after it."""
    runner = PairRunner(tiny_network(), squeezed(*SIZE, long_side=128), "cpu", batch=3)
    read: list[int] = []

    def picture(frame: int) -> np.ndarray:
        read.append(frame)
        return np.full((270, 480, 3), frame, np.uint8)

    for _ in runner.run(list(range(20)), picture, [person(1, 0, 20)[0]], INTRINSICS):
        assert len(runner._tokens) == 1
    assert read == list(range(20))


def test_batches_do_not_change_what_is_seen() -> None:
    fit, track = squeezed(*SIZE, long_side=128), person(1, 0, 8)[0]
    random = np.random.default_rng(2)
    pictures = random.integers(0, 256, (8, 270, 480, 3), dtype=np.uint8)
    network = tiny_network()
    torch.nn.init.normal_(network.rel_trans_head.head_layers[-1].weight)
    alone, together = (
        list(PairRunner(network, fit, "cpu", batch).run(range(8), lambda frame: pictures[frame], [track], INTRINSICS))
        for batch in (1, 4)
    )
    assert np.abs(alone[0].motions[1][:3, 3]).max() > 1e-3
    for one, other in zip(alone, together, strict=True):
        assert np.allclose(one.motions[1], other.motions[1], atol=1e-5)
        assert np.allclose(one.points, other.points, atol=1e-4)


def test_the_points_of_the_second_picture_say_how_the_camera_moved() -> None:
    lens = np.array([110.0, 110.0, 64.0, 40.0])
    rows, columns = np.mgrid[:80, :128]
    depth = 3.0 + np.sin(columns / 9.0) + 0.02 * rows
    own = np.stack([(columns - 63.5) / 110.0 * depth, (rows - 39.5) / 110.0 * depth, depth], axis=-1)
    first_from_second = rigid(matrix_from_axis_angle([0.02, -0.1, 0.03]), np.array([0.3, -0.05, 0.1]))
    points = transform(first_from_second, own)
    points[::5, ::3] += 2.0
    found = camera_motion(points, lens)
    assert found is not None and np.abs(found @ invert_rigid(first_from_second) - np.eye(4)).max() < 2e-3
    assert camera_motion(np.full((80, 128, 3), np.nan), lens) is None


def test_batches_become_smaller_until_they_fit_and_else_a_sentence_is_said() -> None:
    sizes = []

    def pass_through(items: list[int]) -> list[int]:
        sizes.append(len(items))
        if len(items) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return list(items)

    results = Batches("cpu", 8).run(list(range(7)), pass_through)
    assert [item for part in results for item in part] == list(range(7))
    assert sizes == [7, 4, 2, 2, 2, 1]

    def never(items: list[int]) -> list[int]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(UserError, match="too small for this network") as caught:
        list(Batches("cpu", 4).run([1, 2], never))
    assert caught.value.kind == "gpu_memory"


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["josh3r", "josh3r+"])
def test_the_command_from_video_to_scene(mode: str, weights: Path, tmp_path: Path) -> None:
    sample = Path(__file__).resolve().parents[3] / "bench" / "sample" / "data" / "sample.mp4"
    words = ["reconstruct", str(sample), "--output", str(tmp_path), "--mode", mode, "--end", "30", "--device", "cpu"]
    words += ["--josh3r-weights", str(weights), "--height", "1.8"]
    done = subprocess.run(
        [sys.executable, "-m", "josh_blender.engine", *words], capture_output=True, text=True, timeout=600,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    scene = read_scene(tmp_path / "sample.scene4d")
    assert len(scene.people) == 2 and len(scene.camera.frame) == 31
    assert scene.stages["motion"]["backend"] == "josh3r" and ("joint" in scene.stages) == (mode == "josh3r+")
    assert any("JOSH3R" in licence and "not for commercial use" in licence for licence in scene.licences)
    for one in scene.people:
        assert one.contact.max() > 0.0
