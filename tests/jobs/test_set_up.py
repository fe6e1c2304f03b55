"""Set-up of an engine from tiny wheels made here: no network, and pip is that of the running Python."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from josh_blender.jobs.file_lock import lock
from josh_blender.jobs.protocol import Done, Message, Progress, Stage, Start, Warn, decode
from josh_blender.jobs.set_up import installer
from josh_blender.jobs.set_up.downloads import Downloads
from josh_blender.jobs.set_up.failure import SetUpError
from josh_blender.jobs.set_up.installer import SetUp, set_up
from josh_blender.jobs.set_up.lock import Package, Recipe, Wheel
from josh_blender.jobs.set_up.stamp import read_stamp
from josh_blender.jobs.set_up.target import Target

pytest.importorskip("pip", reason="this Python has no pip")
pytestmark = pytest.mark.slow

#: Stands for the pinned pip: knows its options and lets the pip of the running Python do the work.
_PIP = f"""
import os, subprocess, sys
arguments = [word for word in sys.argv[1:] if word != "raw" and word != "--progress-bar"]
if "download" in arguments:
    print("Progress 1 of 2", flush=True)
del os.environ["PYTHONPATH"]
sys.exit(subprocess.call([{sys.executable!r}, "-m", "pip", "--python", sys.executable, *arguments]))
"""


def make_wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> Path:
    """A wheel of any system."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(file), text)
    return path


def package_of(wheel: Path, hashed: bool = True) -> Package:
    name, version = wheel.name.split("-")[:2]
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest() if hashed else None
    return Package(f"{name}=={version}", (Wheel(wheel.name, sha256, wheel.stat().st_size, 4096),))


def plan_in(folder: Path) -> SetUp:
    """An engine of two packages; one of them, as PyTorch's own builds, without a hash of ours."""
    source = folder / "wheels é"
    recipe = Recipe(
        Target("linux-x86_64", (3, 11), "cpu"),
        pip=package_of(make_wheel(source, "pip", "99.0", {"pip/__init__.py": "", "pip/__main__.py": _PIP})),
        models=package_of(make_wheel(source, "models", "1.0", {"models.bin": "poses"})),
        packages=(
            package_of(make_wheel(source, "tiny", "1.0", {"tiny/__init__.py": "size = 1"})),
            package_of(make_wheel(source, "torch", "2.0+cpu", {"torch.py": "import tiny"}), hashed=False),
        ),
    )
    # The bare interpreter beneath this virtual environment, as Blender's own is.
    return SetUp(
        folder / "Engine é",
        recipe,
        Path(getattr(sys, "_base_executable", sys.executable)),
        source,
        fetch_models=("-c", "import sys, pathlib; pathlib.Path(sys.prefix, 'models').write_text(sys.argv[1])"),
        on_trial=("-c", "import torch, josh_blender"),
    )


@pytest.fixture
def plan(tmp_path: Path) -> SetUp:
    return plan_in(tmp_path)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[SetUp, list[Message]]:
    plan = plan_in(tmp_path_factory.mktemp("first"))
    return plan, run(plan)


@pytest.fixture
def finished(first_run: tuple[SetUp, list[Message]]) -> Path:
    """The folder of a finished engine; to be copied, not changed."""
    return first_run[0].folder


def run(plan: SetUp) -> list[Message]:
    messages: list[Message] = []
    set_up(plan, messages.append)
    return messages


def failure(plan: SetUp) -> SetUpError:
    with pytest.raises(SetUpError) as caught:
        run(plan)
    return caught.value


def test_from_nothing(first_run: tuple[SetUp, list[Message]]) -> None:
    plan, messages = first_run
    assert isinstance(messages[0], Start) and messages[0].scene == str(plan.folder)
    assert [one.name for one in messages if isinstance(one, Stage)] == list(installer.STAGES)
    assert messages[-1] == Done(str(plan.folder))
    downloads = [one for one in messages if isinstance(one, Progress) and one.total == plan.recipe.download]
    assert [one.done for one in downloads] == sorted(one.done for one in downloads)
    assert downloads[-1].done == plan.recipe.download
    assert any("tiny 1.0: " in one.detail for one in downloads)
    (warning,) = [one for one in messages if isinstance(one, Warn)]
    assert "torch 2.0+cpu" in warning.message and "checksum" in warning.message
    stamp = read_stamp(plan.folder)
    assert stamp is not None and stamp.complete and stamp.is_virtual
    assert stamp.packages == ("tiny==1.0", "torch==2.0+cpu") and stamp.recipe == plan.recipe.hash
    python = stamp.interpreter(plan.folder)
    said = subprocess.run([python, "-c", "import torch, tiny; print(tiny.size)"], capture_output=True, text=True)
    assert said.stdout == "1\n"
    assert not (plan.folder / "downloads").exists()
    # Nothing of this went into the Python that made it.
    assert subprocess.run([plan.base, "-c", "import tiny"], capture_output=True, cwd=plan.folder).returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for a Python is a shell script")
def test_without_virtual_environments_the_packages_go_into_a_folder(plan: SetUp, tmp_path: Path) -> None:
    base = tmp_path / "python without venv"
    base.write_text(f'#!/bin/sh\ncase "$*" in *"-m venv"*) exit 1;; esac\nexec "{plan.base}" "$@"\n')
    base.chmod(0o755)
    trial = (
        "import os, sys, torch, josh_blender; assert os.environ['JOSH4D_MODELS']; assert sys.prefix == sys.base_prefix"
    )
    models = "import os, pathlib, sys; pathlib.Path(os.environ['JOSH4D_MODELS']).write_text(sys.argv[1])"
    run(replace(plan, base=base, on_trial=("-c", trial), fetch_models=("-c", models)))
    stamp = read_stamp(plan.folder)
    assert stamp is not None and stamp.complete and not stamp.is_virtual
    assert stamp.interpreter(plan.folder) == base
    assert (plan.folder / "environment" / "site" / "tiny" / "__init__.py").is_file()


