"""Where a CG object can stand in a 4D scene: seen, clear of the people, and sometimes behind one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..scene4d.camera import invert_rigid, project, transform
from ..scene4d.conventions import JOINT_NAMES
from ..scene4d.scene import Person, Scene4D

Array = NDArray[Any]

_PELVIS = JOINT_NAMES.index("pelvis")
_CLEARANCE = 0.6
_GRID_STEP = 0.25
#: Ground is looked at in cells of this size, m; points below this height are the ground, those up to a person's height
#: stand on it.
_CELL, _FLAT, _ROOM_HEIGHT = 0.3, 0.06, 1.5
#: Share of the frames on which somebody should pass before the object.
_PASSING = 0.15


def _root_positions(scene: Scene4D, person: Person) -> Array:
    """World positions (F,3) of the pelvis on every frame of the camera, NaN where the person is absent."""
    positions = np.full((len(scene.camera.frame), 3), np.nan)
    rest = person.body.joints(person.betas)[_PELVIS] if person.body is not None else np.zeros(3)
    positions[np.searchsorted(scene.camera.frame, person.frame)] = person.trans + rest
    return positions


def people_in_front(scene: Scene4D, location: Array) -> dict[int, Array]:
    """Per person's id, on which frames (F,) the person is nearer to the camera than a place in the world (3,)."""
    camera_from_world = invert_rigid(scene.camera.world_from_camera)
    depth = transform(camera_from_world, np.broadcast_to(location, (len(camera_from_world), 1, 3)))[:, 0, 2]
    result = {}
    for person in scene.people:
        root = _root_positions(scene, person)
        root_depth = transform(camera_from_world, root[:, None, :])[:, 0, 2]
        with np.errstate(invalid="ignore"):
            result[person.id] = np.where(np.isnan(root_depth), False, root_depth < depth)
    return result


def _is_free_ground(scene: Scene4D, places: Array) -> Array:
    """Which places (N,2) lie on ground that the cloud shows at z = 0, with nothing standing there (steps, boxes)."""
    points = scene.cloud.position
    near = np.abs(points[:, 2]) < _ROOM_HEIGHT
    cells = np.floor(points[near, :2] / _CELL).astype(np.int64)
    height = points[near, 2]
    wanted = np.floor(places / _CELL).astype(np.int64)
    free = np.ones(len(places), dtype=bool)
    if not len(cells):
        return free
    low = np.minimum(cells.min(axis=0), wanted.min(axis=0)) - 2
    shape = np.maximum(cells.max(axis=0), wanted.max(axis=0)) - low + 3
    flat, raised = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    np.add.at(flat, tuple((cells - low)[np.abs(height) < _FLAT].T), 1)
    np.add.at(raised, tuple((cells - low)[np.abs(height) >= _FLAT].T), 1)
    for step in np.ndindex(3, 3):
        row, column = (wanted - low + np.array(step) - 1).T
        free &= flat[row, column] > 4 * raised[row, column]
    return free


def suggest_place(scene: Scene4D, height: float = 1.0) -> Array:
    """A point (3,) on the ground z = 0 where an object of ``height`` metres shows well.

    Every grid point around the people and before the camera is scored by the share of frames on which it is inside the
    picture, how large it appears, and whether somebody passes in front of it now and then; points closer than 0.6 m to
    anybody's path are left out.
    """
    camera = scene.camera
    camera_from_world = invert_rigid(camera.world_from_camera)
    roots = {person.id: _root_positions(scene, person) for person in scene.people}
    walked = [path[~np.isnan(path[:, 0])] for path in roots.values()]
    centres = camera.world_from_camera[:, :3, 3]
    forward = centres + 5.0 * camera.world_from_camera[:, :3, 2]
    interesting = np.concatenate([*walked, forward])
    low, high = interesting[:, :2].min(axis=0) - 3.0, interesting[:, :2].max(axis=0) + 3.0
    xs, ys = (np.arange(low[axis], high[axis], _GRID_STEP) for axis in range(2))
    grid = np.stack(np.meshgrid(xs, ys, indexing="ij"), axis=-1).reshape(-1, 2)
    for path in walked:
        distance = np.linalg.norm(grid[:, None] - path[None, ::3, :2], axis=-1).min(axis=1)
        grid = grid[distance > _CLEARANCE]
    on_ground = _is_free_ground(scene, grid)
    grid = grid[on_ground] if on_ground.any() else grid
    if not len(grid):
        return np.array([*forward[0, :2], 0.0])
    base = np.concatenate([grid, np.zeros((len(grid), 1))], axis=1)
    shown, hidden_share = np.zeros(len(grid)), np.zeros(len(grid))
    width, tall = scene.source.width, scene.source.height
    step = max(1, len(camera.frame) // 30)
    for index in range(0, len(camera.frame), step):
        middle = transform(camera_from_world[index], base + np.array([0.0, 0.0, height / 2]))
        pixel = project(middle, camera.intrinsics[index])
        size = camera.intrinsics[index, 1] * height / np.maximum(middle[:, 2], 0.1)
        inside = (
            (middle[:, 2] > 1.0)
            & (np.abs(pixel[:, 0] - width / 2) < 0.42 * width)
            & (np.abs(pixel[:, 1] - tall / 2) < 0.5 * tall - size / 2)
        )
        shown += inside * np.minimum(size / tall, 0.35)
        hidden = np.zeros(len(grid), dtype=bool)
        for path in roots.values():
            root = path[index]
            if np.isnan(root[0]):
                continue
            person_camera = transform(camera_from_world[index], root[None])[0]
            person_pixel = project(person_camera, camera.intrinsics[index])
            hidden |= (person_camera[2] < middle[:, 2]) & (np.abs(person_pixel[0] - pixel[:, 0]) < 0.3 * size)
        hidden_share += inside * hidden * step / len(camera.frame)
    # Somebody passing in front shows best that the object is in the place, but it must not hide for long.
    passing = np.minimum(hidden_share / _PASSING, 1.0) - np.maximum(hidden_share - 2.5 * _PASSING, 0.0)
    return base[int(np.argmax(shown * (0.3 + passing)))]
