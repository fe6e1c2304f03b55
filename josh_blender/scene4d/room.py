"""How much room a 4D scene takes on the disk while it is made."""

from __future__ import annotations

#: Always wanted: the log, the results of the stages, the cloud.
BASE_BYTES = 150_000_000
#: Per frame and pixel of the video: masks, depth maps, the undistorted proxy and a plate, each measured generously.
_BYTES_PER_PIXEL = 0.2


def needed_bytes(width: int, height: int, frames: int) -> int:
    """Room that a reconstruction of so many frames takes at most, roughly."""
    return int(BASE_BYTES + _BYTES_PER_PIXEL * width * height * frames)
