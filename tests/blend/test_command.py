"""``python -m josh_blender.blend`` as `josh4d blend` runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from conftest import ROOT  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.scene4d.files import write_scene  # noqa: E402


def blend(tmp_path, *words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BLENDER_USER_RESOURCES": str(tmp_path / "user")}
    return subprocess.run(
        [sys.executable, "-m", "josh_blender.blend", *map(str, words)], capture_output=True, text=True, timeout=120,
        env=environment, cwd=tmp_path,
    )  # fmt: skip


def test_every_output(tmp_path):
    scene4d = synthetic_scene(frame_count=4, points=500, width=96, height=54)
    folder = write_scene(scene4d, tmp_path / "Straße 1.scene4d")
    outputs = {name: tmp_path / f"out é.{name}" for name in ("blend", "fbx", "usd", "png")}
    flags = zip(("--save", "--fbx", "--usd", "--render"), outputs.values(), strict=True)
    done = blend(tmp_path, folder, *(word for pair in flags for word in pair))
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(path.stat().st_size > 1000 for path in outputs.values())
    assert not (set(tmp_path.glob("*")) - {folder, tmp_path / "Straße 1.scene4d.json", tmp_path / "user"}
                - set(outputs.values()))  # fmt: skip


@pytest.mark.parametrize("kind", ["missing_scene", "invalid_scene"])
def test_what_is_no_scene(tmp_path, kind):
    folder = tmp_path / "walk.scene4d"
    if kind == "invalid_scene":
        write_scene(synthetic_scene(people=0, frame_count=2, points=0), folder)
        (folder / "cloud.ply").write_bytes(b"")
    done = blend(tmp_path, folder, "--save", tmp_path / "x.blend")
    assert done.returncode == 1
    errors = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"type": "error"')]
    assert [error["kind"] for error in errors] == [kind]
    assert errors[0]["remedy"]
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "x.blend").exists()


def test_an_output_that_cannot_be_written(tmp_path):
    folder = write_scene(synthetic_scene(people=0, frame_count=2, points=0), tmp_path / "walk.scene4d")
    done = blend(tmp_path, folder, "--save", tmp_path / "no such folder" / "x.blend")
    assert done.returncode == 1
    assert '"type": "error"' in done.stdout and "Traceback" not in done.stderr
