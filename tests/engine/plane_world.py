"""A world of textured planes, drawn exactly by casting one ray per pixel: pictures whose truth has a closed form.

World axes x right, y down, z forward, so that an unturned camera has the identity as its pose; the floor is y = 1.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from josh_blender.engine.results import FramesResult, PeopleResult, VideoSource
from josh_blender.scene4d.camera import rigid, unproject
from josh_blender.scene4d.rotations import matrix_from_axis_angle

FLOOR = np.array([0.0, -1.0, 0.0, 1.5])


@dataclass(frozen=True)
class Plane:
    """Points n.x + d = 0, drawn with a texture whose pixels are ``texel`` long."""

    plane: np.ndarray
    texture: np.ndarray
    texel: float = 0.02


def noise_texture(seed: int, side: int = 512) -> np.ndarray:
    """Crisp grey noise on several scales (side,side) float32."""
    generator = np.random.default_rng(seed)
    total = np.zeros((side, side), np.float32)
    for cells, weight in ((side // 2, 0.7), (side // 4, 1.0), (side // 10, 1.0), (side // 32, 0.8)):
        coarse = generator.normal(size=(cells, cells)).astype(np.float32)
        total += weight * cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.clip(128.0 + 45.0 * total, 0.0, 255.0)


def draw(planes: list[Plane], world_from_camera: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> tuple:
    """Picture (h,w) uint8 and depth (h,w), 0 where no plane is hit."""
    width, height = size
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = unproject(np.stack([columns, rows], -1), intrinsics)
    world = rays @ world_from_camera[:3, :3].T
    centre = world_from_camera[:3, 3]
    depth = np.full((height, width), np.inf)
    picture = np.full((height, width), 230.0, np.float32)
    for item in planes:
        normal = item.plane[:3]
        towards = world @ normal
        distance = -(normal @ centre + item.plane[3]) / np.where(np.abs(towards) < 1e-9, 1e-9, towards)
        hit = (distance > 0.05) & (distance < 60.0) & (distance < depth)
        points = centre + world * np.where(hit, distance, 1.0)[..., None]
        first = np.cross(normal, [0.3, 0.1, 1.0])
        first /= np.linalg.norm(first)
        second = np.cross(normal, first)
        side = item.texture.shape[0]
        u, v = ((points @ axis / item.texel % side).astype(np.float32) for axis in (first, second))
        drawn = cv2.remap(item.texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        picture = np.where(hit, drawn, picture)
        depth = np.where(hit, distance, depth)
    return picture.astype(np.uint8), np.where(np.isfinite(depth), depth, 0.0)


def street() -> list[Plane]:
    """A floor, a wall ahead that is not square to the view, and a wall on the left."""
    ahead = np.array([0.3, 0.0, -1.0])
    ahead /= np.linalg.norm(ahead)
    left = np.array([1.0, 0.0, 0.1]) / np.hypot(1.0, 0.1)
    return [
        Plane(FLOOR, noise_texture(1), 0.015),
        Plane(np.append(ahead, 7.0), noise_texture(2), 0.03),
        Plane(np.append(left, 3.0), noise_texture(3), 0.02),
    ]


def travelling(count: int, length: float = 1.2) -> np.ndarray:
    """Poses (count,4,4) that move sideways and ahead and turn a little."""
    way = np.linspace(0.0, 1.0, count)
    centre = np.stack([length * way, 0.05 * np.sin(6.0 * way), 0.4 * length * way], -1)
    turn = np.stack([0.02 * np.sin(5.0 * way), -0.12 * way, 0.01 * np.sin(7.0 * way)], -1)
    return rigid(matrix_from_axis_angle(turn), centre)


def panning(count: int, degrees: float = 25.0) -> np.ndarray:
    """Poses (count,4,4) that turn to the right and a little down about one centre."""
    way = np.linspace(0.0, 1.0, count)[:, None]
    return rigid(matrix_from_axis_angle(np.radians(degrees) * way * [-0.15, 1.0, 0.0]), np.zeros(3))


def write_clip(
    folder: Path, poses: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int], fps: int = 25
) -> FramesResult:
    """A sequence of pictures of `street`, as stage 1 describes it; intrinsics (4,) for all or (F,4)."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (pose, lens) in enumerate(zip(poses, np.broadcast_to(intrinsics, (len(poses), 4)), strict=True)):
        cv2.imwrite(str(folder / f"clip_{number:04d}.png"), draw(street(), pose, lens, size)[0])
    source = VideoSource(
        str(folder / "clip_0000.png"), "images", size[0], size[1], fps, 1, len(poses), 0, "identity", "sRGB"
    )
    return FramesResult(source, np.arange(len(poses), dtype=np.int32), np.arange(len(poses)) / fps)


def nobody() -> PeopleResult:
    return PeopleResult([])
