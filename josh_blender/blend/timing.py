"""Source frames and Blender frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..scene4d.scene import CameraPath


@dataclass(frozen=True)
class Timing:
    """start_frame: the Blender frame of the first solved frame. scene_fps: where keys are placed by time, the frames
    per second of the Blender scene; None where every source frame is one Blender frame."""

    start_frame: int
    scene_fps: float | None = None

    def blender_frames(self, camera: CameraPath, frame: np.ndarray) -> np.ndarray:
        """Blender frames (T,) float64 of source frames (T,) of the camera's range; by time they may fall between."""
        if self.scene_fps is None:
            return frame.astype(np.float64) - float(camera.frame[0]) + self.start_frame
        time = np.interp(frame, camera.frame, camera.time) - float(camera.time[0])
        return self.start_frame + time * self.scene_fps
