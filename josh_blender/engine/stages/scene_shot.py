"""A clip on its way through the scene stage: what every part of the stage works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...scene4d.files import mask_path
from ..depth.depth_maps import DepthSettings
from ..results import FramesResult, PeopleResult
from ..sfm.given import read_given_camera
from ..sfm.mapping import KnownLens
from ..sfm.zoom import ZOOM_RATIO
from ..video.reader import FrameReader

Array = NDArray[Any]

#: Pictures of a long clip that are remembered: corners are followed through six in a row.
_REMEMBERED = 8


@dataclass
class SceneSettings:
    """backend: "colmap". camera_kind: "auto", "moving", "static", "pan". camera_file: a camera.npz of a 4D scene, kept
    unless ``refine_camera``; focal_px: a known focal length, likewise. width: of the pictures that are matched, px;
    features per picture; keyframes_per_second; overlap: key frames that each is matched with."""

    backend: str = "colmap"
    device: str = "cpu"
    camera_kind: str = "auto"
    camera_file: Path | None = None
    refine_camera: bool = False
    focal_px: float | None = None
    width: int = 960
    features: int = 4000
    keyframes_per_second: float = 5.0
    overlap: int = 5
    depth: DepthSettings = field(default_factory=DepthSettings)


@dataclass
class Pictures:
    """Grey pictures and people masks of the key frames at matching size; scale = their width / width of the plate."""

    keyframe: list[int]
    grey: Sequence[Array]
    people: Sequence[Array]
    scale: float
    size: tuple[int, int]


@dataclass
class Shot:
    """The clip, who is in it, its key frames, and where results go; ``step`` reports progress."""

    frames: FramesResult
    people: PeopleResult
    people_folder: Path
    reader: FrameReader
    pictures: Pictures
    settings: SceneSettings
    folder: Path
    step: Callable[..., None]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the plate in px."""
        return self.frames.source.width, self.frames.source.height

    def mask(self, index: int, size: tuple[int, int]) -> Array:
        """Who covers the pixels of a frame: (h,w) mask values, 0 for nobody, at a size given as (w, h)."""
        return read_mask(self.people_folder, int(self.frames.frame[index]), size)

    def grey_pictures(self) -> Iterator[tuple[int, Array]]:
        """Every frame in order, grey, at matching size."""
        for index, picture in self.reader.iterate(size=self.pictures.size):
            yield index, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)

    def known_lens(self) -> KnownLens | None:
        """The lens that the settings give, to be kept or refined.

        Raises:
            UserError: the camera file does not fit the clip.
        """
        settings = self.settings
        if settings.camera_file is not None:
            given = read_given_camera(settings.camera_file, self.frames.frame)
            if np.ptp(np.log(given.intrinsics[:, 0])) > np.log(ZOOM_RATIO):
                # A lens that zooms is found again picture by picture; a constant one is a start worth having.
                return None
            return KnownLens(given.intrinsics[0], given.distortion, refine=True)
        if settings.focal_px is not None:
            centre = [self.size[0] / 2.0, self.size[1] / 2.0]
            lens = np.array([settings.focal_px, settings.focal_px, *centre])
            return KnownLens(lens, np.zeros(5), settings.refine_camera)
        return None


def read_mask(folder: Path, number: int, size: tuple[int, int]) -> Array:
    """The people mask of a source frame number at a size (w, h), nobody where there is no file."""
    path = mask_path(folder, number)
    # OpenCV reads PNG far faster than the reader that Blender shares; not by path, which must be ASCII on Windows.
    mask = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if mask is None:
        return np.zeros((size[1], size[0]), np.uint8)
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST))


class _Streamed(Sequence[Array]):
    """Pictures by their row, read when they are asked for; the last few are remembered."""

    def __init__(self, count: int, read: Callable[[int], Array]) -> None:
        self._rows, self._read = range(count), lru_cache(_REMEMBERED)(read)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: Any) -> Any:
        return self._read(self._rows[row])


def read_pictures(
    reader: FrameReader,
    frames: FramesResult,
    people_folder: Path,
    keyframe: list[int],
    width: int,
    streamed: bool = False,
) -> Pictures:
    """The key frames and their people masks, at most ``width`` px on the longer side; ``streamed``: read when they are
    asked for, which costs time where they are asked for twice and memory for a few, however long the clip is."""
    scale = min(1.0, width / max(frames.source.width, frames.source.height))
    size = (round(frames.source.width * scale), round(frames.source.height * scale))

    def grey(row: int) -> Array:
        return cv2.cvtColor(reader.read(int(keyframe[row]), size), cv2.COLOR_RGB2GRAY)

    def people(row: int) -> Array:
        return read_mask(people_folder, int(frames.frame[keyframe[row]]), size)

    pictures: Sequence[Array] = _Streamed(len(keyframe), grey)
    masks: Sequence[Array] = _Streamed(len(keyframe), people)
    if not streamed:
        pictures, masks = list(pictures), list(masks)
    return Pictures(keyframe, pictures, masks, size[0] / frames.source.width, size)
