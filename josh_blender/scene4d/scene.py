"""The 4D scene in memory. `files` reads and writes it, `validation` checks it; docs/scene4d.md describes the folder.

F = frames, K = key frames, T = frames of one person, B = betas, R = contact regions, N = points. World and camera as in
`conventions`. Arrays named ``frame`` and ``keyframe`` hold source frame numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .body import BodyModel
from .conventions import CONTACT_REGIONS

Array = NDArray[Any]


@dataclass
class Source:
    """The video or image sequence as displayed.

    ``path`` is relative to the scene's folder where that is possible, ``absolute_path`` a hint; ``identity`` is its
    size and the hash of its first and last 16 MB. ``kind`` is "video" or "images".
    """

    name: str
    path: str
    absolute_path: str
    identity: str
    width: int
    height: int
    fps_num: int
    fps_den: int
    frame_count: int
    kind: str = "video"
    color_space: str = "sRGB"


@dataclass
class CameraPath:
    """frame (F,) int32; time (F,) float64 s; world_from_camera (F,4,4) float64; intrinsics (F,4) float64 fx fy cx cy
    in px of the displayed video; distortion (5,) float64 OpenCV k1 k2 p1 p2 k3; keyframe (K,) int32."""

    frame: Array
    time: Array
    world_from_camera: Array
    intrinsics: Array
    distortion: Array
    keyframe: Array


@dataclass
class Person:
    """One person on every frame from the first to the last seen.

    frame (T,) int32; poses (T,72) axis-angle of the 24 SMPL joints; trans (T,3) SMPL translation in the world;
    betas (B,); confidence (T,) 0 on filled gaps; contact (T,R) probability per ``contact_regions``. ``body`` is None
    where the licence of the body keeps it from travelling; ``body_id`` then names the user's file.
    ``surface_model_type`` is "smpl" only for true SMPL. Hand poses (T,45) are optional.
    """

    id: int
    label: str
    mask_value: int
    height: float
    frame: Array
    poses: Array
    trans: Array
    betas: Array
    confidence: Array
    contact: Array
    body_id: str
    body: BodyModel | None = None
    contact_regions: tuple[str, ...] = CONTACT_REGIONS
    gender: str = "neutral"
    reliable: bool = True
    reason: str = ""
    surface_model_type: str = ""
    left_hand_pose: Array | None = None
    right_hand_pose: Array | None = None


@dataclass
class PointCloud:
    """position (N,3) float32 m; color (N,3) uint8 sRGB as in the plate; confidence (N,) float32; keyframe (N,) uint16
    position in ``CameraPath.keyframe`` of the view that gave the point."""

    position: Array
    color: Array
    confidence: Array
    keyframe: Array

    @classmethod
    def empty(cls) -> PointCloud:
        """A cloud without points."""
        return cls(
            np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.float32), np.zeros(0, np.uint16)
        )


@dataclass
class DepthMap:
    """Depth (h,w) float16 metres along z of an undistorted pinhole with its own intrinsics (4,) in px of the map,
    0 = no depth; confidence (h,w) float16 in 0..1."""

    depth: Array
    confidence: Array
    intrinsics: Array


@dataclass
class Scale:
    """Where the metre comes from and the relative standard deviation of the scale."""

    source: str
    sigma: float


@dataclass
class Scene4D:
    """People, camera and place of one video in one metric world.

    ``folder`` is where the scene was read from (None before it is written): masks, depth maps and plates stay files
    there. ``world`` describes how gravity and ground were found. ``stages`` maps a stage to its backend, settings and
    version; ``quality`` maps figure names to numbers. ``plate`` and ``undistorted`` are file names in the folder.
    """

    name: str
    source: Source
    camera: CameraPath
    people: list[Person]
    cloud: PointCloud
    camera_kind: str = "moving"
    scale: Scale = field(default_factory=lambda: Scale("none", 1.0))
    world: dict[str, Any] = field(default_factory=dict)
    plate: str | None = None
    undistorted: str | None = None
    stages: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    licences: list[str] = field(default_factory=list)
    folder: Path | None = None
