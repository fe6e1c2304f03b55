"""Camera paths: hand-held, tripod, pan and orbit. Camera axes x right, y down, z forward; world metres, Z up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from josh_blender.scene4d.camera import rigid
from josh_blender.scene4d.rotations import matrix_from_axis_angle

from .curves import ease, gaussian_smooth

Array = NDArray[Any]


@dataclass(frozen=True)
class Shake:
    """Hand shake: root mean square in metres and degrees, with most of its power near ``frequency`` Hz."""

    position: float = 0.008
    degrees: float = 0.25
    frequency: float = 1.3


@dataclass(frozen=True)
class CameraSettings:
    """A path and a lens.

    kind: "handheld" moves through ``positions`` (P,3) at even times; "orbit" turns by ``sweep_degrees`` about the
    target at its first distance; "tripod" stands at the first position and keeps its direction; "pan" stands there
    and turns. ``aim``: the camera looks at this share of the way to the people's centre, smoothed over ``aim_seconds``;
    ``aim_offset`` is added to that centre. ``focal`` is in units of the picture's width; with ``focal_end`` the lens
    zooms there between the shares ``zoom`` of the shot. ``rounding`` smooths the corners of a handheld path, as a share
    of the shot; paths that end where they start keep going round.
    """

    kind: str = "handheld"
    positions: tuple[tuple[float, float, float], ...] = ((0.0, 0.0, 1.6), (1.2, 0.2, 1.6), (2.6, 1.0, 1.6))
    focal: float = 0.9
    focal_end: float | None = None
    zoom: tuple[float, float] = (0.25, 0.75)
    rounding: float = 0.15
    shake: Shake | None = Shake()
    aim_seconds: float = 0.8
    aim_offset: tuple[float, float, float] = (0.0, 0.0, -0.1)
    sweep_degrees: float = 40.0


def look_at(position: ArrayLike, target: ArrayLike) -> Array:
    """Rotations (..., 3, 3) world_from_camera of level cameras that look from one point at another."""
    forward = np.asarray(target, float) - np.asarray(position, float)
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    return np.stack([right, np.cross(forward, right), forward], axis=-1)


def intrinsics(settings: CameraSettings, width: int, height: int, frames: int) -> Array:
    """fx fy cx cy (F, 4) in px. A zoom changes the logarithm of the focal length smoothly."""
    focal = np.full(frames, settings.focal)
    if settings.focal_end is not None:
        share = ease(np.linspace(0, 1, frames), *settings.zoom)
        focal = settings.focal * (settings.focal_end / settings.focal) ** share
    focal = focal * width
    return np.stack([focal, focal, np.full(frames, width / 2), np.full(frames, height / 2)], axis=-1)


def camera_path(settings: CameraSettings, people: ArrayLike, fps: float, seed: int) -> Array:
    """world_from_camera (F, 4, 4) of a camera that follows the centres of the people (F, 3).

    Raises:
        ValueError: unknown kind.
    """
    centre = np.asarray(people, float) + np.asarray(settings.aim_offset)
    frames = len(centre)
    target = gaussian_smooth(centre, settings.aim_seconds * fps)
    waypoints = np.asarray(settings.positions, float)
    if settings.kind == "handheld":
        at = np.linspace(0, len(waypoints) - 1, frames)
        straight = np.stack([np.interp(at, np.arange(len(waypoints)), waypoints[:, k]) for k in range(3)], -1)
        if settings.positions[0] == settings.positions[-1]:
            tripled = np.concatenate([straight[:-1], straight[:-1], straight])
            position = gaussian_smooth(tripled, settings.rounding * frames)[frames - 1 : 2 * frames - 1]
        else:
            position = gaussian_smooth(straight, settings.rounding * frames)
    elif settings.kind == "orbit":
        target = np.broadcast_to(centre.mean(axis=0), centre.shape)
        arm = waypoints[0] - target[0]
        angle = np.radians(np.linspace(0, settings.sweep_degrees, frames))
        turn = matrix_from_axis_angle(angle[:, None] * np.array([0.0, 0.0, 1.0]))
        position = target + turn @ arm
    elif settings.kind in ("tripod", "pan"):
        position = np.broadcast_to(waypoints[0], centre.shape)
        if settings.kind == "tripod":
            target = np.broadcast_to(centre.mean(axis=0), centre.shape)
    else:
        raise ValueError(f"unknown camera path {settings.kind!r}")
    rotation = look_at(position, target)
    if settings.shake is not None:
        rng = np.random.default_rng([seed, 77])
        still = settings.kind in ("tripod", "pan")
        wobble = _wobble(rng, frames, fps, settings.shake.frequency)
        rotation = rotation @ matrix_from_axis_angle(np.radians(settings.shake.degrees) * wobble[:, :3])
        position = position + (0.0 if still else settings.shake.position) * wobble[:, 3:]
    return rigid(rotation, position)


def _wobble(rng: np.random.Generator, frames: int, fps: float, frequency: float) -> Array:
    """Smooth noise (F, 6) of unit root mean square: a sum of sines around a frequency."""
    time = np.arange(frames)[:, None, None] / fps
    factor = np.array([0.35, 0.6, 1.0, 1.7, 2.6])[:, None]
    strength = np.array([0.9, 0.8, 0.6, 0.3, 0.12])[:, None]
    rate = 2 * np.pi * frequency * factor * rng.uniform(0.85, 1.15, (5, 6))
    phase = rng.uniform(0, 2 * np.pi, (5, 6))
    return (strength * np.sin(rate * time + phase)).sum(axis=1) * np.sqrt(2 / (strength**2).sum())
