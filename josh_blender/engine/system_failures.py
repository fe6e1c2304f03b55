"""What the computer refused, as the user's version of it: a right, memory, room on a disk, a package."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from ..scene4d.errors import UserError
from .disk_space import disk_full_error
from .gpu_memory import gpu_memory_error
from .presets import missing_package_error

#: Libraries say it with errors of their own: torch, OpenCV, CUDA, the C++ library.
_OUT_OF_MEMORY = re.compile(r"can't allocate memory|insufficient memory|out of memory|bad_alloc", re.IGNORECASE)
_CARD_OUT_OF_MEMORY = re.compile(r"(cuda|mps|hip)\b.*out of memory|CUBLAS_STATUS_ALLOC_FAILED", re.IGNORECASE)


def explain_system_failure(error: Exception) -> UserError | None:
    """The user's version of an error that the computer caused, None where the cause lies in the program."""
    if isinstance(error, ImportError):
        return missing_package_error(error)
    if isinstance(error, OSError):
        path = Path(error.filename) if isinstance(error.filename, str) else None
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return disk_full_error(path.parent if path else Path.cwd())
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            what = f"“{path}”" if path else "A file"
            return UserError(
                "permission_denied",
                f"{what} cannot be read or written: {error.strerror}.",
                "Close programs that use it and see who may write there, or choose another folder with --output.",
            )
    # torch's own class is told by its name: most commands work without torch.
    if type(error).__name__ == "OutOfMemoryError" or _CARD_OUT_OF_MEMORY.search(str(error)):
        return gpu_memory_error("this")
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return UserError(
            "out_of_memory",
            "There is not enough memory.",
            "Close other programs, or use a shorter range; finished stages are kept.",
        )
    return None
