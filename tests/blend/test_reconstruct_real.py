"""The whole way with the real engine: a few frames of the sample clip, detected, cancelled, continued, imported."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy", reason="needs a bpy environment")

from blender_helpers import part  # noqa: E402
from conftest import ROOT  # noqa: E402
from test_reconstruct import PACKAGE, Studio, studio  # noqa: E402, F401

from josh_blender.jobs.environment import python_of_environment  # noqa: E402
from josh_blender.scene4d.files import read_scene  # noqa: E402

PYTHON = python_of_environment(ROOT / ".venv")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.is_file(), reason="there is no engine in .venv"),
]


@pytest.fixture
def real(studio: Studio) -> Studio:  # noqa: F811
    """The extension with the real engine, and twelve frames of the sample clip as its source."""
    environment = sys.modules[f"{PACKAGE}.josh_blender.jobs.environment"]
    engine = sys.modules[f"{PACKAGE}.operators.engine"]
    state = environment.EngineState(
        "ready", PYTHON, "", variables={**environment.engine_environment(), "OMP_NUM_THREADS": "1"}
    )
    studio.jobs.engine = lambda context: engine.EngineChoice(state, device="cpu")
    settings = studio.settings
    settings.source_kind = "VIDEO"
    settings.video = str(ROOT / "bench" / "sample" / "data" / "sample.mp4")
    settings.use_range, settings.start, settings.end = True, 20, 31
    settings.use_output, settings.output = True, str(studio.folder / "Ausgabe ü")
    return studio


def test_detect_then_cancel_then_continue_with_one_person(real):
    bpy.ops.josh4d.detect_people()
    real.tick_until(lambda: not real.entries, 240.0)
    detected = real.settings.detected
    assert len(detected) == 2 and all(Path(item.picture).is_file() for item in detected)
    assert all((item.first_frame, item.last_frame) == (20, 31) for item in detected)
    detected[0].counts, detected[1].counts = False, True
    real.settings.start_frame = 101

    bpy.ops.josh4d.reconstruct()
    entry = real.entries[0]
    real.tick_until(lambda: entry.stage >= 2, 240.0)
    assert entry.reused == {0, 1}, "what Detect First did is not done again"
    bpy.ops.josh4d.cancel_job(job=entry.id)
    real.tick_until(lambda: entry.ended)
    assert entry.state == "cancelled"
    bpy.ops.josh4d.continue_job(job=entry.id)
    shown = []
    real.tick_until(lambda: shown.append(entry.shown) or not real.entries, 400.0)
    assert max(shown) == 2, "cameras and points, then people"

    people = [item for item in bpy.data.objects if item.get("josh4d_kind") == "armature"]
    assert [item["josh4d_person"] for item in people] == [detected[1].person]
    assert (part("root")["josh4d_start_frame"], bpy.context.scene.frame_end) == (101, 112)
    assert not [one for one in bpy.data.collections if "josh4d_preview" in one]


def tiny_weights(path: Path) -> Path:
    """Weights of a tiny JOSH3R, made by the engine's Python: Blender's has no torch."""
    folders = (ROOT, ROOT / "tests" / "engine" / "networks")
    text = "import sys; from pathlib import Path; import tiny_networks; tiny_networks.write_josh3r(Path(sys.argv[1]))"
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    subprocess.run([str(PYTHON), "-c", text, str(path)], check=True, env=variables, stdin=subprocess.DEVNULL)
    return path


def test_the_fast_mode_from_the_panel_to_the_scene(real):
    choice = replace(real.jobs.engine(bpy.context), weights={"josh3r": tiny_weights(real.folder / "tiny.safetensors")})
    real.jobs.engine = lambda context: choice
    real.settings.mode = "josh3r"
    assert bpy.ops.josh4d.reconstruct() == {"FINISHED"}
    real.tick_until(lambda: not real.entries, 400.0)

    people = [item for item in bpy.data.objects if item.get("josh4d_kind") == "armature"]
    assert len(people) == 2 and all(item.animation_data.action for item in people)
    assert bpy.context.scene.camera is not None and part("cloud") is not None
    scene = read_scene(real.folder / "Ausgabe ü" / "sample.scene4d")
    assert scene.stages["motion"]["backend"] == "josh3r" and scene.scale.source == "network"
    assert any("not for commercial use" in text for text in scene.licences)


def test_weights_that_are_no_weights_are_said_in_the_panel(real):
    wrong = real.folder / "holiday.safetensors"
    wrong.write_bytes(b"no weights")
    choice = replace(real.jobs.engine(bpy.context), weights={"josh3r": wrong})
    real.jobs.engine = lambda context: choice
    real.settings.mode = "josh3r"
    bpy.ops.josh4d.reconstruct()
    entry = real.entries[0]
    real.tick_until(lambda: entry.ended, 240.0)
    assert entry.state == "failed" and entry.error.kind == "wrong_weights" and "holiday" in entry.error.message
