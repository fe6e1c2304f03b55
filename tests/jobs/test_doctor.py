"""The doctor says each thing that is wrong in words, with what helps, and nothing else."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from josh_blender.jobs import doctor
from josh_blender.jobs.doctor import (
    Examination,
    Finding,
    cost_text,
    findings_of_report,
    first_findings,
    problem_of_python,
)
from josh_blender.jobs.environment import EngineState
from josh_blender.jobs.reconstruct_command import free_bytes
from josh_blender.jobs.set_up.lock import Package, Recipe, Wheel, recipe
from josh_blender.jobs.set_up.stamp import ALWAYS
from josh_blender.jobs.set_up.target import Target

TARGET = Target("linux-x86_64", (3, 11), "cpu")
RECIPE = recipe(TARGET)
MISSING = EngineState("missing", None, "The engine is not set up yet.", "Press Set Up Engine.")
READY = EngineState("ready", Path(sys.executable), "The engine is ready.")
GOOD: dict[str, Any] = {
    "packages": {"numpy": "2.4.6", "torch": "2.13.0"},
    "pose_models": "present",
    "body": "present",
    "devices": ["cpu"],
    "presets": {"preview": "", "paper": "The preset “paper” needs backends."},
}


def remedies(findings: list[Finding]) -> list[str]:
    return [finding.remedy for finding in findings if not finding.good]


def test_sizes_in_words() -> None:
    wheel = Package("a==1", (Wheel("a-1-py3-none-any.whl", "0", 400_000_000, 1_400_000_000),))
    small = Package("b==1", (Wheel("b-1-py3-none-any.whl", "0", 60_000_000, 0),))
    text = cost_text(Recipe(TARGET, small, small, (wheel,)))
    assert text == "Downloads 0.5 GB, takes 1.4 GB on the disk (1.9 GB while it is made)"


def test_a_look_at_files() -> None:
    assert first_findings(READY, False, None, None) == [Finding("The engine is ready.")]
    assert remedies(first_findings(MISSING, True, RECIPE, 10**11)) == ["set_up"]
    assert remedies(first_findings(MISSING, False, RECIPE, 10**11)) == ["set_up", "online_access"]
    assert remedies(first_findings(MISSING, True, RECIPE, 10**9)) == ["set_up", "choose"]
    assert remedies(first_findings(MISSING, True, RECIPE, None)) == ["set_up", "choose"]
    assert remedies(first_findings(MISSING, True, RECIPE, 10**11, "It has no pip")) == [
        "set_up",
        "choose",
    ]
    # A system without packages has no use for the button.
    assert remedies(first_findings(MISSING, True, None, 10**11)) == ["", "choose"]


def test_what_a_good_engine_says() -> None:
    findings = findings_of_report(GOOD, "cpu")
    assert all(finding.good for finding in findings)
    assert [finding.text for finding in findings][-1] == "Reconstructions can run here."


@pytest.mark.parametrize(
    "change, device, words",
    [
        ({"packages": {"numpy": "2.4.6", "torch": "not installed"}}, "cpu", "The package torch is not installed."),
        ({"packages": {"torch": "does not load (libc is too old)"}}, "cpu", "does not load (libc is too old)"),
        ({"pose_models": "The pose model x is damaged."}, "cpu", "The pose model x is damaged."),
        ({"presets": {"preview": "The disk is strange."}}, "cpu", "The disk is strange."),
        ({}, "cuda", "No NVIDIA card"),
    ],
)
def test_what_is_wrong_is_said_once(change: dict[str, Any], device: str, words: str) -> None:
    wrong = [finding for finding in findings_of_report({**GOOD, **change}, device) if not finding.good]
    assert len(wrong) == 1 and words in wrong[0].text
    assert wrong[0].remedy == ("" if device == "cuda" else "set_up")


def test_cuda_is_named_where_it_works() -> None:
    findings = findings_of_report({**GOOD, "devices": ["cpu", "cuda (a card)"]}, "cuda")
    assert all(finding.good for finding in findings) and "cuda (a card)" in findings[1].text


def state_that_runs(tmp_path: Path, program: str) -> EngineState:
    """An engine whose modules are a stand-in."""
    package = tmp_path / "josh_blender" / "engine"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text(program)
    return EngineState(
        "ready", Path(sys.executable), "Ready.", variables={"PYTHONPATH": str(tmp_path), **ALWAYS}, device="cpu"
    )


def examine(state: EngineState) -> list[Finding]:
    examination = Examination(state)
    deadline = time.monotonic() + 60
    while examination.poll() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not examination.running
    return examination.findings


def test_the_engines_report_is_read_beside_what_libraries_print(tmp_path: Path) -> None:
    program = f"import json; print('a library says hello'); print(json.dumps({GOOD!r})); print('{{}}')"
    assert examine(state_that_runs(tmp_path, program)) == findings_of_report(GOOD, "cpu")


def test_an_engine_that_dies_or_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dead,) = examine(state_that_runs(tmp_path / "dead", "raise SystemExit(3)"))
    assert "exit code 3" in dead.text and dead.remedy == "set_up"
    monkeypatch.setattr(doctor, "_LONGEST", 0.3)
    (silent,) = examine(state_that_runs(tmp_path / "silent", "import time; time.sleep(60)"))
    assert "does not answer" in silent.text and silent.remedy == "set_up"


def test_this_python_can_make_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problem_of_python() == ""
    monkeypatch.setattr(doctor, "PYTHONS", ((3, 99),))
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in problem_of_python()


def test_room_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    free = free_bytes(tmp_path / "not" / "yet")
    assert free is not None and free > 0
