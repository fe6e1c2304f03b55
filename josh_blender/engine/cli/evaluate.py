"""``josh4d evaluate SCENE --truth TRUTH``: how far a scene is from a known one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ...scene4d.files import read_scene
from ..console import Console


def add_parser(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate", help="measure a 4D scene against a known one", description="Measure a 4D scene against a known one."
    )
    parser.add_argument("scene", metavar="SCENE", type=Path, help="a folder NAME.scene4d")
    parser.add_argument("--truth", metavar="TRUTH", type=Path, required=True, help="the known scene, a scene4d folder")
    parser.add_argument("--json", action="store_true", help="JSON for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the figures."""
    from ..evaluation import evaluate, table

    figures = evaluate(read_scene(arguments.scene), read_scene(arguments.truth))
    console.value(figures, table(figures))
    return 0
