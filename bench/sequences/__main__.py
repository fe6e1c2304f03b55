"""``python -m bench.sequences NAME|all --output DIR``: renders sequences and writes their truth (docs/benchmark.md)."""

from __future__ import annotations

import argparse
import resource
from pathlib import Path

from .make import make
from .truth import names, shot_of


def _processor_seconds() -> float:
    return sum(resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sequences", description=__doc__)
    parser.add_argument("name", choices=("all", *names()), metavar="NAME|all", help=", ".join(names()))
    parser.add_argument("--output", type=Path, required=True, help="folder of NAME.mp4 and NAME_truth.scene4d")
    parser.add_argument("--small", action="store_true", help="a few frames around the highlight, in small pictures")
    parser.add_argument("--truth-only", action="store_true", help="no video, depth or masks")
    parser.add_argument("--blender-python", type=Path, default=Path(".venv-bpy45/bin/python"))
    arguments = parser.parse_args()
    for name in names() if arguments.name == "all" else (arguments.name,):
        before = _processor_seconds()
        shot = shot_of(name, arguments.small)
        made = make(shot, arguments.output, arguments.blender_python, arguments.truth_only)
        spent = f"made in {_processor_seconds() - before:.0f} s of processor time" if made else "unchanged"
        print(f"{name}: {shot.frames} frames, {spent}", flush=True)


if __name__ == "__main__":
    main()
