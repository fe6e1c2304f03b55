"""What Blender knows about a video or an image sequence: its size, range and rate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from ..scene4d.errors import UserError
from ..scene4d.sequence import find_sequence, is_image


@dataclass(frozen=True)
class SourceFacts:
    """Displayed size in px, first and last source frame number, pictures, and pictures per second (0: not known)."""

    width: int
    height: int
    first: int
    last: int
    count: int
    fps: float


def source_facts(path: Path) -> SourceFacts:
    """The facts of a video, or of the sequence that one picture belongs to; leaves no datablock behind.

    Raises:
        UserError: the file is missing, or Blender cannot read it.
    """
    if not path.is_file():
        raise UserError("missing_video", f"There is no file “{path}”.", "Choose the video again.")
    return _sequence_facts(path) if is_image(path) else _video_facts(path)


def _video_facts(path: Path) -> SourceFacts:
    try:
        clip = bpy.data.movieclips.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise _unreadable(path) from error
    try:
        width, height = clip.size
        count, fps = clip.frame_duration, clip.fps
    finally:
        bpy.data.movieclips.remove(clip)
    if not width or not height:
        raise _unreadable(path)
    return SourceFacts(width, height, 0, count - 1, count, fps)


def _sequence_facts(path: Path) -> SourceFacts:
    sequence = find_sequence(path)
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise _unreadable(path) from error
    try:
        width, height = image.size
    finally:
        bpy.data.images.remove(image)
    if not width or not height:
        raise _unreadable(path)
    return SourceFacts(width, height, sequence.numbers[0], sequence.numbers[-1], len(sequence.numbers), 0.0)


def _unreadable(path: Path) -> UserError:
    return UserError("not_a_video", f"“{path.name}” is no video that Blender can read.", "Choose another file.")
