"""The engine's Python is found where the user, the variable or the installation says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from josh_blender.jobs import environment
from josh_blender.jobs.environment import engine_works, find_engine_python, python_of_environment


def make_environment(folder: Path) -> Path:
    python = python_of_environment(folder)
    python.parent.mkdir(parents=True)
    python.write_text("")
    return python


def test_configured_comes_before_the_variable_and_the_folder_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "extension" / "josh_blender" / "jobs" / "environment.py"
    monkeypatch.setattr(environment, "__file__", str(package))
    monkeypatch.delenv("JOSH4D_PYTHON", raising=False)
    assert find_engine_python() is None
    beside = make_environment(tmp_path / "extension" / ".venv")
    assert find_engine_python() == beside
    variable = make_environment(tmp_path / "variable é")
    monkeypatch.setenv("JOSH4D_PYTHON", str(variable))
    assert find_engine_python() == variable
    configured = make_environment(tmp_path / "configured")
    assert find_engine_python(tmp_path / "configured") == configured
    assert find_engine_python(tmp_path / "removed") == variable


def test_broken_environment_is_noticed(tmp_path: Path) -> None:
    python = make_environment(tmp_path / "broken")
    python.chmod(0o755)
    assert not engine_works(python)
    assert not engine_works(tmp_path / "absent")
    # These tests also run inside Blender's Python, which has no torch.
    assert engine_works(Path(sys.executable)) == (importlib.util.find_spec("torch") is not None)
