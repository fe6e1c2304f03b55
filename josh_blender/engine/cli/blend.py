"""``josh4d blend SCENE --save X.blend``: a child Blender opens the scene and saves, exports or renders it."""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path
from typing import Any

from ...jobs.protocol import Error, Warn, decode
from ...scene4d.errors import UserError
from ...scene4d.files import resolve_scene_folder
from ..blender_programs import ROOT, find_blender
from ..console import Console

#: Outputs of ``josh_blender.blend`` and what they are.
_OUTPUTS = {
    "save": ("X.blend", "save a Blender file"),
    "fbx": ("X.fbx", "export FBX"),
    "usd": ("X.usd", "export USD"),
    "render": ("X.png", "render the scene from its camera"),
    "composite": ("X.png", "render a still of the middle frame over the plate"),
    "movie": ("X.mp4", "render a movie over the plate"),
}


def add_parser(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "blend",
        help="open a 4D scene in Blender and save, export or render it",
        description="Open a 4D scene in Blender.",
    )
    parser.add_argument("scene", metavar="SCENE", type=Path, help="a folder NAME.scene4d")
    for name, (example, text) in _OUTPUTS.items():
        parser.add_argument(f"--{name}", metavar=example, type=Path, help=text)
    parser.add_argument("--blender", metavar="PATH", type=Path, help="which Blender, or a Python with bpy")
    parser.add_argument("--json", action="store_true", help="JSON for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the child Blender.

    Raises:
        UserError: there is nothing to do, no Blender, no scene, or Blender failed.
    """
    outputs = {name: Path(getattr(arguments, name)).absolute() for name in _OUTPUTS if getattr(arguments, name)}
    if not outputs:
        raise UserError("nothing_to_do", "No output is asked for.", f"Give one of --{', --'.join(_OUTPUTS)}.")
    scene = resolve_scene_folder(arguments.scene).absolute()
    for path in outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    words = [str(scene), *(word for name, path in outputs.items() for word in (f"--{name}", str(path)))]
    program = find_blender(arguments.blender)
    # Blender's output is long and speaks of other things: it is shown only by its last lines, where it fails.
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    child = subprocess.run(
        program.command(words), env=variables, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    for line in child.stdout.splitlines():
        message = decode(line)
        if isinstance(message, Warn):
            console.send(message)
    missing = [path for path in outputs.values() if not path.exists()]
    if child.returncode != 0 or missing:
        raise _failure(child.stdout + b"\n" + child.stderr, child.returncode, program.path)
    console.value({name: str(path) for name, path in outputs.items()}, "\n".join(map(str, outputs.values())))
    return 0


def _failure(output: bytes, code: int, program: Path) -> UserError:
    lines = [line for line in output.splitlines() if line.strip()]
    for line in reversed(lines):
        message = decode(line)
        if isinstance(message, Error):
            return UserError(message.kind, message.message, message.remedy)
    last = lines[-1].decode("utf-8", "replace").strip() if lines else "it said nothing"
    return UserError(
        "blender_failed", f"Blender stopped with exit code {code}: {last}", f"Check that “{program}” starts by itself."
    )
