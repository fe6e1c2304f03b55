"""The files of movie clips: paths relative to the .blend, and paths that the artist changed."""

from __future__ import annotations

from pathlib import Path

import bpy

#: On a clip: the name of the file that was written last; another name means that the artist chose another file.
_FILE_KEY = "josh4d_file"


def path_in_file(path: Path) -> str:
    """Relative to the .blend where that is possible; Blender does so itself for a file that is saved later."""
    absolute = str(path.resolve())
    if not bpy.data.filepath:
        return absolute
    try:
        return str(bpy.path.relpath(absolute))
    except ValueError:  # another drive
        return absolute


def clip_path(clip: bpy.types.MovieClip) -> Path:
    """The absolute path of a clip."""
    return Path(bpy.path.abspath(clip.filepath, library=clip.library))


def can_read(path: Path) -> bool:
    """Whether Blender reads a file as a clip; tried on a clip of its own, since a clip keeps what it once was."""
    try:
        probe = bpy.data.movieclips.load(str(path))
    except RuntimeError:
        return False
    # The size of what it cannot read is 256 x 256.
    readable = bool(probe.frame_duration > 0)
    bpy.data.movieclips.remove(probe)
    return readable


def clip_exists(clip: bpy.types.MovieClip | None) -> bool:
    """Whether the file of a clip is there."""
    return clip is not None and bool(clip.filepath) and clip_path(clip).is_file()


def is_chosen_by_artist(clip: bpy.types.MovieClip) -> bool:
    """Whether the clip shows another file than the one that was written, and that file is there."""
    return clip.get(_FILE_KEY) != clip_path(clip).name and clip_exists(clip)


def link_file(clip: bpy.types.MovieClip, path: Path) -> None:
    """Let a clip show a file. A path that leads to it already stays as it is, absolute or relative."""
    if not clip_exists(clip) or clip_path(clip).resolve() != path.resolve():
        clip.filepath = path_in_file(path)
    clip[_FILE_KEY] = path.name
