"""Files locked by a process: the operating system releases them when it ends, however it ended."""

from __future__ import annotations

import sys
from typing import IO

if sys.platform == "win32":
    import msvcrt

    #: Windows does not let others read what is locked: a byte beyond the text is.
    _LOCKED_BYTE = 1 << 30
else:
    import fcntl


def lock(file: IO[str]) -> None:
    """Lock a file for this process.

    Raises:
        OSError: another process holds it.
    """
    if sys.platform == "win32":
        position = file.tell()
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        finally:
            file.seek(position)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
