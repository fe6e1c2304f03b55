"""Plates that Blender shows frame for frame, and why a source may need one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ..results import FramesResult
from .reader import Picture, open_frames
from .timeline import HDR_TRANSFERS, Timeline

Progress = Callable[[int, int], None]


def plate_reasons(timeline: Timeline) -> list[str]:
    """Why Blender would not show this video frame for frame; empty where it would."""
    reasons: list[str] = []
    if timeline.rotation:
        reasons.append(f"rotation by {timeline.rotation} degrees in the metadata")
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
    return np.searchsorted(timeline.pts, np.rint(wanted), side="right") - 1
