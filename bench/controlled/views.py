"""What the key frames see: depth of place and people, and points of the place sighted from several of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.sample.place import Place
from bench.sample.raster import mesh_depth
from josh_blender.scene4d.body import BodyModel
from josh_blender.scene4d.camera import invert_rigid, project, scale_intrinsics, transform, unproject

from .truth import Truth

Array = NDArray[Any]

#: Long side of the depth maps, px. The reference has 512; half of it keeps the angle of its anchors (every 4 px here).
LONG_SIDE = 256
#: Depth beyond this is sky, m.
_FARTHEST = 60.0
#: New points of each key frame, how many key frames away they are looked for, and how often they are found again.
_NEW_POINTS = 14
_WINDOW = 10
_FOUND = 0.8
#: A point is in view where the place is as deep as the point, within this share.
_SAME_DEPTH = 0.01


@dataclass(frozen=True)
class View:
    """A key frame: place (H,W) and people (H,W) depth along z in metres, inf for none; intrinsics (4,) of both."""

    place: Array
    people: Array
    intrinsics: Array

    @property
    def on_people(self) -> Array:
        """Pixels (H,W) that show somebody."""
        return np.asarray(self.people < self.place)


@dataclass(frozen=True)
class Sightings:
    """M true sightings of P points (P,3): key frame (M,), point (M,), pixel (M,2) of the full picture."""

    points: Array
    keyframe: Array
    point: Array
    pixel: Array


def size_of(truth: Truth) -> tuple[int, int]:
    """(width, height) of the depth maps, both multiples of 8."""
    factor = LONG_SIDE / max(truth.width, truth.height)
    return tuple(max(8, round(side * factor / 8) * 8) for side in (truth.width, truth.height))  # type: ignore[return-value]


def place_depth(place: Place, world_from_camera: Array, intrinsics: Array, pixels: Array) -> Array:
    """Depth (N,) along z of the place at pixels (N,2), inf for the sky."""
    rays = unproject(pixels, intrinsics) @ world_from_camera[:3, :3].T
    depth = place.ray_cast(world_from_camera[:3, 3], rays)[0]
    return np.where(depth < _FARTHEST, depth, np.inf)


def look(truth: Truth, model: BodyModel) -> list[View]:
    """The views of all key frames."""
    width, height = size_of(truth)
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns.ravel(), rows.ravel()], -1) + 0.5
    views = []
    for frame in truth.keyframes:
        camera = truth.world_from_camera[frame]
        intrinsics = scale_intrinsics(truth.intrinsics[frame], width / truth.width, height / truth.height)
        place = place_depth(truth.place, camera, intrinsics, pixels).reshape(height, width)
        people = np.full((height, width), np.inf)
        for body in truth.people:
            vertices = model.skin(body.betas, body.poses[frame], body.trans[frame])[0]
            seen = mesh_depth(transform(invert_rigid(camera), vertices), model.f, intrinsics, width, height)
            people = np.minimum(people, seen)
        views.append(View(place, people, intrinsics))
    return views


def sight(truth: Truth, views: list[View], seed: int = 0) -> Sightings:
    """Points of the place that key frames see, each found again in the key frames around its first."""
    rng = np.random.default_rng([seed, 31])
    width, height = size_of(truth)
    keyframes = truth.keyframes
    born, positions = [], []
    for number, (frame, view) in enumerate(zip(keyframes, views, strict=True)):
        rows, columns = np.nonzero(np.isfinite(view.place) & ~view.on_people)
        chosen = rng.choice(len(rows), min(_NEW_POINTS, len(rows)), replace=False)
        pixel = np.stack([columns[chosen], rows[chosen]], -1) + rng.random((len(chosen), 2))
        depth = place_depth(truth.place, truth.world_from_camera[frame], view.intrinsics, pixel)
        good = np.isfinite(depth)
        rays = unproject(pixel[good], view.intrinsics) * depth[good, None]
        positions.append(transform(truth.world_from_camera[frame], rays))
        born.append(np.full(int(good.sum()), number))
    points, first = np.concatenate(positions), np.concatenate(born)
    keys, rows_of, pixels = [], [], []
    for number, (frame, view) in enumerate(zip(keyframes, views, strict=True)):
        candidates = np.flatnonzero(np.abs(first - number) <= _WINDOW)
        candidates = candidates[(rng.random(len(candidates)) < _FOUND) | (first[candidates] == number)]
        local = transform(invert_rigid(truth.world_from_camera[frame]), points[candidates])
        pixel = project(local, view.intrinsics)
        inside = (local[:, 2] > 0.1) & (pixel > 0).all(1) & (pixel < [width, height]).all(1)
        candidates, local, pixel = candidates[inside], local[inside], pixel[inside]
        free = ~view.on_people[pixel[:, 1].astype(int), pixel[:, 0].astype(int)]
        depth = place_depth(truth.place, truth.world_from_camera[frame], view.intrinsics, pixel)
        free &= np.abs(depth / local[:, 2] - 1.0) < _SAME_DEPTH
        keys.append(np.full(int(free.sum()), number))
        rows_of.append(candidates[free])
        pixels.append(pixel[free] * [truth.width / width, truth.height / height])
    return Sightings(points, np.concatenate(keys), np.concatenate(rows_of), np.concatenate(pixels))
