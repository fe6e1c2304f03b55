"""Depth maps of the key frames: sweep, check against one another, leave out people and sky, fill smooth ground."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import invert_rigid, opencv_matrix, scale_intrinsics, transform
from ..results import FramesResult
from ..video.reader import FrameReader
from .consistency import agree, drop_speckles
from .ground_fill import fill_ground
from .plane_sweep import RawDepth, View, sweep
from .sky import find_sky

Array = NDArray[Any]

#: Correlation at and below which a match says nothing, and the one that is as good as any.
_CORRELATION = (0.35, 0.85)
#: Other maps that must agree for full confidence.
_ENOUGH_MAPS = 2
#: Patches of fewer pixels than this float in the air more often than not.
_SPECKLE = 30
#: Sweeps at once at most: each holds a cost volume of its own.
_MOST_THREADS = 4


@dataclass(frozen=True)
class DepthSettings:
    """width: px of the maps' longer side. most_maps: at most so many key frames get one. sources: pictures each map is
    matched with. mask_margin: px of the map around people that get no depth. angle: degrees between the rays of two
    pictures beyond which more parallax does not help."""

    width: int = 320
    most_maps: int = 24
    sources: int = 4
    mask_margin: int = 4
    angle: float = 4.0


@dataclass
class KeyframeDepth:
    """A depth map while it is made. index: position in ``FramesResult.frame``; color (h,w,3) RGB; blocked (h,w) bool:
    people; depth (h,w) float32 scene units, 0 = none; confidence (h,w) float32 0..1; flat (h,w) bool: nothing to
    match; sky (h,w) bool."""

    index: int
    view: View
    color: Array
    blocked: Array
    depth: Array
    confidence: Array
    flat: Array
    sky: Array


@dataclass(frozen=True)
class Undistorter:
    """Takes pictures of the plate, read at ``read_size``, to an undistorted pinhole of ``size`` with ``intrinsics``."""

    size: tuple[int, int]
    read_size: tuple[int, int]
    intrinsics: Array
    map_x: Array
    map_y: Array

    def picture(self, picture: Array) -> Array:
        """The undistorted picture (h,w,...) of one (h',w',...) of ``read_size``."""
        doubled = cv2.remap(picture, self.map_x, self.map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return cv2.resize(doubled, self.size, interpolation=cv2.INTER_AREA)

    def mask(self, mask: Array) -> Array:
        """Where (h,w) a mask of any size is not zero."""
        whole = cv2.resize((mask > 0).astype(np.uint8), self.read_size, interpolation=cv2.INTER_NEAREST)
        doubled = cv2.remap(whole, self.map_x, self.map_y, cv2.INTER_NEAREST)
        return cv2.resize(doubled, self.size, interpolation=cv2.INTER_AREA) > 0


def make_undistorter(plate: tuple[int, int], width: int, intrinsics: Array, distortion: Array) -> Undistorter:
    """Maps for pictures of a plate (width, height) onto undistorted ones whose longer side is ``width`` px."""
    scale = width / max(plate)
    size = (max(1, round(plate[0] * scale)), max(1, round(plate[1] * scale)))
    doubled = (2 * size[0], 2 * size[1])
    small = scale_intrinsics(intrinsics, size[0] / plate[0], size[1] / plate[1])
    large = scale_intrinsics(small, 2.0)
    map_x, map_y = cv2.initUndistortRectifyMap(
        opencv_matrix(large), np.asarray(distortion, dtype=np.float64), np.eye(3), opencv_matrix(large), doubled,
        cv2.CV_32FC1,
    )  # fmt: skip
    return Undistorter(size, doubled, small, map_x, map_y)


def choose_sources(
    points: Array, seen_by: list[Array], centres: Array, row: int, count: int, angle: float
) -> list[int]:
    """Rows of the key frames to match key frame ``row`` with: many common points, seen under a wide enough angle.

    points (P,3); seen_by: rows of the points of each key frame, rising; centres (K,3).
    """
    scores = {}
    for other in range(len(centres)):
        if other == row:
            continue
        common = np.intersect1d(seen_by[row], seen_by[other], assume_unique=True)
        if len(common) < 8:
            continue
        one, two = points[common] - centres[row], points[common] - centres[other]
        cosine = np.sum(one * two, axis=1) / np.maximum(
            np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1), 1e-12
        )
        parallax = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
        scores[other] = len(common) * float(np.mean(np.minimum(parallax / angle, 1.0)))
    return sorted(scores, key=lambda other: -scores[other])[:count]


def _load(
    reader: FrameReader,
    mask_of: Callable[[int], Array],
    keyframe: Array,
    world_from_camera: Array,
    undistorters: list[Undistorter],
    margin: int,
) -> list[KeyframeDepth]:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    maps = []
    pictures = reader.iterate([int(value) for value in keyframe], size=undistorters[0].read_size)
    for undistorter, (index, rgb) in zip(undistorters, pictures, strict=True):
        color = undistorter.picture(rgb)
        view = View(cv2.cvtColor(color, cv2.COLOR_RGB2GRAY), undistorter.intrinsics, world_from_camera[index])
        blocked = cv2.dilate(undistorter.mask(mask_of(index)).astype(np.uint8), kernel) > 0
        nothing = np.zeros(blocked.shape, dtype=bool)
        empty = np.zeros(blocked.shape, dtype=np.float32)
        maps.append(KeyframeDepth(index, view, color, blocked, empty, empty.copy(), nothing, nothing.copy()))
    return maps


def make_depth_maps(
    frames: FramesResult,
    reader: FrameReader,
    mask_of: Callable[[int], Array],
    keyframe: Array,
    world_from_camera: Array,
    intrinsics: Array,
    distortion: Array,
    points: Array,
    observation_keyframe: Array,
    observation_point: Array,
    settings: DepthSettings,
    step: Callable[[], None],
) -> list[KeyframeDepth]:
    """Checked depth of the key frames (K,) of a moving camera, without people and sky.

    ``mask_of(index)`` gives people as non-zero (h,w) of any size; world_from_camera (F,4,4); intrinsics (F,4) px of the
    plate. Key frames without enough common points get no map.
    """
    plate = (frames.source.width, frames.source.height)
    lenses, lens_of = np.unique(intrinsics[np.asarray(keyframe, dtype=int)], axis=0, return_inverse=True)
    each = [make_undistorter(plate, settings.width, lens, distortion) for lens in lenses]
    undistorters = [each[number] for number in lens_of.ravel()]
    maps = _load(reader, mask_of, keyframe, world_from_camera, undistorters, settings.mask_margin)
    centres = world_from_camera[np.asarray(keyframe, dtype=int), :3, 3]
    seen_by = [np.unique(observation_point[observation_keyframe == row]) for row in range(len(keyframe))]
    rows = np.unique(np.linspace(0, len(keyframe) - 1, min(len(keyframe), settings.most_maps)).round().astype(int))
    made: list[int] = []
    correlations: dict[int, Array] = {}

    def sweep_from(row: int) -> RawDepth | None:
        sources = choose_sources(points, seen_by, centres, row, settings.sources, settings.angle)
        z = transform(invert_rigid(world_from_camera[int(keyframe[row])]), points[seen_by[row]])[:, 2]
        z = z[z > 0.0]
        if not sources or len(z) < 8:
            return None
        near, far = 0.6 * np.percentile(z, 1.0), 2.0 * np.percentile(z, 99.0)
        return sweep(maps[row].view, [maps[other].view for other in sources], float(near), float(far))

    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        for row, raw in zip(rows, pool.map(sweep_from, rows), strict=True):
            if raw is not None:
                maps[row].depth = np.where(maps[row].blocked, 0.0, raw.depth).astype(np.float32)
                maps[row].flat = raw.flat
                correlations[int(row)] = raw.correlation
                made.append(int(row))
            step()
    _check(maps, made, correlations, settings)
    return [maps[row] for row in made]


def _check(maps: list[KeyframeDepth], made: list[int], correlations: dict[int, Array], settings: DepthSettings) -> None:
    """Keep what the nearest other maps confirm; the agreeing depths are averaged."""
    low, high = _CORRELATION
    checked = {}
    for position, row in enumerate(made):
        near = sorted((other for other in made if other != row), key=lambda other: abs(made.index(other) - position))
        found = agree(
            maps[row].depth,
            maps[row].view,
            [(maps[other].depth, maps[other].view) for other in near[: settings.sources]],
        )
        votes = np.minimum(found.count / _ENOUGH_MAPS, 1.0)
        match = np.clip((correlations[row] - low) / (high - low), 0.0, 1.0)
        confidence = (votes * match).astype(np.float32)
        checked[row] = (np.where(confidence > 0.0, found.depth, 0.0).astype(np.float32), confidence)
    for row, (depth, confidence) in checked.items():
        item = maps[row]
        item.sky = find_sky(item.color, confidence)
        depth[item.sky | item.blocked] = 0.0
        depth = drop_speckles(depth, _SPECKLE)
        item.depth, item.confidence = depth, np.where(depth > 0.0, confidence, 0.0).astype(np.float32)


def fill_ground_of(maps: list[KeyframeDepth], ground: Array) -> None:
    """Fill smooth ground of every map from the plane ``ground`` (4,) of the world, in place."""
    for position, item in enumerate(maps):
        around = [maps[other].view for other in (position - 2, position + 2) if 0 <= other < len(maps)]
        if not around:
            continue
        item.depth, item.confidence = fill_ground(
            item.view, item.color, item.depth, item.confidence, item.flat, item.blocked | item.sky, around, ground
        )


def save_depth_map(
    folder: Path, frames: FramesResult, index: int, depth: Array, confidence: Array, intrinsics: Array
) -> None:
    """Write ``FFFFFF.npz`` (source frame number) as ``SceneResult`` describes it."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / f"{int(frames.frame[index]):06d}.npz",
        depth=depth.astype(np.float32),
        confidence=confidence.astype(np.float32),
        intrinsics=np.asarray(intrinsics, dtype=np.float64),
    )
