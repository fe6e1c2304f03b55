"""Clips whose pictures carry their own number as a barcode, in all the ways that make players disagree.

``python tests/engine/barcode_clips.py FOLDER`` also runs the engine's first stage on each, writes its plate where it
wants one, and leaves ``clips.json``: what Blender must show.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

BITS = 8
CELL = 16
WIDTH, HEIGHT = 2 * BITS * CELL // 2 + 64, 96
COUNT = 40


def draw(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(height, width, 3) uint8: the bits of ``number`` as cells from left to right in the upper half, low bit first,
    their complement in the lower half."""
    picture = np.full((height, width, 3), 96, np.uint8)
    for bit in range(BITS):
        value = 255 * (number >> bit & 1)
        columns = slice(32 + bit * CELL, 32 + (bit + 1) * CELL)
        picture[8 : height // 2, columns] = value
        picture[height // 2 : height - 8, columns] = 255 - value
    return picture


def read(picture: np.ndarray) -> int:
    """The number in a picture (height, width, at least 1 channel), top row first; -1 where it cannot be read."""
    height, number = picture.shape[0], 0
    for bit in range(BITS):
        column = 32 + bit * CELL + CELL // 2
        upper, lower = (float(picture[row, column, 0]) for row in (height // 2 - 12, height // 2 + 12))
        if abs(upper - lower) < 0.3 * max(upper, lower):
            return -1
        number |= int(upper > lower) << bit
    return number


def write_clip(
    path: Path,
    rate: Fraction = Fraction(25),
    b_frames: int = 0,
    offset: float = 0.0,
    time_of: Callable[[int], float] | None = None,
    codec: str = "libx264",
    picture_of: Callable[[int], np.ndarray] = draw,
    count: int = COUNT,
) -> Path:
    """A clip of ``count`` pictures; ``offset`` seconds before the first, ``time_of`` gives irregular times."""
    import av

    options = {"bf": str(b_frames), "g": "10"} if codec == "libx264" else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        first = picture_of(0)
        stream.width, stream.height, stream.pix_fmt = first.shape[1], first.shape[0], "yuv420p"
        base = 1 / rate if time_of is None and not offset else Fraction(1, 90000)
        stream.time_base = stream.codec_context.time_base = base
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture_of(number), format="rgb24")
            seconds = Fraction(number) / rate if time_of is None else Fraction(time_of(number)).limit_denominator(90000)
            frame.pts = round((seconds + Fraction(offset)) / base)
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn(path: Path, degrees: int) -> None:
    """Write the rotation (degrees clockwise, a multiple of 90) into the track header of an MP4 file."""
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    matrix = at + (40 if data[at] == 0 else 52)
    one = 65536
    struct.pack_into(">9i", data, matrix, cos * one, sin * one, 0, -sin * one, cos * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def irregular(number: int) -> float:
    """Times of a phone's variable rate: about 25 a second, with pauses."""
    return number / 25 + 0.11 * (number // 7) + 0.004 * (number % 3)


def make_clips(folder: Path) -> dict[str, Path]:
    """One clip of each kind."""
    clips = {
        "constant": write_clip(folder / "constant.mp4"),
        "variable": write_clip(folder / "variable.mp4", time_of=irregular),
        "b_frames": write_clip(folder / "b frames.mp4", b_frames=3),
        "offset": write_clip(folder / "offset.mp4", offset=1.4),
        "offset_mkv": write_clip(folder / "offset.mkv", offset=0.5, b_frames=2),
        "offset_ts": write_clip(folder / "offset.ts", offset=1.0, b_frames=2),
        "film": write_clip(folder / "film.mp4", rate=Fraction(24000, 1001), b_frames=2),
        "film_mkv": write_clip(folder / "film.mkv", rate=Fraction(24000, 1001), b_frames=2),
        "ntsc_avi": write_clip(folder / "ntsc.avi", rate=Fraction(30000, 1001), codec="mpeg4"),
        "vertical": write_clip(folder / "vertical äöü.mp4", b_frames=2),
    }
    for degrees in (90, 180, 270):
        back = {90: 1, 180: 2, 270: 3}[degrees]
        path = folder / f"turned_{degrees}.mp4"
        clips[f"turned_{degrees}"] = write_clip(path, picture_of=lambda n, back=back: np.rot90(_square(n), back).copy())
        turn(path, degrees)
    return clips


def _square(number: int) -> np.ndarray:
    """An upright picture that is higher than wide, so that a wrong turn cannot be read."""
    return draw(number, WIDTH, 2 * HEIGHT + 64)


def main(folder: Path) -> None:
    """Clips, plates and what the engine read in them."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from josh_blender.engine.stages.frames import FramesSettings, run_frames
    from josh_blender.engine.video.plate import pictures_shown_by_blender, write_plate
    from josh_blender.engine.video.reader import open_frames
    from josh_blender.engine.video.timeline import read_timeline

    told = {}
    for name, path in make_clips(folder).items():
        frames = run_frames(path, FramesSettings(), folder, lambda done, total: None)
        with open_frames(frames) as reader:
            numbers = [read(picture) for _, picture in reader.iterate()]
        shown = path
        if frames.plate_reasons:
            shown = folder / f"plate_{name}.mp4"
            write_plate(frames, shown, lambda done, total: None)
        told[name] = {
            "source": str(path),
            "shown": str(shown),
            "reasons": frames.plate_reasons,
            "numbers": numbers,
            "shown_by_blender": pictures_shown_by_blender(read_timeline(path)).tolist(),
            "size": [frames.source.width, frames.source.height],
            "fps": [frames.source.fps_num, frames.source.fps_den],
        }
    (folder / "clips.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
