"""What the scene is under a contact: a local level of its depth maps, or the ground plane.

A foot hides the ground it stands on, and soles meet the ground at a grazing angle, so no single pixel is trusted. Scene
points around the place where the body says its sole is give a height above the ground plane (median of those near that
height); where they agree with the plane, the plane is used; where there are none, the plane too, if it is near.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...scene4d.camera import unproject
from ..results import FramesResult, SceneResult

Array = NDArray[Any]

#: Metres: how far around a sole points are asked, how far their height may be off, how near is "on the plane".
_RADIUS = 0.3
_LEVEL = 0.12
_SNAP = 0.04
#: Metres: a local level may be this uneven, and the plane this far from a sole that no point supports.
_UNEVEN = 0.04
_PLANE_REACH = 0.15
_LEAST_POINTS = 12
_LEAST_CONFIDENCE = 0.3
#: Points of one map, and of all maps of a long video together.
_MOST_POINTS, _MOST_OF_ALL = 5_000, 2_000_000
#: Spread of a level relative to its depth below the camera.
_ONE_LEVEL = 0.03


@dataclass(frozen=True)
class DepthCloud:
    """What one depth map shows, in scene units: its frame, world_from_camera rotation (3,3) and centre (3,), points
    local (N,3) in its camera's axes, and the map itself: depth (H,W), 0 where it is not to be trusted, of a camera with
    intrinsics (4,)."""

    frame: int
    rotation: Array
    centre: Array
    local: Array
    depth: Array
    intrinsics: Array

    @classmethod
    def of_map(
        cls, frame: int, world_from_camera: Array, depth: Array, intrinsics: Array, most: int = _MOST_POINTS
    ) -> DepthCloud:
        """The cloud of a depth map (H,W) of a camera (4,4), thinned evenly to about ``most`` points."""
        matrix = np.array(world_from_camera, np.float64)
        pixels = np.flatnonzero(depth > 0.0)
        pixels = pixels[:: max(1, len(pixels) // most)]
        rows, columns = np.divmod(pixels, depth.shape[1])
        rays = unproject(np.stack([columns + 0.5, rows + 0.5], -1), intrinsics)
        local = rays * depth[rows, columns, None].astype(np.float64)
        return cls(frame, matrix[:3, :3], matrix[:3, 3], local, depth, np.asarray(intrinsics, np.float64))

    def scaled(self, factor: float) -> DepthCloud:
        """The same with every depth ``factor`` times as large."""
        return replace(self, local=factor * self.local, depth=self.depth * np.float32(factor))

    @cached_property
    def points(self) -> Array:
        """(N,3) in the scene's axes."""
        return np.asarray(self.local @ self.rotation.T + self.centre)

    @cached_property
    def tree(self) -> cKDTree:
        """A search tree of ``points``, made fast: it is asked about a few places only."""
        return cKDTree(self.points, compact_nodes=False, balanced_tree=False)

    def depths_at(self, rays: Array) -> Array:
        """Depth (N,) at rays (N,2) x/z, y/z of its camera; nan where the map has nothing there."""
        height, width = self.depth.shape
        place = np.floor(np.clip(rays * self.intrinsics[:2] + self.intrinsics[2:], -1.0, [width, height])).astype(int)
        inside = np.all((place >= 0) & (place < [width, height]), axis=1)
        column, row = np.where(inside[:, None], place, 0).T
        found = self.depth[row, column].astype(np.float64)
        return np.where(inside & (found > 0.0), found, np.nan)


@dataclass(frozen=True)
class Support:
    """The surface under N contacts in scene units: point (N,3), normal (N,3), depth (N,) number of the depth cloud or
    -1 (the ground plane), weight (N,) 0 where nothing was found."""

    point: Array
    normal: Array
    depth: Array
    weight: Array

    def and_also(self, others: Support) -> Support:
        """The surfaces under both."""
        parts = zip(vars(self).values(), vars(others).values(), strict=True)
        return Support(*(np.concatenate(pair) for pair in parts))


