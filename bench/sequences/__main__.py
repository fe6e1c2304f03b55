"""``python -m bench.sequences NAME|all|FILE.bvh --output DIR``: films and their truth (docs/benchmark.md)."""

from __future__ import annotations

import argparse
import resource
from pathlib import Path

from bench.sample.shots import Shot

from .bvh import BvhError
from .make import make
from .recorded import Recording
from .truth import names, shot_of


def _processor_seconds() -> float:
    return sum(resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sequences", description=__doc__)
    parser.add_argument("name", metavar="NAME|all|FILE.bvh", help=", ".join(names()))
    parser.add_argument("--output", type=Path, required=True, help="folder of NAME.mp4 and NAME_truth.scene4d")
    parser.add_argument("--small", action="store_true", help="a few frames around the highlight, in small pictures")
    parser.add_argument("--truth-only", action="store_true", help="no video, depth or masks")
    parser.add_argument("--blender-python", type=Path, default=Path(".venv-bpy45/bin/python"))
    capture = parser.add_argument_group("of a BVH file")
    capture.add_argument("--from", type=float, default=0.0, dest="start", help="second at which the film begins")
    capture.add_argument("--seconds", type=float, default=5.0, help="length of the film")
    capture.add_argument("--height", type=float, default=1.75, help="of the person, m")
    arguments = parser.parse_args()
    is_file = arguments.name.lower().endswith(".bvh")
    if not is_file and arguments.name not in ("all", *names()):
        parser.error(f"There is no sequence {arguments.name}; there are {', '.join(names())}.")
    if is_file and not Path(arguments.name).is_file():
        parser.error(f"There is no file {arguments.name}.")
    if is_file:
        recording = Recording(Path(arguments.name), arguments.start, arguments.seconds, arguments.height)
        films: list[tuple[Shot, Recording | None]] = [(recording.shot(), recording)]
    else:
        chosen = names() if arguments.name == "all" else (arguments.name,)
        films = [(shot_of(name, arguments.small), None) for name in chosen]
    for shot, recorded in films:
        before = _processor_seconds()
        try:
            made = make(shot, arguments.output, arguments.blender_python, arguments.truth_only, recorded)
        except BvhError as error:
            parser.error(str(error))
        spent = f"made in {_processor_seconds() - before:.0f} s of processor time" if made else "unchanged"
        print(f"{shot.name}: {shot.frames} frames, {spent}", flush=True)


if __name__ == "__main__":
    main()
