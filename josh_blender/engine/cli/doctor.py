"""``josh4d doctor``: what is installed, which presets can run here and why not."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from ... import __version__
from ...scene4d.body import default_body_path
from ...scene4d.errors import UserError
from ..blender_programs import find_blender
from ..console import Console
from ..presets import PRESETS, preset_problem

#: What the default pipeline imports, by the name under which pip knows it.
_PACKAGES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "cv2": "opencv-python",
    "av": "av",
    "pycolmap": "pycolmap",
    "ai_edge_litert": "ai-edge-litert",
    "torch": "torch",
}


def add_parser(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor", help="say what is installed and what can run", description="Say what is installed and what can run."
    )
    parser.add_argument("--json", action="store_true", help="JSON for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the state of the installation.

    Raises:
        UserError: the default preset cannot run here.
    """
    state = examine()
    console.value(state, as_text(state))
    problem = state["presets"]["preview"]
    if problem:
        raise UserError("not_ready", "The default preset cannot run here.", problem)
    return 0


def examine() -> dict[str, Any]:
    """The state of the installation. Packages are really imported: a broken library is found here, not in a run."""
    packages = {name: _package(module, name) for module, name in _PACKAGES.items()}
    models = _models()
    body = None if default_body_path().is_file() else "The body of the project is missing; install the package again."
    broken = [f"{name}: {problem}" for name, (_, problem) in packages.items() if problem]
    blockers = [*broken, *(text for text in (models, body) if text)]
    return {
        "version": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "packages": {name: version or problem for name, (version, problem) in packages.items()},
        "devices": _devices(),
        "pose_models": models or "present",
        "body": body or "present",
        "blender": _blender(),
        "free_disk_gb": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        "presets": {preset: _preset(preset, blockers) for preset in PRESETS},
    }


def _package(module: str, name: str) -> tuple[str, str]:
    """Version and problem of a package; one of them is empty."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == module
        return "", "not installed" if absent else f"does not load ({str(error).splitlines()[0]})"
    try:
        return importlib.metadata.version(name), ""
    except importlib.metadata.PackageNotFoundError:
        return "unknown version", ""


def _models() -> str:
    try:
        from ..detection.models import MODEL_FILES, read_model

        for file in MODEL_FILES:
            read_model(file)
    except UserError as error:
        return str(error)
    return ""


def _devices() -> list[str]:
    try:
        import torch
    except ImportError:
        return []
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices.append(f"cuda ({torch.cuda.get_device_name(0)})")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return devices


def _blender() -> str:
    try:
        return str(find_blender().path)
    except UserError as error:
        return str(error)


def _preset(preset: str, blockers: list[str]) -> str:
    """Why a preset cannot run; empty where it can."""
    problem = preset_problem(preset)
    return str(problem) if problem is not None else " ".join(blockers)


def as_text(state: dict[str, Any]) -> str:
    """The state for a person."""
    lines = [f"josh4d {state['version']}, Python {state['python']}, {state['platform']}"]
    lines += [f"  {name:<16} {value}" for name, value in state["packages"].items()]
    lines.append(f"  {'devices':<16} {', '.join(state['devices']) or 'none'}")
    for name in ("pose_models", "body", "blender"):
        lines.append(f"  {name.replace('_', ' '):<16} {state[name]}")
    lines.append(f"  {'free disk':<16} {state['free_disk_gb']} GB")
    lines += [f"  preset {name:<9} {problem or 'can run'}" for name, problem in state["presets"].items()]
    return "\n".join(lines)
