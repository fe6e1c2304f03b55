"""pip is found in a Python with it, in one that only brings its wheel, and missed in words where there is none."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from josh_blender.jobs.set_up import pip_program
from josh_blender.jobs.set_up.failure import SetUpError
from josh_blender.jobs.set_up.pip_program import Pip, PipFailed, bundled_pip, first_pip


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Modules that this Python does not have."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else real(name))


def test_the_wheel_that_python_brings_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = bundled_pip()
    if wheel is None:
        pytest.skip("this Python has no ensurepip")
    hide(monkeypatch, "pip")
    with (tmp_path / "log").open("w+") as log:
        pip = first_pip(Path(sys.executable), tmp_path / "temporary", log)
        assert pip.library == wheel
        pip.run(["--version"])
        log.seek(0)
        assert str(wheel) in log.read()


def test_no_pip_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "pip", "ensurepip")
    monkeypatch.setattr(pip_program.sysconfig, "get_config_var", lambda name: None)
    with (tmp_path / "log").open("w") as log, pytest.raises(SetUpError) as caught:
        first_pip(Path(sys.executable), tmp_path, log)
    assert caught.value.error.kind == "no_pip" and "Python for Set Up" in caught.value.error.remedy


def test_progress_and_last_words(tmp_path: Path) -> None:
    library = tmp_path / "library"
    (library / "pip").mkdir(parents=True)
    (library / "pip" / "__init__.py").touch()
    (library / "pip" / "__main__.py").write_text(
        "import os, sys\n"
        "print('Progress 5 of 10'); print('Collecting', sys.argv[-1]); print('ERROR: no', file=sys.stderr)\n"
        "print(sorted(name for name in os.environ if name.startswith('PIP_')), os.environ['TMPDIR'])\n"
        "sys.exit(2)\n"
    )
    seen: list[tuple[int, int]] = []
    with (tmp_path / "log").open("w+") as log:
        pip = Pip(Path(sys.executable), library, tmp_path / "temporary", log)
        with pytest.raises(PipFailed) as caught:
            pip.run(["install", "tiny é"], lambda done, total: seen.append((done, total)), use_settings=False)
    assert seen == [(5, 10)]
    assert "ERROR: no" in caught.value.output and "Collecting tiny é" in caught.value.output
    # The user's settings are left aside, and temporary files lie on the disk that was chosen.
    kept = "['PIP_CONFIG_FILE', 'PIP_CONSTRAINT', 'PIP_USER']"
    assert f"{kept} {tmp_path / 'temporary'}" in caught.value.output


def test_constraints_of_the_user_do_not_refuse_what_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "constraints.txt").write_text("tiny<0.5\n")
    (tmp_path / "pip.conf").write_text(f"[global]\nconstraint = {tmp_path / 'constraints.txt'}\nno-index = true\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    with (tmp_path / "log").open("w") as log:
        pip = Pip(Path(sys.executable), None, tmp_path / "temporary", log)
        with pytest.raises(PipFailed) as caught:
            pip.run(["download", "--dest", str(tmp_path / "wheels"), "tiny==1.0"])
    # Not that the constraint is against it: it just is not there.
    assert "No matching distribution" in caught.value.output
