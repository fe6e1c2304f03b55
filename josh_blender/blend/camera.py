"""The animated camera: world_from_camera and intrinsics of every frame as a Blender camera.

Blender's camera looks along -Z with Y up, ours along +Z with Y down. With M the fitted side in px and s the sensor
along it, ``lens = f s / M``, ``shift_x = (W/2 - cx) / M``, ``shift_y = (cy - H/2) / M``. The fit is always set: AUTO
treats non-square pixels wrongly in portrait.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ..scene4d.rotations import continuous_quaternions, quaternion_from_matrix
from ..scene4d.scene import CameraPath
from .animation import Channel
from .takes import animate

SENSOR = 36.0
_CLIP_START = 0.01
_LEAST_CLIP_END = 1000.0

_BLENDER_FROM_CAMERA = np.diag([1.0, -1.0, -1.0])


@dataclass
class Lens:
    """Blender's numbers for intrinsics (F,4): sensor_fit; sensor (width, height) mm; lens, shift_x, shift_y (F,);
    pixel_aspect (x, y), each at least 1."""

    sensor_fit: str
    sensor: tuple[float, float]
    lens: np.ndarray
    shift_x: np.ndarray
    shift_y: np.ndarray
    pixel_aspect: tuple[float, float]


def lens_from_intrinsics(intrinsics: np.ndarray, width: int, height: int) -> Lens:
    """Blender's lens, shift and pixel aspect for intrinsics (F,4) fx fy cx cy of a picture of width x height px."""
    fx, fy, cx, cy = np.asarray(intrinsics, dtype=np.float64).T
    # One aspect holds for the whole file, so a clip has the mean of its frames (they differ by rounding at most).
    aspect = float(np.mean(fx / fy))
    if abs(aspect - 1.0) < 1e-6:
        aspect = 1.0
    if width >= height:
        fit, side, focal, side_y = "HORIZONTAL", float(width), fx, width / aspect
        side_x, sensor = side, (SENSOR, SENSOR * height * aspect / width)
    else:
        fit, side, focal, side_y = "VERTICAL", float(height), fy, float(height)
        side_x, sensor = height * aspect, (SENSOR * width / (height * aspect), SENSOR)
    return Lens(
        sensor_fit=fit,
        sensor=sensor,
        lens=focal * SENSOR / side,
        shift_x=(width / 2.0 - cx) / side_x,
        shift_y=(cy - height / 2.0) / side_y,
        pixel_aspect=(max(1.0, 1.0 / aspect), max(1.0, aspect)),
    )


def _pose_channels(world_from_camera: np.ndarray) -> list[Channel]:
    rotations = world_from_camera[:, :3, :3] @ _BLENDER_FROM_CAMERA
    return [
        Channel("location", world_from_camera[:, :3, 3], "Transform"),
        Channel("rotation_quaternion", continuous_quaternions(quaternion_from_matrix(rotations)), "Transform"),
    ]


def create_camera(name: str, scale: float = 1.0) -> bpy.types.Object:
    """A new camera object, linked to no collection yet; ``scale``: Blender units of a metre."""
    data = bpy.data.cameras.new(name)
    data.clip_start = _CLIP_START * scale
    data.clip_end = _LEAST_CLIP_END * scale
    camera = bpy.data.objects.new(name, data)
    camera.rotation_mode = "QUATERNION"
    return camera


def write_camera(
    camera: bpy.types.Object, path: CameraPath, frames: np.ndarray, width: int, height: int
) -> tuple[Lens, bool]:
    """Write pose and lens keys at Blender frames (F,).

    Returns the lens and whether the take was assigned (False: the artist had edited the camera's keys).
    """
    lens = lens_from_intrinsics(path.intrinsics, width, height)
    data = camera.data
    data.type = "PERSP"
    data.sensor_fit = lens.sensor_fit
    data.sensor_width, data.sensor_height = lens.sensor
    channels = [
        Channel("lens", lens.lens, "Lens"),
        Channel("shift_x", lens.shift_x, "Lens"),
        Channel("shift_y", lens.shift_y, "Lens"),
    ]
    varying = [channel for channel in channels if np.ptp(channel.values) > 1e-6]
    for channel in channels:
        setattr(data, channel.data_path, float(channel.values[0]))
    ours = animate(camera, camera.name, frames, _pose_channels(path.world_from_camera))
    if varying or data.animation_data is not None:
        ours = animate(data, f"{camera.name} lens", frames, varying) and ours
    return lens, ours
