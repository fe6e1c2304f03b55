"""Pictures that are asked for again soon are decoded once."""

from __future__ import annotations

from .reader import FrameReader, Picture

#: Pictures that are remembered: those of one batch of pairs.
_RECENT = 12


class RecentPictures:
    """A reader's pictures; the last few are kept."""

    def __init__(self, reader: FrameReader) -> None:
        self._reader = reader
        self._pictures: dict[int, Picture] = {}

    def read(self, frame: int) -> Picture:
        """The picture (H,W,3) at an index of the solved range."""
        if frame not in self._pictures:
            while len(self._pictures) >= _RECENT:
                del self._pictures[next(iter(self._pictures))]
            self._pictures[frame] = self._reader.read(frame)
        return self._pictures[frame]
