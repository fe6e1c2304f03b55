"""``josh4d inspect``, ``doctor`` and ``blend``; the latter with programs that play Blender."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic_scene import synthetic_scene

from josh_blender.engine import blender_programs
from josh_blender.engine.blender_programs import find_blender
from josh_blender.engine.cli import main
from josh_blender.engine.cli.inspect import as_text, summarize
from josh_blender.engine.presets import BACKENDS, PRESETS, STAGES, preset_problem
from josh_blender.scene4d.errors import UserError
from josh_blender.scene4d.files import read_scene, write_scene

posix = pytest.mark.skipif(sys.platform == "win32", reason="plays Blender with a shell script")


@pytest.fixture
def scene_folder(tmp_path: Path) -> Path:
    return write_scene(synthetic_scene(), tmp_path / "Platz ü 1.scene4d")


# --- inspect ---------------------------------------------------------------------------------------------------------


def test_inspect_figures_have_closed_forms(scene_folder: Path) -> None:
    scene = read_scene(scene_folder)
    camera, person = scene.camera, scene.people[0]
    camera.time = camera.frame / 10.0
    camera.world_from_camera[:, :3, 3] = 0.0
    camera.world_from_camera[:, 0, 3] = np.linspace(0.0, 3.0, len(camera.frame))
    camera.world_from_camera[:, 2, 3] = 1.6
    # Half a metre per frame, ten frames a second; the height of the step does not count.
    person.trans[:] = np.arange(len(person.frame))[:, None] * np.array([0.3, 0.4, 0.2])
    summary = summarize(scene)
    assert summary["camera"]["path_length"] == pytest.approx(3.0)
    assert summary["camera"]["height"] == pytest.approx(1.6)
    first = summary["people"][0]
    assert first["speed"] == pytest.approx(5.0, rel=1e-4)
    assert first["frames"] == [int(person.frame[0]), int(person.frame[-1])]
    assert summary["source"]["seconds"] == pytest.approx((camera.frame[-1] - camera.frame[0]) / 10.0)
    assert "5.00 m/s" in as_text(summary)


def test_inspect_prints_text_and_json(scene_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(scene_folder)]) == 0
    text = capfd.readouterr().out
    assert "Person 1" in text and "camera" in text
    assert main(["inspect", str(scene_folder), "--json"]) == 0
    data = json.loads(capfd.readouterr().out)
    assert len(data["people"]) == len(read_scene(scene_folder).people)


def test_inspect_of_what_is_no_scene(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path)]) == 1
    said = capfd.readouterr()
    assert said.out == "" and said.err.startswith("josh4d: ") and said.err.count("\n") == 1
    assert main(["inspect", str(tmp_path), "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["kind"] == "not_a_scene"


# --- presets and doctor ----------------------------------------------------------------------------------------------


def test_every_preset_names_a_backend_for_every_stage() -> None:
    assert all(tuple(preset) == STAGES for preset in PRESETS.values())
    assert all((stage, name) in BACKENDS for stage, name in PRESETS["preview"].items())


def test_preset_that_cannot_run_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = preset_problem("quality")
    assert problem is not None and "rtdetr-sam2-vitpose (people)" in problem.message and "preview" in problem.remedy
    with pytest.raises(UserError, match="draft"):
        preset_problem("draft")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in ("torch", "av") else object())
    problem = preset_problem("preview")
    assert problem is not None and "has no av, torch" in problem.message


def test_doctor_tells_programs_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    state = lines[0]
    assert state["packages"]["numpy"] == np.__version__
    assert (code == 0) == (state["presets"]["preview"] == "") == (len(lines) == 1)
    assert "backends" in state["presets"]["paper"]


# --- blend -----------------------------------------------------------------------------------------------------------


MESSAGE = '{"type": "error", "kind": "x", "message": "No people.", "remedy": "Go."}'


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_blender_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blender_programs, "ROOT", tmp_path / "project")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JOSH4D_BLENDER", raising=False)
    with pytest.raises(UserError, match="No Blender was found"):
        find_blender()
    old = program(tmp_path / "project" / ".venv-bpy45" / "bin" / "python", "")
    assert find_blender().path == old and find_blender().is_wheel
    new = program(tmp_path / "project" / ".venv-bpy52" / "bin" / "python", "")
    assert find_blender().path == new
    real = program(tmp_path / "bin" / "blender", "")
    assert find_blender().path == real and not find_blender().is_wheel
    monkeypatch.setenv("JOSH4D_BLENDER", str(tmp_path / "project" / ".venv-bpy45"))
    assert find_blender().path == old
    chosen = program(tmp_path / "Blender 4.5" / "blender", "")
    assert find_blender(chosen).path == chosen
    with pytest.raises(UserError, match="--blender names no program"):
        find_blender(tmp_path / "absent")


@posix
def test_blend_starts_blender_with_absolute_paths(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    script = f"""printf "%s\\n" "$@" > "{tmp_path}/words"; echo "Blender 4.5 noise"; touch "{tmp_path}/out/a b.blend"
echo '{{"type": "warning", "message": "23.976 fps drifts."}}'"""
    blender = program(tmp_path / "blender", script)
    words = ["blend", scene_folder.name, "--save", "out/a b.blend", "--blender", str(blender)]
    assert main(words) == 0
    said = capfd.readouterr().out.splitlines()
    assert said == ["  note: 23.976 fps drifts.", str(tmp_path / "out" / "a b.blend")]
    given = (tmp_path / "words").read_text().splitlines()
    assert given[:2] == ["--background", "--factory-startup"]
    assert given[given.index("--") + 1 :] == [str(scene_folder), "--save", str(tmp_path / "out" / "a b.blend")]


@posix
@pytest.mark.parametrize(
    "script, said",
    [
        (f"echo noise; echo '{MESSAGE}'; exit 1", "josh4d: No people. Go."),
        ("echo 'Segmentation fault' >&2; exit 139", "exit code 139: Segmentation fault"),
        ("exit 0", "exit code 0: it said nothing"),
    ],
)
def test_blender_that_fails_is_one_sentence(
    scene_folder: Path, tmp_path: Path, script: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    blender = program(tmp_path / "blender", script)
    assert main(["blend", str(scene_folder), "--save", str(tmp_path / "x.blend"), "--blender", str(blender)]) == 1
    error = capfd.readouterr().err
    assert said in error and error.count("\n") == 1


def test_blend_without_an_output(scene_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["blend", str(scene_folder)]) == 1
    assert "--save" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("environment", [".venv-bpy45", ".venv-bpy52"])
def test_blend_in_a_real_blender(scene_folder: Path, tmp_path: Path, environment: str) -> None:
    home = blender_programs.ROOT / environment
    if not home.is_dir():
        pytest.skip(f"there is no {environment}")
    saved = tmp_path / "Datei é.blend"
    command = [sys.executable, "-m", "josh_blender.engine", "blend", str(scene_folder), "--save", str(saved)]
    done = subprocess.run(
        [*command, "--blender", str(home)], cwd=blender_programs.ROOT, env=os.environ, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()
    assert saved.stat().st_size > 10_000
