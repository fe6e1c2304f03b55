"""Image sequences: pictures in one folder whose names differ only in a number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".exr"})
_NAME = re.compile(r"^(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.[^.]+)$")


@dataclass(frozen=True)
class ImageSequence:
    """The files of a sequence by their numbers, ascending."""

    numbers: tuple[int, ...]
    paths: tuple[Path, ...]

    def number_of(self, path: Path) -> int:
        """The number of one of its files.

        Raises:
            ValueError: the file is not of this sequence.
        """
        return self.numbers[[one.name for one in self.paths].index(path.name)]


def is_image(path: Path) -> bool:
    """Whether the file's name says that it is a picture."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def find_sequence(path: Path) -> ImageSequence:
    """The sequence that ``path`` belongs to. A name without a number is a sequence of one picture, number 1."""
    match = _NAME.match(path.name)
    if match is None:
        return ImageSequence((1,), (path,))
    found: dict[int, Path] = {}
    for other in path.parent.iterdir():
        parts = _NAME.match(other.name)
        if (
            parts is not None
            and parts["prefix"] == match["prefix"]
            and parts["suffix"].lower() == match["suffix"].lower()
            and _same_padding(parts["number"], match["number"])
        ):
            found[int(parts["number"])] = other
    numbers = tuple(sorted(found))
    return ImageSequence(numbers, tuple(found[number] for number in numbers))


def _same_padding(a: str, b: str) -> bool:
    """Whether two numbers can stand in one sequence: the same width, or neither padded with zeros."""
    return len(a) == len(b) or not (a.startswith("0") or b.startswith("0"))
