"""A fingerprint of a source that survives moves and renames."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from .sequence import find_sequence, is_image

PART = 16 * 1024 * 1024


def source_identity(paths: Sequence[Path]) -> str:
    """``SIZE-SHA256`` of the first and last 16 MB of the files put end to end.

    A source of at most 32 MB is hashed as a whole; no byte counts twice.

    Raises:
        OSError: a file cannot be read.
    """
    sizes = [path.stat().st_size for path in paths]
    total = sum(sizes)
    digest = hashlib.sha256()
    offset = 0
    for path, size in zip(paths, sizes, strict=True):
        head = max(0, min(size, PART - offset))
        tail = max(head, total - PART - offset)
        if head > 0 or tail < size:
            with path.open("rb") as file:
                digest.update(file.read(head))
                if tail < size:
                    file.seek(tail)
                    digest.update(file.read())
        offset += size
    return f"{total}-{digest.hexdigest()}"


def source_files(path: Path) -> tuple[Path, ...]:
    """The files of a source that a video, or one picture of an image sequence, stands for."""
    return find_sequence(path).paths if is_image(path) else (path,)


def is_source(path: Path, identity: str) -> bool:
    """Whether a video, or the sequence of a picture, has this identity; False where it cannot be read.

    The size is compared first, so that wrong files are told apart without reading them.
    """
    try:
        files = source_files(path)
        size = sum(file.stat().st_size for file in files)
        return identity.split("-", 1)[0] == str(size) and source_identity(files) == identity
    except OSError:
        return False
