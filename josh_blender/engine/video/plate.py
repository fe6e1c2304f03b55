"""Plates that Blender shows frame for frame, and why a source may need one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import opencv_matrix
from ..results import FramesResult
from .reader import Picture, open_frames
from .timeline import HDR_TRANSFERS, Timeline

Progress = Callable[[int, int], None]


def plate_reasons(timeline: Timeline) -> list[str]:
    """Why Blender would not show this video frame for frame, or not as it looks; empty where it would.

    Blender 4.5 and 5.2 were seen to obey rotation metadata and start offsets, so these alone are no reason.
    """
    reasons: list[str] = []
    if timeline.interlaced:
        reasons.append("interlaced pictures")
    if timeline.transfer in HDR_TRANSFERS:
        reasons.append(f"high dynamic range ({HDR_TRANSFERS[timeline.transfer]})")
    if not np.array_equal(pictures_shown_by_blender(timeline), np.arange(len(timeline.pts))):
        reasons.append("variable frame rate" if timeline.start == timeline.pts[0] else "start offset")
    return reasons


def pictures_shown_by_blender(timeline: Timeline) -> NDArray[np.int64]:
    """(N,) which picture Blender shows for picture number 0..N-1 of the video.

    Blender looks for the last picture at or before ``start + number / rate``.
    """
    wanted = timeline.start + np.arange(len(timeline.pts)) / float(timeline.rate * timeline.time_base)
    return np.searchsorted(timeline.pts, np.floor(wanted + 0.5), side="right") - 1


def write_plate(frames: FramesResult, path: Path, progress: Progress) -> None:
    """A constant-rate H.264 video whose picture n is the n-th of ``frames``, at full size in displayed orientation.

    The rate is the source's (its average where it varies).
    """
    with open_frames(frames) as reader:
        size = (frames.source.width, frames.source.height)
        _write_video(path, (picture for _, picture in reader.iterate()), size, frames, _PLATE_QUALITY, progress)


def write_undistorted_proxy(
    frames: FramesResult,
    intrinsics: NDArray[np.float64],
    distortion: NDArray[np.float64],
    path: Path,
    progress: Progress,
) -> None:
    """A half-size video without lens distortion, picture n the n-th of ``frames``: for a viewport.

    intrinsics (F,4) or (4,) fx fy cx cy px of the full plate, the same before and after; distortion (5,) OpenCV.
    """
    full = np.broadcast_to(np.asarray(intrinsics, np.float64), (len(frames.frame), 4))
    width, height = frames.source.width // 2, frames.source.height // 2
    size = (max(2, width - width % 2), max(2, height - height % 2))
    scale = np.array([size[0] / frames.source.width, size[1] / frames.source.height])
    maps: dict[bytes, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def pictures() -> Iterator[Picture]:
        with open_frames(frames) as reader:
            for index, picture in reader.iterate(size=size):
                lens = full[index] * np.tile(scale, 2)
                key = lens.tobytes()
                if key not in maps:
                    maps.clear()
                    matrix = opencv_matrix(lens)
                    maps[key] = cv2.initUndistortRectifyMap(matrix, distortion, None, matrix, size, cv2.CV_32FC1)
                yield cv2.remap(picture, *maps[key], cv2.INTER_LINEAR)

    _write_video(path, pictures(), size, frames, _PROXY_QUALITY, progress)


#: Constant rate factors of x264: visually lossless, and good.
_PLATE_QUALITY, _PROXY_QUALITY = 16, 23
#: Pictures between key frames: short, so that scrubbing in Blender stays quick.
_KEY_INTERVAL = 12


def _write_video(
    path: Path,
    pictures: Iterator[Picture],
    size: tuple[int, int],
    frames: FramesResult,
    quality: int,
    progress: Progress,
) -> None:
    """Write pictures as H.264 with BT.709 colours, under a temporary name first. Odd sides are padded to even ones."""
    rate = Fraction(frames.source.fps_num, frames.source.fps_den)
    width, height = size[0] + size[0] % 2, size[1] + size[1] % 2
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    with av.open(str(partial), "w") as container:
        # No B-frames: the first picture then begins at time zero and every reader counts alike.
        options = {"crf": str(quality), "preset": "veryfast", "bf": "0", "g": str(_KEY_INTERVAL)}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        codec = stream.codec_context
        codec.time_base = 1 / rate
        codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range = 1, 1, 1, 1
        for number, picture in enumerate(pictures):
            if (picture.shape[1], picture.shape[0]) != (width, height):
                right, bottom = width - picture.shape[1], height - picture.shape[0]
                picture = cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU709"
            )
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
            progress(number + 1, len(frames.frame))
        container.mux(stream.encode(None))
    partial.replace(path)
