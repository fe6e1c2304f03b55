"""``python -m josh_blender.blend SCENE --save X.blend [--fbx X] [--usd X] [--render X.png] ...`` inside a Blender.

Prints one JSON line (docs/job_protocol.md) and exits with 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import bpy

from ..scene4d.errors import UserError
from ..scene4d.files import read_scene
from ..scene4d.scene import Scene4D
from . import composite
from .export import export_fbx, export_usd
from .importer import import_scene
from .render import render_still
from .render_size import shrink_to

#: Longest sides of the composited still and movie in px.
_STILL_SIDE, _MOVIE_SIDE = 1280, 640


def _say(message_type: str, **values: str) -> None:
    print(json.dumps({"type": message_type, **values}, ensure_ascii=False), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m josh_blender.blend", description="Open a 4D scene in Blender.")
    parser.add_argument("scene", type=Path, help="a folder NAME.scene4d or its pointer file")
    parser.add_argument("--save", type=Path, help="save a .blend file")
    parser.add_argument("--fbx", type=Path, help="export people and camera as FBX")
    parser.add_argument("--usd", type=Path, help="export people, camera and points as USD")
    parser.add_argument("--render", type=Path, help="render a PNG of the middle frame from the camera")
    parser.add_argument("--composite", type=Path, help="render a PNG of the middle frame with a CG object in the plate")
    parser.add_argument("--movie", type=Path, help="render an MP4 of all frames with a CG object in the plate")
    return parser


def _composite(scene4d: Scene4D, still: Path | None, movie: Path | None) -> None:
    result = composite.build_composite(bpy.context.scene, scene4d)
    if still is not None:
        shrink_to(result.render, _STILL_SIDE)
        composite.render_still(result, composite.showing_frame(result, scene4d), still)
    if movie is not None:
        shrink_to(result.render, _MOVIE_SIDE, even=True)
        composite.lower_quality(result)
        composite.render_movie(result, movie)


def run(arguments: argparse.Namespace) -> None:
    """Import the scene into an empty file and write what was asked for.

    Raises:
        UserError: the scene or an output is not possible.
    """
    scene4d = read_scene(arguments.scene)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    report = import_scene(bpy.context, scene4d)
    for warning in report.warnings:
        _say("warning", message=warning)
    if arguments.save is not None:
        bpy.ops.wm.save_as_mainfile(filepath=str(arguments.save.absolute()), relative_remap=True, compress=True)
    if arguments.fbx is not None:
        for warning in export_fbx(bpy.context, report.root, arguments.fbx.absolute()):
            _say("warning", message=warning)
    if arguments.usd is not None:
        export_usd(bpy.context, report.root, arguments.usd.absolute())
    if arguments.render is not None:
        render_still(bpy.context.scene, arguments.render.absolute())
    if arguments.composite is not None or arguments.movie is not None:
        still, movie = (path and path.absolute() for path in (arguments.composite, arguments.movie))
        _composite(scene4d, still, movie)


def main() -> int:
    """The command line; 0 or 1 as the exit code."""
    try:
        run(_parser().parse_args())
    except UserError as error:
        _say("error", kind=error.kind, message=error.message, remedy=error.remedy)
        return 1
    except (OSError, RuntimeError) as error:
        # Blender's operators raise RuntimeError with what they reported.
        text = str(error).strip().splitlines()[-1]
        _say("error", kind="blender_failed", message=text, remedy="Check that the output can be written.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
