"""Which reconstructions are good enough to learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...scene4d.scene import Scene4D


@dataclass(frozen=True)
class LabelLimits:
    """seconds: least time that a reliable person is seen. sliding: of standing feet, mm per 1/30 s. landmark: median
    error on the plate as a share of the median person's height there, px over px. scale: relative standard deviation.
    registered: share of key frames with a camera. speed: of a pelvis, m/s, 95th percentile."""

    seconds: float = 2.0
    sliding: float = 15.0
    landmark: float = 0.03
    scale: float = 0.08
    registered: float = 0.9
    speed: float = 7.0


def reason_against(scene: Scene4D, limits: LabelLimits) -> str:
    """Why a scene is no good label, in words; empty where it is one."""
    people = [person for person in scene.people if person.reliable]
    if not people:
        return "nobody in it is reliable"
    time = dict(zip(scene.camera.frame.tolist(), scene.camera.time.tolist(), strict=True))
    longest = max(time[int(person.frame[-1])] - time[int(person.frame[0])] for person in people)
    if longest < limits.seconds:
        return f"nobody is seen for longer than {longest:.1f} s"
    quality = scene.quality
    asked = quality.get("scene_keyframes_asked", 0.0)
    if asked and quality.get("scene_keyframes_registered", 0.0) / asked < limits.registered:
        return "parts of the camera's path are missing"
    if scene.scale.sigma > limits.scale:
        return f"its scale is uncertain by {100.0 * scene.scale.sigma:.0f} %"
    slide = quality.get("foot_slide_mm_per_frame", 0.0)
    if slide > limits.sliding:
        return f"feet slide by {slide:.0f} mm per frame"
    size = 0.2 * min(scene.source.width, scene.source.height)
    error = quality.get("landmark_error_px", 0.0)
    if error > limits.landmark * size:
        return f"bodies miss the people on the plate by {error:.0f} px"
    for person in people:
        seconds = np.array([time[int(number)] for number in person.frame])
        speed = np.linalg.norm(np.diff(person.trans, axis=0), axis=1) / np.maximum(np.diff(seconds), 1e-6)
        if len(speed) and np.percentile(speed, 95.0) > limits.speed:
            return f"person {person.id} moves at {np.percentile(speed, 95.0):.0f} m/s"
    return ""
