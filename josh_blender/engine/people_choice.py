"""Who is seen, for a user who chooses who counts; and the people stage's result with only those."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..scene4d.errors import UserError
from .results import FramesResult, PeopleResult, Track

#: Height of the pictures of people, px; and the room around them as a share of their box.
_PICTURE_HEIGHT = 192
_ROOM = 0.12


def keep_people(people: PeopleResult, ids: Sequence[int]) -> PeopleResult:
    """The result of the people stage with the tracks of ``ids`` only. The masks keep everybody: they hide movement.

    Raises:
        UserError: ``unknown_person``.
    """
    known = {track.id: track for track in people.tracks}
    unknown = [number for number in ids if number not in known]
    if unknown:
        listed = ", ".join(map(str, known)) or "nobody"
        raise UserError(
            "unknown_person",
            f"There is no person {unknown[0]} in this range; seen: {listed}.",
            "Detect the people again, and choose who counts.",
        )
    return replace(people, tracks=[known[number] for number in ids])


def write_sightings(frames: FramesResult, people: PeopleResult, path: Path) -> Path:
    """Write who is seen as ``people.json``, with a picture ``NN.png`` of each beside it; returns ``path``.

    Per person: id; first_frame and last_frame (source frame numbers); detected, the share of them on which the person
    was seen; height_px, of the largest box; reliable and reason; picture, the name of its file.

    Raises:
        UserError: the video is gone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for track in people.tracks:
        _write_picture(frames, track, path.parent / _picture_name(track))
    listed = {"people": [_describe(frames, track) for track in people.tracks]}
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(listed, indent=1), encoding="utf-8")
    partial.replace(path)
    return path


def _picture_name(track: Track) -> str:
    return f"{track.id:02d}.png"


def _describe(frames: FramesResult, track: Track) -> dict[str, Any]:
    return {
        "id": track.id,
        "first_frame": int(frames.frame[track.index[0]]),
        "last_frame": int(frames.frame[track.index[-1]]),
        "detected": float(np.mean(track.detected)),
        "height_px": float(np.max(track.box[:, 3] - track.box[:, 1])),
        "reliable": track.reliable,
        "reason": track.reason,
        "picture": _picture_name(track),
    }


def _best_row(track: Track) -> int:
    """The row on which the person is seen largest and least covered."""
    area = np.prod(np.maximum(track.box[:, 2:] - track.box[:, :2], 0.0), axis=1)
    return int(np.argmax(area * (1.0 - np.asarray(track.overlap)) * np.asarray(track.detected)))


def _write_picture(frames: FramesResult, track: Track, path: Path) -> None:
    import cv2

    from .video.reader import open_frames

    row = _best_row(track)
    x0, y0, x1, y1 = (float(value) for value in track.box[row])
    room = _ROOM * (y1 - y0)
    with open_frames(frames) as reader:
        picture = reader.read(int(track.index[row]))
    height, width = picture.shape[:2]
    left, right = max(0, round(x0 - room)), min(width, round(x1 + room))
    top, bottom = max(0, round(y0 - room)), min(height, round(y1 + room))
    part = picture[top : max(bottom, top + 1), left : max(right, left + 1)]
    size = (max(1, round(part.shape[1] * _PICTURE_HEIGHT / part.shape[0])), _PICTURE_HEIGHT)
    data = cv2.imencode(".png", cv2.cvtColor(cv2.resize(part, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR))
    path.write_bytes(data[1].tobytes())
