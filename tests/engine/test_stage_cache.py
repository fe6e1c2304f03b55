"""Stage results survive the disk bit for bit; interrupted stages run again, finished ones do not."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from josh_blender.engine import stage_cache
from josh_blender.engine.presets import STAGES
from josh_blender.engine.results import BodiesResult, FramesResult, JointResult, PersonFit, VideoSource
from josh_blender.engine.stage_cache import (
    DamagedResultError,
    StageCache,
    code_version,
    content_key,
    load_result,
    save_result,
)
from josh_blender.engine.stage_sources import SOURCES


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


def test_code_version_follows_the_text_of_every_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_cache, "_PACKAGE", tmp_path)
    (tmp_path / "sfm" / "deep").mkdir(parents=True)
    (tmp_path / "stage.py").write_text("a = 1")
    (tmp_path / "sfm" / "deep" / "mapping.py").write_text("b = 1")
    (tmp_path / "sfm" / "notes.txt").write_text("not code")
    version = code_version("stage.py", "sfm")
    (tmp_path / "sfm" / "notes.txt").write_text("still not code")
    assert code_version("stage.py", "sfm") == version
    (tmp_path / "sfm" / "deep" / "mapping.py").write_text("b = 2")
    changed = code_version("stage.py", "sfm")
    assert changed != version
    (tmp_path / "sfm" / "deep" / "mapping.py").rename(tmp_path / "sfm" / "deep" / "moved.py")
    assert code_version("stage.py", "sfm") not in (version, changed)


def test_every_part_of_the_engine_that_a_cached_stage_uses_is_in_its_key() -> None:
    """What a stage's modules import from the engine must be among its sources or those of a stage before it."""
    listed: set[Path] = set()
    for stage in STAGES[:-1]:
        for source in SOURCES[stage]:
            path = stage_cache._PACKAGE / source
            assert path.exists(), source
            listed |= {path} if path.suffix == ".py" else set(path.rglob("*.py"))
        for module in sorted(path for path in listed if "engine" in path.relative_to(stage_cache._PACKAGE).parts):
            for imported in _project_imports(module):
                inside_engine = imported.relative_to(stage_cache._PACKAGE).parts[0] == "engine"
                assert not inside_engine or imported in listed, f"{stage}: {module.name} uses {imported}"


def _project_imports(module: Path) -> set[Path]:
    """Files of the modules that a module imports relatively."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = module.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            names = [base.with_suffix(".py"), *(base / f"{alias.name}.py" for alias in node.names)]
            found |= {path for path in names if path.is_file()}
    return found


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
