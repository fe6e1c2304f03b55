"""Stage 1: which pictures the source has, when they are shown, and whether Blender would show the same ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ...scene4d.errors import UserError
from ...scene4d.sequence import ImageSequence, find_sequence, is_image
from ...scene4d.source_identity import source_identity
from ..results import FramesResult, VideoSource
from ..video.plate import plate_reasons
from ..video.reader import read_image
from ..video.timeline import read_timeline

Progress = Callable[[int, int], None]

#: Rates that a rounded number stands for.
_NTSC_RATES = tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120))


@dataclass(frozen=True)
class FramesSettings:
    """``start`` and ``end``: first and last source frame number to solve, inclusive; None: the source's own.

    ``fps``, ``color_space``: pictures per second and colours ("srgb", "linear") of an image sequence, which cannot say
    them itself; a video's own are used always.
    """

    start: int | None = None
    end: int | None = None
    fps: float = 24.0
    color_space: str = "srgb"


def run_frames(path: Path, settings: FramesSettings, folder: Path, progress: Progress) -> FramesResult:
    """List the pictures of a video, or of the image sequence that one picture belongs to.

    Raises:
        UserError: ``missing_video``, ``is_a_folder``, ``not_a_video``, ``empty_video``, ``unreadable_image``,
            ``empty_range``.
    """
    progress(0, 1)
    if not path.exists():
        raise UserError("missing_video", f"There is no file “{path}”.", "Check the path, or choose the video again.")
    if path.is_dir():
        raise UserError(
            "is_a_folder",
            f"“{path.name}” is a folder.",
            "Choose a video file in it, or one picture of the image sequence.",
        )
    result = _from_images(path, settings) if is_image(path) else _from_video(path, settings)
    progress(1, 1)
    return result


def _from_video(path: Path, settings: FramesSettings) -> FramesResult:
    if path.stat().st_size == 0:
        raise UserError("empty_video", f"“{path.name}” is an empty file.", "Export or copy the video again.")
    timeline = read_timeline(path)
    constant = not _varies(timeline.time)
    fps = timeline.rate if constant and _same_rate(timeline.rate, timeline.average_rate) else timeline.average_rate
    fps = fps.limit_denominator(1001)
    source = VideoSource(
        path=str(path.absolute()),
        kind="video",
        width=timeline.width,
        height=timeline.height,
        fps_num=fps.numerator,
        fps_den=fps.denominator,
        frame_count=len(timeline.pts),
        rotation=timeline.rotation,
        identity=source_identity([path]),
        color_space=timeline.color_space,
    )
    frame = _range(np.arange(len(timeline.pts)), settings)
    return FramesResult(
        source=source,
        frame=frame,
        time=timeline.time[frame],
        plate_reasons=plate_reasons(timeline),
        warnings=list(timeline.warnings),
    )


def _from_images(path: Path, settings: FramesSettings) -> FramesResult:
    sequence = find_sequence(path)
    first = read_image(path, settings.color_space)
    numbers = np.array(sequence.numbers)
    fps = exact_rate(settings.fps)
    source = VideoSource(
        path=str(path.absolute()),
        kind="images",
        width=first.shape[1],
        height=first.shape[0],
        fps_num=fps.numerator,
        fps_den=fps.denominator,
        frame_count=len(numbers),
        rotation=0,
        identity=source_identity(sequence.paths),
        color_space=settings.color_space,
    )
    frame = _range(numbers, settings)
    missing = int(frame[-1]) - int(frame[0]) + 1 - len(frame)
    gaps = [f"{missing} pictures of the sequence are missing; the motion runs on across the gaps."] if missing else []
    return FramesResult(
        source=source,
        frame=frame,
        time=(frame - sequence.numbers[0]) / float(fps),
        plate_reasons=["missing pictures"] if missing else [],
        warnings=_check_sizes(sequence, frame, source) + gaps,
    )


def _check_sizes(sequence: ImageSequence, frame: np.ndarray, source: VideoSource) -> list[str]:
    """Refuse a last picture of another size: the folder then holds two sequences."""
    last = sequence.paths[sequence.numbers.index(int(frame[-1]))]
    height, width = read_image(last, source.color_space).shape[:2]
    if (width, height) != (source.width, source.height):
        raise UserError(
            "mixed_sizes",
            f"“{last.name}” is {width}x{height}, but the sequence began with {source.width}x{source.height}.",
            "Keep each image sequence in a folder of its own.",
        )
    return []


def exact_rate(fps: float) -> Fraction:
    """The rate as a fraction; 23.976 and its kin become 24000/1001 and so on.

    Raises:
        UserError: ``bad_fps`` when it is not a positive number.
    """
    if not (np.isfinite(fps) and fps > 0):
        raise UserError("bad_fps", f"{fps} is not a frame rate.", "Give the pictures per second, such as 24.")
    for rate in _NTSC_RATES:
        if abs(float(rate) - fps) < 0.005:
            return rate
    return Fraction(fps).limit_denominator(1001)


def _range(numbers: np.ndarray, settings: FramesSettings) -> np.ndarray:
    start = numbers[0] if settings.start is None else settings.start
    end = numbers[-1] if settings.end is None else settings.end
    chosen = numbers[(numbers >= start) & (numbers <= end)]
    if len(chosen) == 0:
        raise UserError(
            "empty_range",
            f"Frames {start} to {end} do not exist: the source has {numbers[0]} to {numbers[-1]}.",
            "Choose a range inside the source.",
        )
    return chosen.astype(np.int32)


def _varies(time: np.ndarray) -> bool:
    """Whether pictures stand for unequal times, beyond what the rounding of time stamps explains."""
    if len(time) < 3:
        return False
    even = np.linspace(time[0], time[-1], len(time))
    return bool(np.abs(time - even).max() > 0.5 * (time[-1] - time[0]) / (len(time) - 1))


def _same_rate(a: Fraction, b: Fraction) -> bool:
    return abs(float(a / b) - 1) < 0.01
