"""The set-up, step by step: download, install, pose models, and a try of everything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..file_lock import lock
from ..protocol import Done, Message, Progress, Stage, Start, Warn
from ..torch_builds import PYTORCH_SITE, TORCH_BUILDS, pip_options
from .downloads import Downloads, sha256_of
from .failure import SetUpError, explain_pip, is_no_room, no_network, no_room
from .lock import Package, Recipe
from .pip_program import Pip, PipFailed, first_pip, unpacked_pip
from .stamp import (
    DOWNLOADS,
    ENVIRONMENT,
    LOG,
    SITE,
    STAMP,
    Stamp,
    environment_variables,
    files_of_base,
    read_stamp,
    write_stamp,
)

STAGES = ("prepare", "download", "install", "models", "check")
#: Beyond what the recipe counts: logs, temporary files, compiled modules.
_SPARE_ROOM = 300_000_000
#: Seconds between two looks at how much is installed.
_LOOK = 1.5
_MB = 1_000_000
#: Any system's wheel holds the models, which are the same in each; this is the one in the lock.
_MODELS_OPTIONS = ("--python-version", "311", "--platform", "manylinux_2_28_x86_64")
Send = Callable[[Message], None]


@dataclass(frozen=True)
class SetUp:
    """What to make, where, and with which Python.

    Attributes:
        wheels: a folder of wheels to take instead of the network; None for the network.
        download_only: stop when everything is downloaded, to take it to a computer without a network.
        fetch_models, on_trial: what the new interpreter is started with to take the models out of the wheel that is
            added as the last word, and to try everything; the modules are those of this installation.
    """

    folder: Path
    recipe: Recipe
    base: Path
    wheels: Path | None = None
    download_only: bool = False
    fetch_models: tuple[str, ...] = ("-m", "josh_blender.engine.detection.fetch_models", "--wheel")
    on_trial: tuple[str, ...] = ("-m", "josh_blender.engine", "doctor", "--json")

    @property
    def environment(self) -> Path:
        """The folder of the finished environment."""
        return self.folder / ENVIRONMENT

    @property
    def log(self) -> Path:
        """The log."""
        return self.folder / LOG


def set_up(plan: SetUp, send: Send) -> None:
    """Make the environment, or make it again; ends with `Done`.

    An environment that works stays until everything for the new one is downloaded.

    Raises:
        SetUpError: why it could not be made; what was downloaded is kept.
    """
    claim_folder(plan.folder)
    send(Start(list(STAGES), str(plan.folder), str(plan.log)))
    try:
        with plan.log.open("a", encoding="utf-8") as log:
            _claim_alone(plan, log)
            log.truncate(0)
            _run(plan, send, log)
    except OSError as error:
        if is_no_room(error):
            raise no_room(plan.folder) from error
        raise SetUpError(
            "cannot_write", f"“{plan.folder}” cannot be written: {error.strerror}.", "Choose another folder."
        ) from error
    send(Done(str(plan.folder)))


def claim_folder(folder: Path) -> None:
    """Make the folder where there is none.

    Raises:
        SetUpError: ``folder_in_use`` for one that holds something of the user, ``cannot_write``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # DOWNLOADS alone: brought from another computer.
        foreign = [path for path in folder.iterdir() if path.name not in (DOWNLOADS, LOG)]
    except OSError as error:
        raise SetUpError(
            "cannot_write", f"“{folder}” cannot be made: {error.strerror}.", "Choose another folder for the engine."
        ) from error
    if foreign and not (folder / STAMP).exists():
        raise SetUpError(
            "folder_in_use",
            f"“{folder}” holds other files, and the engine needs a folder of its own.",
            "Choose an empty folder, or the name of a new one.",
        )


def _claim_alone(plan: SetUp, log: IO[str]) -> None:
    try:
        lock(log)
    except OSError as error:
        raise SetUpError(
            "being_set_up",
            f"Another Blender is setting up the engine in “{plan.folder}” right now.",
            "Wait until it has ended.",
        ) from error


