"""``josh4d reconstruct VIDEO``: the pipeline."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ...jobs.lifeline import end_with_stdin
from ...scene4d.errors import UserError
from ..console import Console
from ..pipeline import check_before_start, reconstruct
from ..presets import MODES, PRESETS
from ..reporter import Reporter
from ..settings import CAMERA_KINDS, COLOR_SPACES, DEVICES, Lens, ReconstructSettings
from ..work_folder import WorkFolder


def add_parser(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "reconstruct", help="turn a video into a 4D scene", description="Turn a video into a 4D scene."
    )
    parser.add_argument("video", metavar="VIDEO", type=Path, help="a video, or one picture of an image sequence")
    parser.add_argument(
        "--output", metavar="DIR", type=Path, help="folder for NAME.scene4d (default: that of the video)"
    )
    parser.add_argument("--preset", default="preview", choices=tuple(PRESETS), help="a backend for each stage")
    parser.add_argument("--mode", default="josh", choices=MODES, help="how scene and people are solved")
    parser.add_argument("--people", metavar="N", type=int, help="keep at most N people")
    parser.add_argument("--only-people", action="store_true", help="find out who is seen, and end there")
    parser.add_argument(
        "--keep", metavar="IDS", type=parse_people, default=(), help="who counts, by the ids of --only-people: 1,3"
    )
    parser.add_argument(
        "--height", metavar="M", type=parse_heights, default={}, help="metres: 1.78, or by person: 1=1.78,2=1.65"
    )
    parser.add_argument(
        "--camera",
        metavar="KIND",
        default="auto",
        help=f"{', '.join(CAMERA_KINDS)}, or the camera.npz of a known camera",
    )
    parser.add_argument("--focal", metavar="PX", type=float, help="known focal length in px of the displayed video")
    parser.add_argument("--lens", metavar="MM[:SENSOR]", type=parse_lens, help="known lens in mm on a sensor (36 mm)")
    parser.add_argument("--refine", action="store_true", help="start from the given camera or lens, do not keep it")
    parser.add_argument("--start", metavar="FRAME", type=int, help="first source frame")
    parser.add_argument("--end", metavar="FRAME", type=int, help="last source frame")
    parser.add_argument("--fps", metavar="RATE", type=float, help="pictures per second of an image sequence (24)")
    parser.add_argument("--color-space", choices=COLOR_SPACES, help="of an image sequence (srgb)")
    parser.add_argument("--body", metavar="FILE", type=Path, help="your own SMPL file instead of the free body")
    parser.add_argument("--mast3r-weights", metavar="FILE", type=Path, help="MASt3R weights; see `josh4d weights`")
    parser.add_argument("--josh3r-weights", metavar="FILE", type=Path, help="JOSH3R weights; see `josh4d weights`")
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where torch computes")
    parser.add_argument("--json", action="store_true", help="JSON lines for programs")
    parser.set_defaults(run=run)


def parse_heights(text: str) -> dict[int, float]:
    """Metres by person id of ``1.78`` (everybody is 0) or ``1=1.78,2=1.65``."""
    try:
        if "=" not in text:
            return {0: float(text)}
        pairs = [part.split("=", 1) for part in text.split(",")]
        return {int(person): float(height) for person, height in pairs}
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is not like 1.78 or 1=1.78,2=1.65") from error


def parse_people(text: str) -> tuple[int, ...]:
    """``1,3`` as ids, ascending."""
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is not like 1,3") from error


def parse_lens(text: str) -> Lens:
    """``35`` or ``35:23.5``: focal length and width of the sensor in mm."""
    focal, _, sensor = text.partition(":")
    try:
        lens = Lens(float(focal), float(sensor)) if sensor else Lens(float(focal))
    except ValueError:
        lens = Lens(0.0)
    if not (lens.sensor_mm > 0 and lens.focal_mm > 0):
        raise argparse.ArgumentTypeError(f"“{text}” is not like 35 or 35:23.5 (mm)")
    return lens


def settings_of(arguments: argparse.Namespace) -> ReconstructSettings:
    """The settings that the arguments ask for.

    Raises:
        UserError: ``--camera`` is neither a kind nor a file.
    """
    video: Path = arguments.video.absolute()
    camera: str | Path = arguments.camera
    if camera not in CAMERA_KINDS:
        camera = Path(arguments.camera).absolute()
        if not camera.is_file():
            raise UserError(
                "bad_camera",
                f"“{arguments.camera}” is neither a kind of camera nor a file.",
                f"Give one of {', '.join(CAMERA_KINDS)}, or a camera.npz.",
            )
    return ReconstructSettings(
        video=video,
        output=(arguments.output or video.parent).absolute(),
        preset=arguments.preset,
        mode=arguments.mode,
        device=arguments.device,
        people=arguments.people,
        heights=arguments.height,
        camera=camera,
        focal_px=arguments.focal,
        lens=arguments.lens,
        refine=arguments.refine,
        start=arguments.start,
        end=arguments.end,
        fps=arguments.fps,
        color_space=arguments.color_space,
        body=arguments.body.absolute() if arguments.body else None,
        only_people=arguments.only_people,
        keep=arguments.keep,
        mast3r_weights=arguments.mast3r_weights.absolute() if arguments.mast3r_weights else None,
        josh3r_weights=arguments.josh3r_weights.absolute() if arguments.josh3r_weights else None,
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the pipeline with everything but its own messages going to the log."""
    end_with_stdin()
    settings = settings_of(arguments)
    check_before_start(settings)
    console.divert(WorkFolder(settings.scene_folder).log)
    reconstruct(settings, Reporter(console.send))
    return 0