def test_goes_on_with_what_was_downloaded(plan: SetUp) -> None:
    assert plan.wheels is not None
    torch = next(plan.wheels.glob("torch-*"))
    torch.rename(plan.wheels / "kept")
    error = failure(plan).error
    assert error.kind == "missing_wheel" and "torch 2.0+cpu" in error.message
    stamp = read_stamp(plan.folder)
    assert stamp is not None and not stamp.complete

    # What is here already is not asked for again; what an interrupted download left is not taken for a wheel.
    (plan.wheels / "kept").rename(torch)
    for name in ("pip", "tiny"):
        next(plan.wheels.glob(f"{name}-*")).unlink()
    (plan.folder / "downloads" / "incoming").mkdir(exist_ok=True)
    (plan.folder / "downloads" / "incoming" / torch.name).write_bytes(b"half")
    words = json.dumps({"type": "error", "kind": "x", "message": "A library is broken.", "remedy": "Repair it."})
    error = failure(replace(plan, on_trial=("-c", f"print({words!r}); raise SystemExit(1)"))).error
    assert error.kind == "engine_does_not_run" and "A library is broken. Repair it." in error.message
    stamp = read_stamp(plan.folder)
    assert stamp is not None and not stamp.complete

    shutil.rmtree(plan.wheels)
    run(plan)
    stamp = read_stamp(plan.folder)
    assert stamp is not None and stamp.complete


def test_another_file_under_the_same_name_is_refused(plan: SetUp) -> None:
    assert plan.wheels is not None
    make_wheel(plan.wheels, "tiny", "1.0", {"tiny/__init__.py": "import antigravity"})
    error = failure(plan).error
    assert error.kind == "wrong_hash" and "tiny 1.0" in error.message
    assert not (plan.folder / "environment").exists()
    assert not list((plan.folder / "downloads").glob("tiny-*"))


def test_repair(plan: SetUp, finished: Path) -> None:
    """Over a broken engine, with a damaged download beside it."""
    shutil.copytree(finished, plan.folder, symlinks=True)
    stamp = read_stamp(plan.folder)
    assert stamp is not None and stamp.complete
    stamp.interpreter(plan.folder).unlink()
    (plan.folder / "environment" / "left over").write_text("")
    (plan.folder / "downloads").mkdir()
    (plan.folder / "downloads" / plan.recipe.packages[0].wheels[0].name).write_bytes(b"half of it")
    run(plan)
    assert stamp.interpreter(plan.folder).exists() and not (plan.folder / "environment" / "left over").exists()


def test_downloaded_here_and_installed_on_a_computer_without_a_network(plan: SetUp, tmp_path: Path) -> None:
    run(replace(plan, download_only=True))
    assert not (plan.folder / "environment").exists()
    run(replace(plan, folder=tmp_path / "there", wheels=plan.folder / "downloads"))
    stamp = read_stamp(tmp_path / "there")
    assert stamp is not None and stamp.complete


def test_an_engine_that_works_stays_until_the_new_one_is_downloaded(plan: SetUp, finished: Path) -> None:
    shutil.copytree(finished, plan.folder, symlinks=True)
    assert plan.wheels is not None
    shutil.rmtree(plan.wheels)
    failure(plan)
    stamp = read_stamp(plan.folder)
    assert stamp is not None and stamp.complete and stamp.interpreter(plan.folder).exists()


def test_too_little_room_is_said_before_anything_is_installed(plan: SetUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    error = failure(plan).error
    assert error.kind == "no_room" and "GB" in error.message and "kept" in error.remedy
    assert not (plan.folder / "environment").exists()


def test_a_disk_that_fills_up_on_the_way(plan: SetUp, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Downloads, "fetch", full)
    assert failure(plan).error.kind == "no_room"


def test_two_at_once(plan: SetUp) -> None:
    plan.folder.mkdir()
    with plan.log.open("a") as other:
        lock(other)
        assert failure(plan).error.kind == "being_set_up"
        other.write("the other's words")
    assert plan.log.read_text() == "the other's words"


def test_a_folder_of_the_users_own_is_left_alone(plan: SetUp) -> None:
    plan.folder.mkdir()
    (plan.folder / "holiday.mp4").write_text("mine")
    assert failure(plan).error.kind == "folder_in_use"
    assert [path.name for path in plan.folder.iterdir()] == ["holiday.mp4"]


def test_the_command_speaks_the_protocol(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "josh_blender.jobs.set_up", "--folder", str(tmp_path / "engine"), "--json"]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [*command, "--device", "cpu", "--wheels", str(tmp_path / "empty")],
        capture_output=True, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(decode(line) is not None for line in done.stdout.splitlines())
    assert done.returncode == 1 and messages[-1]["type"] == "error"
    if messages[0]["type"] == "start":
        assert messages[-1]["kind"] == "missing_wheel" and messages[-1]["message"].startswith("pip ")
        assert (tmp_path / "engine" / "set_up.log").read_text()
    shutil.rmtree(tmp_path / "engine", ignore_errors=True)