def read_depth_clouds(
    frames: FramesResult, scene: SceneResult, folder: Path, lens: Array | None = None
) -> list[DepthCloud]:
    """Confident points of every depth map, thinned evenly; maps that are missing are left out.

    lens (F,): how many times as long the focal length is now as when the maps were made.
    """
    clouds = []
    most = min(_MOST_POINTS, _MOST_OF_ALL // max(len(scene.depth_index), 1))
    for position in np.asarray(scene.depth_index, dtype=int):
        path = folder / scene.depth_folder / f"{int(frames.frame[position]):06d}.npz"
        if not path.is_file():
            continue
        with np.load(path, allow_pickle=False) as data:
            depth = np.where(data["confidence"] >= _LEAST_CONFIDENCE, data["depth"], np.float32(0.0))
            intrinsics = data["intrinsics"]
        if lens is not None:
            intrinsics = intrinsics * np.array([lens[position], lens[position], 1.0, 1.0])
        if np.count_nonzero(depth > 0.0) >= _LEAST_POINTS:
            matrix = scene.world_from_camera[position]
            clouds.append(DepthCloud.of_map(int(position), matrix, depth, intrinsics, most))
    return clouds


def find_support(
    place: Array, frame: Array, scale: float, up: Array, plane: Array, clouds: list[DepthCloud]
) -> Support:
    """The surface under soles at place (N,3) (scene units) on frames (N,); scale in metres per scene unit.

    up (3,) unit; plane (4,) the ground n.x + d = 0 with n = up, or shape (0,) where there is none.
    """
    count = len(place)
    height_of_plane = -float(plane[3]) if len(plane) else 0.0
    normal = np.broadcast_to(up, (count, 3)).copy()
    depth = np.full(count, -1)
    weight = np.zeros(count)
    height = place @ up
    level = np.full(count, height_of_plane)
    near_plane = len(plane) > 0
    cloud_frames = np.array([cloud.frame for cloud in clouds])
    for row in range(count):
        found = _local_level(place[row], height[row], scale, up, clouds, cloud_frames, int(frame[row]))
        off_plane = abs(height[row] - height_of_plane) * scale
        if found is not None and not (near_plane and abs(found[0] - height_of_plane) * scale < _SNAP):
            level[row], depth[row] = found
            weight[row] = 1.0
        elif near_plane and (found is not None or off_plane < _PLANE_REACH):
            weight[row] = 1.0
    point = place + (level - height)[:, None] * up
    return Support(point, normal, depth, weight)


def find_support_along_rays(
    sole: Array, frame: Array, rotation: Array, centre: Array, up: Array, plane: Array, clouds: list[DepthCloud]
) -> Support:
    """The surface under soles (N,3) (camera axes, m) on frames (N,) while the scale is unknown.

    Cameras rotation (N,3,3), centre (N,3) in scene units. Every scene point seen near the sole's pixel lies on a level
    that the sole's ray meets somewhere; the median of these places is where the sole stands. The ground plane serves
    where nothing is seen around the foot.
    """
    count = len(sole)
    normal = np.broadcast_to(up, (count, 3)).copy()
    point = np.zeros((count, 3)) if not len(plane) else np.broadcast_to(-plane[3] * up, (count, 3)).copy()
    weight = np.full(count, float(len(plane) > 0))
    depth = np.full(count, -1)
    cloud_frames = np.array([cloud.frame for cloud in clouds])
    ray = sole[:, :2] / np.maximum(sole[:, 2:], 1e-9)
    slope = np.einsum("nij,nj->ni", rotation, np.concatenate([ray, np.ones((count, 1))], 1)) @ up
    for position in np.unique(frame) if clouds else ():
        members = np.flatnonzero(frame == position)
        turn, origin = rotation[members[0]], centre[members[0]]
        number = int(np.argmin(np.abs(cloud_frames - position)))
        cloud = clouds[number]
        seen = cloud.points - origin
        local = seen @ turn
        ahead = local[:, 2] > 1e-6
        flat = local[ahead, :2] / local[ahead, 2:]
        rise = seen[ahead] @ up
        for row in members:
            near = ((flat - ray[row]) ** 2).sum(1) < (_RADIUS / max(sole[row, 2], 0.1)) ** 2
            if near.sum() < _LEAST_POINTS or slope[row] > -1e-3:
                continue
            level = rise[near]
            middle = float(np.median(level))
            # Relative to the camera's height the level must be one, not the ground here and a wall there.
            if middle < 0.0 and np.median(np.abs(level - middle)) < _ONE_LEVEL * -middle:
                point[row] = origin + middle * up
                depth[row], weight[row] = number, 1.0
    return Support(point, normal, depth, weight)


def _local_level(
    place: Array, height: float, scale: float, up: Array, clouds: list[DepthCloud], frames: Array, frame: int
) -> tuple[float, int] | None:
    for number in np.argsort(np.abs(frames - frame), kind="stable")[:2]:
        cloud = clouds[number]
        near = cloud.tree.query_ball_point(place, _RADIUS / scale)
        if len(near) < _LEAST_POINTS:
            continue
        heights = cloud.points[near] @ up
        heights = heights[np.abs(heights - height) * scale < _LEVEL]
        if len(heights) < _LEAST_POINTS:
            continue
        middle = float(np.median(heights))
        if np.median(np.abs(heights - middle)) * scale < _UNEVEN:
            return middle, int(number)
    return None
