"""A Blender camera as the camera.npz that the engine takes as given: the reverse of `camera`."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from ..scene4d.arrays import write_npz
from ..scene4d.errors import UserError

_CAMERA_FROM_BLENDER = np.diag([1.0, -1.0, -1.0, 1.0])


def camera_matrices(
    context: bpy.types.Context, camera: bpy.types.Object, frames: range, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """``world_from_camera`` (F,4,4) and intrinsics (F,4) px at Blender's ``frames``, for a picture of width x height.

    Parents, constraints and drivers count; the scale of the object does not. The scene's frame stays as it was.

    Raises:
        UserError: not a perspective camera.
    """
    if camera.type != "CAMERA" or camera.data.type != "PERSP":
        raise UserError("bad_camera", f"{camera.name} is no perspective camera.", "Choose a perspective camera.")
    scene = context.scene
    current, subframe = scene.frame_current, scene.frame_subframe
    poses, intrinsics = np.empty((len(frames), 4, 4)), np.empty((len(frames), 4))
    try:
        for row, frame in enumerate(frames):
            scene.frame_set(frame)
            depsgraph = context.evaluated_depsgraph_get()
            evaluated = camera.evaluated_get(depsgraph)
            location, rotation, _ = evaluated.matrix_world.decompose()
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = np.array(rotation.to_matrix()), location
            poses[row] = pose @ _CAMERA_FROM_BLENDER
            matrix = np.array(
                evaluated.calc_matrix_camera(
                    depsgraph, x=width, y=height,
                    scale_x=scene.render.pixel_aspect_x, scale_y=scene.render.pixel_aspect_y,
                )
            )  # fmt: skip
            intrinsics[row] = (
                matrix[0, 0] * width / 2.0,
                matrix[1, 1] * height / 2.0,
                (1.0 - matrix[0, 2]) * width / 2.0,
                (1.0 + matrix[1, 2]) * height / 2.0,
            )
    finally:
        scene.frame_set(current, subframe=subframe)
    return poses, intrinsics


def write_given_camera(
    context: bpy.types.Context,
    camera: bpy.types.Object,
    path: Path,
    first: int,
    last: int,
    start_frame: int,
    width: int,
    height: int,
) -> Path:
    """Write the camera of the source frames ``first`` to ``last``, of which the first is shown at ``start_frame``.

    Raises:
        UserError: not a perspective camera, or the folder cannot be written.
    """
    count = last - first + 1
    poses, intrinsics = camera_matrices(context, camera, range(start_frame, start_frame + count), width, height)
    arrays = {
        "frame": np.arange(first, last + 1, dtype=np.int32),
        "world_from_camera": poses,
        "intrinsics": intrinsics,
        "distortion": np.zeros(5),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_npz(path, arrays)
    except OSError as error:
        raise UserError(
            "bad_output", f"The folder “{path.parent}” cannot be written: {error.strerror}.", "Choose another one."
        ) from error
    return path
