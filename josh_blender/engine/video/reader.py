"""The pictures of a solved range, by their index in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ...scene4d.errors import UserError
from ...scene4d.sequence import find_sequence
from ..results import FramesResult
from .timeline import open_video

Picture = NDArray[np.uint8]

_TURN = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
#: Colour matrices by their number in ITU-T H.273, as PyAV names them.
_MATRICES = {1: "ITU709", 7: "SMPTE240M"}
#: Decoding up to so many pictures to reach the next wanted one is cheaper than a seek.
_SKIP_LIMIT = 24
#: How far before the wanted time a seek asks for, s, one after the other.
_SEEK_BACK = (0.0, 2.0, 10.0)


class FrameReader(Protocol):
    """Random and sequential access to the pictures of a ``FramesResult``; a context manager, not thread-safe."""

    def read(self, index: int, size: tuple[int, int] | None = None) -> Picture:
        """The picture at ``index`` (position in ``FramesResult.frame``), (H,W,3) uint8 RGB, displayed orientation.

        ``size`` (width, height) scales it.
        """
        ...

    def iterate(
        self, indices: Iterable[int] | None = None, size: tuple[int, int] | None = None
    ) -> Iterator[tuple[int, Picture]]:
        """The pictures at ``indices`` (all by default) in the order given; fastest when ascending."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_frames(frames: FramesResult) -> FrameReader:
    """A reader of the pictures that ``frames`` lists.

    Raises:
        UserError: ``missing_video`` when the source is no longer there.
    """
    path = Path(frames.source.path)
    if not path.exists():
        raise UserError(
            "missing_video", f"“{path.name}” is no longer at {path.parent}.", "Move it back, or choose it again."
        )
    return VideoReader(frames) if frames.source.kind == "video" else ImageReader(frames)


class _Reader:
    """What both readers share: iteration and the context manager."""

    def __init__(self, count: int) -> None:
        self._count = count

    def read(self, index: int, size: tuple[int, int] | None = None) -> Picture:
        raise NotImplementedError

    def close(self) -> None:
        """Release the file."""

    def iterate(
        self, indices: Iterable[int] | None = None, size: tuple[int, int] | None = None
    ) -> Iterator[tuple[int, Picture]]:
        for index in range(self._count) if indices is None else indices:
            yield int(index), self.read(int(index), size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class VideoReader(_Reader):
    """Pictures of a video file, found by their time stamps."""

    def __init__(self, frames: FramesResult) -> None:
        super().__init__(len(frames.frame))
        self._path = Path(frames.source.path)
        self._turn = frames.source.rotation
        self._container: Any
        self._stream: Any
        self._decoded: Iterator[Any]
        self._current: Any | None
        self._open()
        self._base = float(Fraction(self._stream.time_base))
        self._pts = np.rint(np.asarray(frames.time, np.float64) / self._base).astype(np.int64)
        self._step = max(1, int(np.median(np.diff(self._pts)))) if len(self._pts) > 1 else 1

    def close(self) -> None:
        self._container.close()

    def read(self, index: int, size: tuple[int, int] | None = None) -> Picture:
        target = int(self._pts[index])
        current = self._current
        if (current is None and target <= self._pts[0]) or (
            current is not None and 0 <= target - current.pts <= _SKIP_LIMIT * self._step
        ):
            frame = self._advance(target)
        else:
            frame = self._find(target)
        if frame is None:
            raise UserError(
                "unreadable_frame",
                f"Picture {index} of “{self._path.name}” cannot be decoded.",
                "Export the video again, or solve the part before it.",
            )
        return self._picture(frame, size)

    def _find(self, target: int) -> Any | None:
        """Seek. Some containers' seeks land behind the target: ask for earlier times, at last come from the start."""
        for seconds in _SEEK_BACK:
            self._container.seek(target - round(seconds / self._base), stream=self._stream, backward=True)
            self._decoded, self._current = self._decode(), None
            frame = self._advance(target)
            if frame is not None and frame.pts <= target:
                return frame
        self._container.close()
        self._open()
        return self._advance(target)

    def _open(self) -> None:
        self._container = open_video(self._path)
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._decoded, self._current = self._decode(), None

    def _decode(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                decoded = packet.decode()
            except av.error.InvalidDataError:
                continue  # A damaged picture: the last good one before it stands in.
            yield from (frame for frame in decoded if frame.pts is not None)

    def _advance(self, target: int) -> Any | None:
        """Decode up to the picture shown at ``target``: that one, else the last good one before it."""
        frame = self._current
        while frame is None or frame.pts < target:
            following = next(self._decoded, None)
            if following is None:
                break
            if frame is not None and following.pts > target:
                # A damaged picture is missing: the one before it stands in, this one is kept for the next call.
                self._current = following
                return frame
            frame = following
        self._current = frame
        return frame

    def _picture(self, frame: Any, size: tuple[int, int] | None) -> Picture:
        turned = self._turn in (90, 270)
        options: dict[str, Any] = {}
        if int(frame.colorspace) in _MATRICES:
            # PyAV heeds the tagged matrix only where another one is asked for (RGB itself has none); without a tag
            # the matrix is BT.601, to Blender too.
            options = {"src_colorspace": _MATRICES[int(frame.colorspace)], "dst_colorspace": "ITU601"}
        if size is not None:
            width, height = (size[1], size[0]) if turned else size
            options |= {"width": width, "height": height, "interpolation": "AREA"}
        picture = frame.to_ndarray(format="rgb24", **options)
        return cv2.rotate(picture, _TURN[self._turn]) if self._turn else picture


class ImageReader(_Reader):
    """Pictures of an image sequence."""

    def __init__(self, frames: FramesResult) -> None:
        super().__init__(len(frames.frame))
        sequence = find_sequence(Path(frames.source.path))
        paths = dict(zip(sequence.numbers, sequence.paths, strict=True))
        self._color_space = frames.source.color_space
        self._paths = [paths[int(number)] for number in frames.frame]

    def read(self, index: int, size: tuple[int, int] | None = None) -> Picture:
        picture = read_image(self._paths[index], self._color_space)
        return picture if size is None else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def read_image(path: Path, color_space: str = "srgb") -> Picture:
    """A picture file as (H,W,3) uint8 RGB in sRGB; ``color_space`` "linear" is what EXR files usually hold.

    Raises:
        UserError: ``unreadable_image``.
    """
    # OpenCV's own file access fails on non-ASCII paths on Windows.
    data = np.fromfile(path, np.uint8)
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if len(data) else None
    except cv2.error:
        picture = None
    if picture is None:
        raise UserError("unreadable_image", f"“{path.name}” cannot be read as a picture.", "Export this frame again.")
    return cv2.cvtColor(_eight_bits(picture, color_space == "linear"), cv2.COLOR_BGR2RGB)


def _eight_bits(picture: NDArray[Any], linear: bool) -> Picture:
    """Values of any depth as 0..255, with the transfer curve of sRGB (IEC 61966-2-1) over linear ones."""
    if picture.dtype == np.uint8 and not linear:
        return picture
    most = np.iinfo(picture.dtype).max if np.issubdtype(picture.dtype, np.integer) else 1.0
    value = np.clip(np.nan_to_num(picture.astype(np.float32) / most), 0.0, 1.0)
    if linear:
        value = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1.0 / 2.4) - 0.055)
    return np.rint(255.0 * value).astype(np.uint8)
