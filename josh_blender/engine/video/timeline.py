"""When each picture of a video is shown, found without decoding all of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ...scene4d.errors import UserError

#: Transfer curves of high dynamic range (ITU-T H.273): 16 is PQ, 18 is HLG.
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_MATRIX_NAMES = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020", 10: "bt2020"}


@dataclass(frozen=True)
class Timeline:
    """A video as its container and its first picture describe it.

    pts: (N,) int64, ascending: the presentation time stamps of all pictures in units of ``time_base``.
    rate: the constant rate that FFmpeg guesses and Blender counts frames by.
    start: the first time stamp of the stream as the container states it, in units of ``time_base``.
    width, height: of the displayed picture. rotation: degrees clockwise (0, 90, 180, 270) that players turn the
    stored picture by.
    """

    pts: NDArray[np.int64]
    time_base: Fraction
    rate: Fraction
    start: int
    width: int
    height: int
    rotation: int
    interlaced: bool
    transfer: int
    color_space: str
    warnings: tuple[str, ...]

    @property
    def time(self) -> NDArray[np.float64]:
        """(N,) the time stamps in seconds."""
        return np.asarray(self.pts * float(self.time_base), np.float64)

    @property
    def average_rate(self) -> Fraction:
        """Pictures per second over the whole video; ``rate`` for a single picture."""
        if len(self.pts) < 2 or self.pts[-1] == self.pts[0]:
            return self.rate
        span = Fraction(int(self.pts[-1] - self.pts[0])) * self.time_base
        return Fraction(len(self.pts) - 1) / span


def open_video(path: Path) -> Any:
    """The container of a video.

    Raises:
        UserError: ``not_a_video`` when FFmpeg cannot read it or it has no pictures in it.
    """
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UserError(
            "not_a_video",
            f"“{path.name}” cannot be read as a video.",
            "Choose a video file, or one picture of an image sequence. A recording that was cut off may need repair.",
        ) from error
    if not container.streams.video:
        container.close()
        raise UserError("not_a_video", f"“{path.name}” holds no pictures.", "Choose a video file.")
    return container


def read_timeline(path: Path) -> Timeline:
    """The timeline of a video file.

    Packets are listed, not decoded; only the first picture and those after the last key frame are decoded, which
    finds the end of a truncated file.

    Raises:
        UserError: ``not_a_video``, ``empty_video``.
    """
    with open_video(path) as container:
        stream = container.streams.video[0]
        pts, keys = _list_packets(container, stream)
        stated = int(stream.frames)
    warnings: list[str] = []
    if len(pts) == 0:
        raise _empty(path)
    with open_video(path) as container:
        stream = container.streams.video[0]
        first = _first_picture(container, stream)
        if first is None:
            raise _empty(path)
        last_key = int(keys[-1]) if len(keys) else int(pts[0])
        tail = _decoded_from(container, stream, last_key)
        if last_key not in tail:
            # Seeking is not exact in every container.
            with open_video(path) as again:
                tail = _decoded_from(again, again.streams.video[0], None)
        kept = pts[(pts < last_key) | np.isin(pts, tail)]
        if len(kept) == 0:
            raise _empty(path)
        if len(kept) < max(len(pts), stated):
            warnings.append(
                f"The file is damaged or cut off: {len(kept)} of {max(len(pts), stated)} pictures can be read; "
                "the rest is left out."
            )
        rate = stream.guessed_rate or stream.average_rate or Fraction(25)
        rotation = -int(getattr(first, "rotation", 0)) % 360
        turned = rotation in (90, 270)
        width, height = (first.height, first.width) if turned else (first.width, first.height)
        codec = stream.codec_context
        return Timeline(
            pts=kept,
            time_base=Fraction(stream.time_base),
            rate=Fraction(rate),
            start=int(stream.start_time) if stream.start_time is not None else int(pts[0]),
            width=width,
            height=height,
            rotation=rotation,
            interlaced=bool(first.interlaced_frame),
            transfer=int(codec.color_trc or 0),
            color_space=_MATRIX_NAMES.get(int(codec.colorspace or 0), "bt601"),
            warnings=tuple(warnings),
        )


def _empty(path: Path) -> UserError:
    return UserError(
        "empty_video", f"“{path.name}” holds no picture that can be read.", "Export or copy the video again."
    )


def _list_packets(container: Any, stream: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Time stamps of the pictures that are shown, and of the key frames among them, both ascending."""
    shown: list[int] = []
    keys: list[int] = []
    try:
        for packet in container.demux(stream):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None or packet.size == 0 or packet.is_discard:
                continue
            shown.append(stamp)
            if packet.is_keyframe:
                keys.append(stamp)
    except av.error.FFmpegError:
        pass  # A damaged end; what came before it stays.
    return np.unique(np.array(shown, np.int64)), np.unique(np.array(keys, np.int64))


def _first_picture(container: Any, stream: Any) -> Any | None:
    try:
        for frame in container.decode(stream):
            return frame
    except av.error.FFmpegError:
        return None
    return None


def _decoded_from(container: Any, stream: Any, pts: int | None) -> NDArray[np.int64]:
    """Time stamps of the pictures that can be decoded from the key frame at ``pts`` (None: the first) to the end."""
    found: list[int] = []
    try:
        if pts is not None:
            container.seek(pts, stream=stream, backward=True)
        for frame in container.decode(stream):
            if frame.pts is not None:
                found.append(frame.pts)
    except av.error.FFmpegError:
        pass  # A damaged end.
    return np.array(found, np.int64)
