"""A film of a motion capture: somebody in the yard who moves as recorded, filmed by a hand-held camera that follows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.sample.camera_path import CameraSettings, camera_path, intrinsics
from bench.sample.motion import betas_of_height
from bench.sample.shots import Composition, PersonSettings, Shot, StandSettings
from bench.sample.yard import YardSettings, yard
from josh_blender.scene4d.body import BodyModel

from .bvh import BvhError, read_bvh
from .definitions import LOCK
from .mocap import move_like

#: Where the movement begins, and how it is turned: across the picture.
_PLACE, _YAW = (0.0, 3.0), 0.0


@dataclass(frozen=True)
class Recording:
    """A part of a BVH file on a body: from ``start`` s on for ``seconds``; height in metres."""

    path: Path
    start: float = 0.0
    seconds: float = 5.0
    height: float = 1.75

    def shot(self) -> Shot:
        """Frame, place and camera; the movement comes from the file."""
        camera = CameraSettings(positions=((-0.9, -1.4, 1.6), (0.3, -1.5, 1.65), (1.2, -1.2, 1.6)))
        person = PersonSettings(self.height, StandSettings(_PLACE, _YAW), outfit="green")
        frames = max(1, round(30 * self.seconds))
        return Shot(self.path.stem, (person,), camera, place=YardSettings(), frames=frames, lock=LOCK)

    def digest(self) -> str:
        """Changes with the file and the part of it."""
        return hashlib.sha256(repr((self.start, self.height)).encode() + self.path.read_bytes()).hexdigest()

    def compose(self, shot: Shot, body: BodyModel) -> Composition:
        """The numbers of the shot.

        Raises:
            BvhError: the file cannot be used, or is shorter than that.
        """
        recording = read_bvh(self.path)
        lasts = (len(recording.rotations) - 1) * recording.interval
        times = self.start + np.arange(max(shot.frames, 2)) / shot.fps
        if self.start < 0.0 or times[-1] > lasts:
            raise BvhError(f"{self.path.name} lasts {lasts:.1f} s; choose a part of that.")
        motion = move_like(recording, body, betas_of_height(body, self.height, ()), times, _PLACE, _YAW, shot.lock)
        place = yard(YardSettings())
        camera = camera_path(shot.camera, motion.joints[:, 0], shot.fps, shot.seed)
        return Composition(place, [motion], camera, intrinsics(shot.camera, shot.width, shot.height, len(times)))
