"""The engine's Python is found where user, set-up, variable or installation say, and its state is told."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from josh_blender.jobs import environment
from josh_blender.jobs.environment import (
    default_engine_folder,
    engine_state,
    find_engine_python,
    python_of_environment,
    set_up_command,
)
from josh_blender.jobs.set_up.lock import recipe
from josh_blender.jobs.set_up.stamp import STAMP, Stamp, read_stamp, write_stamp
from josh_blender.jobs.set_up.target import Target

TARGET = Target("linux-x86_64", (3, 11), "cuda")


def make_environment(folder: Path) -> Path:
    python = python_of_environment(folder)
    python.parent.mkdir(parents=True)
    python.write_text("")
    return python


@pytest.fixture(autouse=True)
def nothing_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The extension lies in an empty folder; returns it."""
    package = tmp_path / "extension" / "josh_blender" / "jobs" / "environment.py"
    monkeypatch.setattr(environment, "__file__", str(package))
    monkeypatch.delenv("JOSH4D_PYTHON", raising=False)
    return tmp_path / "extension"


def finished_engine(folder: Path) -> Stamp:
    """A folder as a finished set-up leaves it."""
    base = folder.parent / "Blender é" / "python3.11"
    base.parent.mkdir(parents=True)
    base.write_text("")
    python = make_environment(folder / "environment")
    found = recipe(TARGET)
    assert found is not None
    packages = tuple(package.requirement for package in found.packages)
    relative = str(python.relative_to(folder))
    stamp = Stamp(True, TARGET.key, found.hash, relative, str(base), (str(base),), packages)
    write_stamp(folder, stamp)
    return stamp


def test_the_variable_comes_before_the_folder_beside(
    tmp_path: Path, nothing_beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_engine_python() is None
    beside = make_environment(nothing_beside / ".venv")
    assert find_engine_python() == beside
    variable = make_environment(tmp_path / "variable é")
    monkeypatch.setenv("JOSH4D_PYTHON", str(variable))
    assert find_engine_python() == variable
    monkeypatch.setenv("JOSH4D_PYTHON", str(tmp_path / "variable é"))
    assert find_engine_python() == variable
    assert engine_state(tmp_path / "none").python == variable


def test_missing(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "none", tmp_path):
        state = engine_state(folder)
        assert (state.kind, state.python) == ("missing", None)
        assert "Set Up Engine" in state.remedy


def test_ready_and_moved_together_with_its_folder(tmp_path: Path) -> None:
    finished_engine(tmp_path / "engine")
    (tmp_path / "engine").rename(tmp_path / "elsewhere")
    state = engine_state(tmp_path / "elsewhere")
    assert (state.kind, state.device) == ("ready", "cuda")
    assert state.python == python_of_environment(tmp_path / "elsewhere" / "environment")
    assert "torch 2" in state.message and "Python 3.11" in state.message
    assert Path(state.variables["PYTHONPATH"]) == Path(__file__).resolve().parents[2]


def test_packages_beside_blenders_own_python_are_named(tmp_path: Path) -> None:
    stamp = finished_engine(tmp_path / "engine")
    write_stamp(tmp_path / "engine", dataclasses.replace(stamp, python=stamp.base))
    state = engine_state(tmp_path / "engine")
    assert state.python == Path(stamp.base)
    assert str(tmp_path / "engine" / "environment" / "site") in state.variables["PYTHONPATH"]
    assert state.variables["JOSH4D_MODELS"].startswith(str(tmp_path / "engine"))
    assert state.variables["PYTHONNOUSERSITE"] == "1"


def test_broken_when_its_blender_or_its_interpreter_is_gone(tmp_path: Path) -> None:
    stamp = finished_engine(tmp_path / "engine")
    Path(stamp.base).rename(tmp_path / "python3.13")
    state = engine_state(tmp_path / "engine")
    assert (state.kind, state.python) == ("broken", None) and "Repair" in state.remedy
    (tmp_path / "python3.13").rename(stamp.base)
    assert engine_state(tmp_path / "engine").kind == "ready"
    stamp.interpreter(tmp_path / "engine").unlink()
    assert engine_state(tmp_path / "engine").kind == "broken"


def test_outdated_when_other_packages_are_needed(tmp_path: Path) -> None:
    stamp = finished_engine(tmp_path / "engine")
    for other in ({"recipe": "0" * 64}, {"target": "linux-x86_64-3.10-cpu"}, {"target": "something"}):
        write_stamp(tmp_path / "engine", dataclasses.replace(stamp, **other))
        assert engine_state(tmp_path / "engine").kind == "outdated"


def test_partial(tmp_path: Path) -> None:
    stamp = finished_engine(tmp_path / "engine")
    write_stamp(tmp_path / "engine", dataclasses.replace(stamp, complete=False))
    assert engine_state(tmp_path / "engine").kind == "partial"
    (tmp_path / "other" / "downloads").mkdir(parents=True)
    assert engine_state(tmp_path / "other").kind == "partial"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"complete": true}', "nul\0l"])
def test_a_damaged_stamp_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / STAMP).write_text(text)
    assert read_stamp(tmp_path) is None
    assert engine_state(tmp_path).kind == "missing"


def test_an_existing_python_wins(tmp_path: Path) -> None:
    finished_engine(tmp_path / "engine")
    mine = make_environment(tmp_path / "mine")
    assert engine_state(tmp_path / "engine", tmp_path / "mine").python == mine
    assert engine_state(tmp_path / "engine", mine).python == mine
    gone = engine_state(tmp_path / "engine", tmp_path / "gone")
    assert (gone.kind, gone.python) == ("missing", None) and "gone" in gone.message


def test_the_set_up_is_a_job_of_blenders_python(tmp_path: Path) -> None:
    command = set_up_command(Path(sys.executable), tmp_path / "engine é", "AUTO")
    assert command[0] == sys.executable and command[-1] == "--json"
    assert command[command.index("--folder") + 1] == str(tmp_path / "engine é")
    assert command[command.index("--device") + 1] == "auto"


@pytest.mark.skipif(sys.platform != "linux", reason="the folder of Linux")
def test_the_default_folder_is_the_users_and_the_same_for_every_blender(tmp_path: Path) -> None:
    assert default_engine_folder({"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "josh4d" / "engine"
    assert default_engine_folder({}) == Path.home() / ".local" / "share" / "josh4d" / "engine"