def _run(plan: SetUp, send: Send, log: IO[str]) -> None:
    send(Stage("prepare", 0))
    downloads = Downloads(plan.folder / DOWNLOADS)
    earlier = read_stamp(plan.folder)
    if earlier is None:
        write_stamp(plan.folder, _stamp(plan, "", complete=False))
    downloads.begin()
    pip = _pinned_pip(plan, downloads, log)
    kept = {package: downloads.kept(package) for package in plan.recipe.everything}
    _check_room(plan, [package for package, path in kept.items() if path is None])

    send(Stage("download", 1))
    wheels = _download(plan, downloads, pip, kept, send)
    if plan.download_only:
        return

    send(Stage("install", 2))
    write_stamp(plan.folder, _stamp(plan, "", complete=False))
    _remove(plan.environment)
    python = _make_environment(plan, log)
    _install(plan, pip, python, wheels, send)

    variables = environment_variables(plan.folder, python is not None)
    interpreter = python or plan.base
    send(Stage("models", 3))
    fetch = (*plan.fetch_models, str(wheels[plan.recipe.models]))
    _run_engine(interpreter, fetch, variables, log, "The pose models could not be put in place", plan.log)

    send(Stage("check", 4))
    _run_engine(interpreter, plan.on_trial, variables, log, "The engine was installed but does not run here", plan.log)
    _warn_about_device(plan, interpreter, variables, send)
    relative = str(python.relative_to(plan.folder)) if python is not None else str(plan.base)
    write_stamp(plan.folder, _stamp(plan, relative, complete=True))
    downloads.clear()


def _stamp(plan: SetUp, python: str, complete: bool) -> Stamp:
    packages = tuple(package.requirement for package in plan.recipe.packages)
    base_files = files_of_base(plan.base)
    return Stamp(
        complete, plan.recipe.target.key, plan.recipe.hash, python, str(plan.base), base_files, packages
    )  # fmt: skip


def _pinned_pip(plan: SetUp, downloads: Downloads, log: IO[str]) -> Pip:
    wheel = downloads.kept(plan.recipe.pip)
    if wheel is None:
        first = first_pip(Path(sys.executable), downloads.temporary, log)
        with _explained(plan, plan.recipe.pip.label):
            wheel = downloads.fetch(first, plan.recipe.pip, _source(plan), lambda done, total: None)
    return Pip(plan.base, unpacked_pip(wheel, downloads.folder), downloads.temporary, log)


def _source(plan: SetUp) -> list[str]:
    if plan.wheels is not None:
        return ["--no-index", "--find-links", str(plan.wheels)]
    return ["--retries", "3", "--timeout", "30"]


def _check_room(plan: SetUp, missing: Sequence[Package]) -> None:
    needed = sum(package.download for package in missing) + plan.recipe.disk + _SPARE_ROOM - tree_size(plan.environment)
    if shutil.disk_usage(plan.folder).free < needed:
        raise no_room(plan.folder, needed)


def _download(
    plan: SetUp, downloads: Downloads, pip: Pip, kept: dict[Package, Path | None], send: Send
) -> dict[Package, Path]:
    """The wheel of every package."""
    total = plan.recipe.download
    done = 0
    wheels: dict[Package, Path] = {}
    for package in plan.recipe.everything:
        path = kept[package]
        if path is None:
            send(Progress(done, total, f"{package.label}: {_size(package.download)}"))

            def on_progress(got: int, size: int, before: int = done, package: Package = package) -> None:
                detail = f"{package.label}: {got / _MB:.0f} of {_size(size)}"
                send(Progress(min(before + got, total), total, detail))

            with _explained(plan, package.label):
                options = [*_source(plan), *_options_of(plan, package, send)]
                path = downloads.fetch(pip, package, options, on_progress)
        wheels[package] = path
        done += package.download
        send(Progress(min(done, total), total, package.label))
    return wheels


def _options_of(plan: SetUp, package: Package, send: Send) -> list[str]:
    """What else pip is told for a package: PyTorch's own index for a build that only it has."""
    progress = ["--progress-bar", "raw"]
    if package == plan.recipe.models:
        return [*progress, *_MODELS_OPTIONS]
    target = plan.recipe.target
    index = TORCH_BUILDS[target.system, target.device]
    if package.name != "torch" or not index:
        return progress
    if not package.hashes:
        send(Warn(f"{package.label} is compared with the checksum of the place it comes from, if it gives one."))
    return [*progress, *(pip_options(index) if plan.wheels is None else [])]


def _make_environment(plan: SetUp, log: IO[str]) -> Path | None:
    """A virtual environment; its interpreter, or None where this Python cannot make one that runs."""
    python = plan.environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    make = [str(plan.base), "-P", "-m", "venv", "--without-pip", str(plan.environment)]
    check = [str(python), "-c", "import sys; sys.exit(sys.prefix == sys.base_prefix)"]
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    for command in (make, check):
        try:
            code = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=variables
            ).returncode
        except OSError:
            code = -1
        if code != 0:
            _remove(plan.environment)
            (plan.environment / SITE).mkdir(parents=True)
            log.write("This Python makes no virtual environment; the packages go into a folder of their own.\n")
            return None
    return python


