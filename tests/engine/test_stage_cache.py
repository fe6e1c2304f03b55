"""Stage results survive the disk bit for bit; interrupted stages run again, finished ones do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from josh_blender.engine.results import BodiesResult, FramesResult, JointResult, PersonFit, VideoSource
from josh_blender.engine.stage_cache import (
    DamagedResultError,
    StageCache,
    content_key,
    load_result,
    save_result,
)


def example_bodies() -> BodiesResult:
    rng = np.random.default_rng(3)

    def person(track: int) -> PersonFit:
        return PersonFit(
            track_id=track,
            index=np.arange(5, dtype=np.int32),
            betas=rng.normal(size=10),
            poses=rng.normal(size=(5, 72)).astype(np.float32),
            trans=rng.normal(size=(5, 3)),
            confidence=np.array([0.0, 1.0, np.nan, 0.3, np.inf]),
            landmark_error=np.zeros(0, np.float32),
            reliable=track != 2,
            reason="crossed person 1 – naïve" if track == 2 else "",
        )

    # More arrays than one person has, so that names must not collide.
    return BodiesResult("cc0-1", [person(1), person(2)], True, ["a warning"])


def assert_same(a: object, b: object) -> None:
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape
        assert a.tobytes() == b.tobytes()
    elif isinstance(a, list):
        assert isinstance(b, list) and len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif hasattr(a, "__dataclass_fields__"):
        assert type(a) is type(b)
        for name in a.__dataclass_fields__:
            assert_same(getattr(a, name), getattr(b, name))
    else:
        assert a == b and type(a) is type(b)


def test_nested_result_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    bodies = example_bodies()
    save_result(tmp_path, bodies)
    assert_same(bodies, load_result(tmp_path, BodiesResult))
    source = VideoSource("clip é.mp4", "video", 640, 360, 24000, 1001, 90, 0, "12-abc", "sRGB")
    frames = FramesResult(source, np.arange(3, dtype=np.int32), np.array([0.1, 0.2, 1 / 3]))
    folder = tmp_path / "frames"
    folder.mkdir()
    save_result(folder, frames)
    assert_same(frames, load_result(folder, FramesResult))


def test_report_of_the_joint_solve_keeps_nested_values(tmp_path: Path) -> None:
    identity = np.eye(4)[None]
    report = {"terms": {"scale": np.float64(0.1), "counts": [1, np.int64(2)]}, "curve": np.arange(3.0)}
    joint = JointResult(identity, np.ones((1, 4)), np.zeros(5), 1.5, 0.02, "height", [], np.zeros(0), report)
    save_result(tmp_path, joint)
    again = load_result(tmp_path, JointResult).report
    assert again["terms"] == {"scale": 0.1, "counts": [1, 2]}
    np.testing.assert_array_equal(again["curve"], [0.0, 1.0, 2.0])


def test_python_objects_are_refused(tmp_path: Path) -> None:
    bodies = example_bodies()
    bodies.people[0].betas = np.array([object()])
    with pytest.raises(TypeError, match=r"people\.0\.betas"):
        save_result(tmp_path, bodies)
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize("name", ["result.json", "arrays.npz"])
def test_damaged_result_counts_as_absent(tmp_path: Path, name: str) -> None:
    save_result(tmp_path, example_bodies())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-40])
    with pytest.raises(DamagedResultError):
        load_result(tmp_path, BodiesResult)


@dataclass
class Settings:
    size: int = 4
    body: Path = field(default_factory=Path)


def test_key_follows_settings_and_the_content_of_files(tmp_path: Path) -> None:
    file = tmp_path / "body.npz"
    file.write_bytes(b"one")
    moved = tmp_path / "moved.npz"
    moved.write_bytes(b"one")
    key = content_key("scene", Settings(4, file), ["upstream"])
    assert key == content_key("scene", Settings(4, moved), ["upstream"])
    assert key != content_key("scene", Settings(5, file), ["upstream"])
    assert key != content_key("scene", Settings(4, file), ["other"])
    file.write_bytes(b"two")
    assert key != content_key("scene", Settings(4, file), ["upstream"])


def test_finished_stage_is_reused_and_interrupted_one_runs_again(tmp_path: Path) -> None:
    cache = StageCache(tmp_path)
    calls: list[Path] = []

    def interrupted(folder: Path) -> BodiesResult:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    def make(folder: Path) -> BodiesResult:
        calls.append(folder)
        assert not (folder / "half").exists()
        (folder / "mask.png").write_text("mask")
        return example_bodies()

    with pytest.raises(KeyboardInterrupt):
        cache.run("bodies", "k1", BodiesResult, interrupted)
    assert not list(tmp_path.iterdir())
    killed = tmp_path / "bodies-k1.partial"
    killed.mkdir()
    (killed / "half").write_text("x")
    first = cache.run("bodies", "k1", BodiesResult, make)
    second = cache.run("bodies", "k1", BodiesResult, make)
    assert len(calls) == 1 and not first.reused and second.reused
    assert (second.folder / "mask.png").read_text() == "mask"
    assert_same(first.result, second.result)
    assert not cache.run("bodies", "k2", BodiesResult, make).reused
    assert not list(tmp_path.glob("*.partial"))


def test_damaged_stage_runs_again(tmp_path: Path) -> None:
    cache = StageCache(tmp_path)
    outcome = cache.run("bodies", "k", BodiesResult, lambda folder: example_bodies())
    (outcome.folder / "result.json").write_text("{")
    assert not cache.run("bodies", "k", BodiesResult, lambda folder: example_bodies()).reused
