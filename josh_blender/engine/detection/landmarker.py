"""MediaPipe's landmark model on the region of one person."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .models import POSE_LANDMARK, open_model
from .regions import Picture, Region, crop, region_from_points

SIZE = 256
LANDMARK_COUNT = 33
#: The model's own rows after the 33: middle of the hips, and the point above it that says size and rotation.
_CENTRE, _TOP = 33, 34
#: Margin of the region around the circle that holds the body (MediaPipe's value).
REGION_SCALE = 1.25
_REFINE_KERNEL = 7
_REFINE_CONFIDENCE = 0.5

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Pose:
    """One person in one picture.

    presence: 0..1 that a person is in the region. points (33,2) px of the plate; visibility (33,) 0..1; world (33,3)
    metres, hip centred, camera axes; packed_mask: ``mask`` as `pack_mask` makes it; next_region: where to look in the
    next picture.
    """

    presence: float
    region: Region
    points: Floats
    visibility: Floats
    world: Floats
    packed_mask: bytes
    next_region: Region

    @property
    def mask(self) -> NDArray[np.uint8]:
        """(256,256) uint8 over ``region``, 255 = surely the person."""
        return np.frombuffer(zlib.decompress(self.packed_mask), np.uint8).reshape(SIZE, SIZE)


def pack_mask(mask: Floats) -> bytes:
    """A mask (256,256) of 0..1 in 16 steps, compressed: a long video holds one for every person and picture."""
    steps = np.rint(np.clip(mask, 0.0, 1.0) * 15).astype(np.uint8) * np.uint8(17)
    return zlib.compress(steps.tobytes(), 1)


def _sigmoid(x: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -60.0, 60.0)))


def refine(points: Floats, heatmap: Floats) -> Floats:
    """Points (L,2) of the unit square moved to the centre of mass of their heat map (h,w,L), where it is sure.

    As MediaPipe's RefineLandmarksFromHeatmapCalculator: 7x7 cells around the point, at least one above 0.5.
    """
    refined = points.copy()
    height, width = heatmap.shape[:2]
    reach = (_REFINE_KERNEL - 1) // 2
    for number, (x, y) in enumerate(points):
        column, row = int(x * width), int(y * height)
        if not (0 <= column < width and 0 <= row < height):
            continue
        rows = slice(max(0, row - reach), min(height, row + reach + 1))
        columns = slice(max(0, column - reach), min(width, column + reach + 1))
        weight = _sigmoid(heatmap[rows, columns, number])
        total = float(weight.sum())
        if weight.max() >= _REFINE_CONFIDENCE and total > 0:
            refined[number, 0] = float((weight.sum(0) * np.arange(columns.start, columns.stop)).sum()) / total / width
            refined[number, 1] = float((weight.sum(1) * np.arange(rows.start, rows.stop)).sum()) / total / height
    return refined


class PoseLandmarker:
    """The network on one thread; each thread needs its own."""

    def __init__(self) -> None:
        self._model = open_model(POSE_LANDMARK)
        self._input = self._model.get_input_details()[0]["index"]
        by_shape = {tuple(o["shape"]): o["index"] for o in self._model.get_output_details()}
        self._points = by_shape[(1, 195)]
        self._presence = by_shape[(1, 1)]
        self._mask = by_shape[(1, SIZE, SIZE, 1)]
        self._heatmap = by_shape[(1, 64, 64, 39)]
        self._world = by_shape[(1, 117)]

    def locate(self, picture: Picture, region: Region) -> Pose:
        """The person in a region of an RGB picture."""
        model = self._model
        model.set_tensor(self._input, (crop(picture, region, SIZE).astype(np.float32) / 255.0)[None])
        model.invoke()
        rows = model.get_tensor(self._points).reshape(39, 5).astype(np.float64)
        points = region.to_plate(refine(rows[:, :2] / SIZE, model.get_tensor(self._heatmap)[0]))
        world = model.get_tensor(self._world).reshape(39, 3)[:LANDMARK_COUNT].astype(np.float64)
        c, s = np.cos(region.rotation), np.sin(region.rotation)
        world[:, :2] = world[:, :2] @ np.array([[c, s], [-s, c]])
        mask = _sigmoid(model.get_tensor(self._mask)[0, :, :, 0])
        return Pose(
            presence=float(model.get_tensor(self._presence)[0, 0]),
            region=region,
            points=points[:LANDMARK_COUNT],
            visibility=_sigmoid(rows[:LANDMARK_COUNT, 3]),
            world=world,
            packed_mask=pack_mask(mask),
            next_region=region_from_points(points[_CENTRE], points[_TOP], REGION_SCALE),
        )
