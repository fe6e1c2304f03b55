"""Room on the disk: asked for beforehand, and recognised as the cause when a write failed for want of it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from ..scene4d.errors import UserError
from ..scene4d.room import BASE_BYTES

_MB = 1_000_000
#: A disk with less than this is full, whatever a library says about its failed write.
_FULL_BYTES = 8 * _MB


def check_room(folder: Path, needed: int = BASE_BYTES) -> None:
    """Refuse to begin what will not fit.

    Raises:
        UserError: ``no_room``.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            "no_room",
            f"The disk of “{folder}” has {free / _MB:.0f} MB free, and about {needed / _MB:.0f} MB are needed.",
            "Free some room, or choose another folder with --output.",
        )


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Whether an error comes from a full disk, also where a library hid its number."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if isinstance(error, UserError | KeyboardInterrupt):
        return False
    try:
        return shutil.disk_usage(folder).free < _FULL_BYTES
    except OSError:
        return False


def disk_full_error(folder: Path) -> UserError:
    """The user's version of a write that failed for want of room."""
    return UserError(
        "disk_full",
        f"The disk of “{folder}” is full.",
        "Free some room and start it again: it continues after the last finished stage.",
    )
