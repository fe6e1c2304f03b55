"""Files that were moved, found again: in a folder and below, by name first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from .files import SUFFIX
from .sequence import IMAGE_SUFFIXES, find_sequence
from .source_identity import is_source

#: A search ends after this many entries: somebody may choose the root of a disk.
_MOST_ENTRIES = 200_000
#: What a video file may be called.
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm", ".mxf", ".mpg", ".mpeg", ".mts", ".m2ts", ".ogv", ".wmv"}
)


def _walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Folders, their sub-folders and files, nearer ones first; hidden ones are left out."""
    waiting, seen = [folder], 0
    while waiting and seen < _MOST_ENTRIES:
        here = waiting.pop(0)
        try:
            with os.scandir(here) as entries:
                found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        except OSError:
            continue
        seen += len(found)
        folders = [name for name, is_folder in found if is_folder and not name.startswith(".")]
        yield here, folders, [name for name, is_folder in found if not is_folder]
        waiting += [here / name for name in folders if not name.endswith(SUFFIX)]


def _pictures(here: Path, names: list[str]) -> Iterator[Path]:
    """One picture of every sequence in a folder."""
    left = {name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES}
    while left:
        path = here / min(left)
        yield path
        left -= {one.name for one in find_sequence(path).paths} | {path.name}


def find_source_below(folder: Path, name: str, kind: str, identity: str) -> Path | None:
    """The video, or a picture of the image sequence, with this identity in a folder or below it.

    Files called ``name`` are looked at first, then renamed ones of the same size. ``kind`` is "video" or "images".
    None where there is none.
    """
    others: list[Path] = []
    for here, _, names in _walk(folder):
        if kind == "images":
            candidates = list(_pictures(here, names))
        else:
            candidates = [here / one for one in names if one == name or Path(one).suffix.lower() in VIDEO_SUFFIXES]
        for path in candidates:
            if path.name != name:
                others.append(path)
            elif is_source(path, identity):
                return path
    return next((path for path in others if is_source(path, identity)), None)


def find_scenes_below(folder: Path, name: str, accepts: Callable[[Path], bool]) -> Path | None:
    """The first scene folder in a folder or below it that ``accepts`` takes, those called ``name`` first."""
    found = [folder] if folder.name.endswith(SUFFIX) else []
    for here, folders, _ in _walk(folder):
        found += [here / one for one in folders if one.endswith(SUFFIX)]
    found.sort(key=lambda path: path.name != name)
    return next((path for path in found if accepts(path)), None)