def _install(plan: SetUp, pip: Pip, python: Path | None, wheels: dict[Package, Path], send: Send) -> None:
    """Install the downloaded wheels, each compared with its hash once more."""
    wanted = pip.temporary / "wanted.txt"
    lines = [f"{package.requirement} --hash=sha256:{sha256_of(wheels[package])}" for package in plan.recipe.packages]
    wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
    where = ["--target", str(plan.environment / SITE)] if python is None else []
    arguments = ["install", "--no-deps", "--no-index", "--find-links", str(pip.temporary.parent), "--no-compile",
                 "--no-warn-script-location", "--require-hashes", "--requirement", str(wanted), *where]  # fmt: skip
    installing = Pip(python or plan.base, pip.library, pip.temporary, pip.log)
    total = plan.recipe.disk

    def look() -> None:
        while not ended.wait(_LOOK):
            size = min(tree_size(plan.environment) + tree_size(pip.temporary), total)
            send(Progress(size, total, f"{size / _MB:.0f} of {_size(total)}"))

    ended = threading.Event()
    watcher = threading.Thread(target=look, name="progress", daemon=True)
    watcher.start()
    try:
        with _explained(plan, "The engine"):
            installing.run(arguments, use_settings=False)
    finally:
        ended.set()
        watcher.join()
    send(Progress(total, total))


def _run_engine(
    python: Path, arguments: Sequence[str], variables: dict[str, str], log: IO[str], problem: str, log_path: Path
) -> str:
    """Run a module of the engine in the new environment; returns what it printed.

    Raises:
        SetUpError: ``engine_does_not_run``, with its own words.
    """
    try:
        done = subprocess.run(
            [str(python), *arguments], stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
            errors="replace", env={**os.environ, **variables},
        )  # fmt: skip
    except OSError as error:
        raise SetUpError("engine_does_not_run", f"{problem}: {error.strerror}.", f"The log is {log_path}.") from error
    log.write(done.stdout + done.stderr)
    if done.returncode != 0:
        said = _reason(done.stdout, done.stderr)
        raise SetUpError("engine_does_not_run", f"{problem}: {said}", f"The log is {log_path}.")
    return done.stdout


def _reason(output: str, errors: str) -> str:
    lines = [line for line in (errors + "\n" + output).splitlines() if line.strip()]
    for line in reversed(lines):
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict) and data.get("type") == "error":
            return f"{data.get('message', '')} {data.get('remedy', '')}".strip()
    return lines[-1].strip() if lines else "it gave no reason."


def _warn_about_device(plan: SetUp, python: Path, variables: dict[str, str], send: Send) -> None:
    if plan.recipe.target.device != "cuda":
        return
    check = [str(python), "-c", "import sys, torch; sys.exit(not torch.cuda.is_available())"]
    if subprocess.run(check, stdin=subprocess.DEVNULL, capture_output=True, env={**os.environ, **variables}).returncode:
        send(
            Warn("No NVIDIA card can be used: its driver is missing or too old. The engine computes on the processor.")
        )


@contextmanager
def _explained(plan: SetUp, what: str) -> Iterator[None]:
    """Put a failure of pip into words."""
    try:
        yield
    except PipFailed as failure:
        error = explain_pip(failure.output, what, plan.folder, plan.log)
        if "No matching distribution" in failure.output:
            if plan.wheels is not None:
                error = SetUpError(
                    "missing_wheel", f"{what} is not in “{plan.wheels}”.", "Add its wheel to the folder."
                )
            elif "+" in what:
                # A build that only PyTorch's own index has.
                error = no_network(what, f"PyTorch's own site ({PYTORCH_SITE})")
        raise error from failure


def _remove(folder: Path) -> None:
    """Remove what was made here.

    Raises:
        SetUpError: ``in_use``: another program still runs from it.
    """
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise SetUpError(
            "in_use",
            f"The engine in “{folder}” cannot be replaced while it is in use: {error.strerror}.",
            "Wait until its reconstruction has ended, close other Blenders, and press Set Up Engine again.",
        ) from error


def tree_size(folder: Path) -> int:
    """Bytes of the files of a folder, in whole blocks where the system counts them; 0 for none."""
    size = 0
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        found = entry.stat(follow_symlinks=False)
                        size += found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size
        except OSError:
            # Files come and go while pip works.
            continue
    return size


def _size(size: int) -> str:
    return f"{size / _MB:.0f} MB"
