"""Stage 3: lens, camera of every frame, sparse points and depth, in scene units."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...scene4d.errors import UserError
from ..results import FramesResult, PeopleResult, SceneResult
from ..sfm import motion
from ..sfm.keyframes import choose_keyframes
from ..video.reader import open_frames
from .scene_mast3r import moving_camera_of_pairs
from .scene_moving import given_camera, moving_camera
from .scene_shot import SceneSettings, Shot, read_pictures
from .scene_turning import turning_camera

__all__ = ["SceneSettings", "run_scene"]

Progress = Callable[[int, int], None]


def run_scene(
    frames: FramesResult,
    people: PeopleResult,
    people_folder: Path,
    settings: SceneSettings,
    folder: Path,
    progress: Progress,
    weights: Path | None = None,
) -> SceneResult:
    """Cameras, points and depth of a clip; ``weights`` are those of the backend "mast3r".

    Raises:
        UserError: an unknown backend, a camera file that does not fit, or a moving camera that cannot be solved.
    """
    if settings.backend not in ("colmap", "mast3r"):
        raise UserError(
            "unknown_backend", f"There is no scene backend called “{settings.backend}”.", "Use “colmap” or “mast3r”."
        )
    steps = len(frames.frame) + 10
    done = 0

    def step(count: int = 1) -> None:
        nonlocal done
        done = min(done + count, steps)
        progress(done, steps)

    keyframe = choose_keyframes(frames.time, settings.keyframes_per_second)
    with open_frames(frames) as reader:
        # COLMAP is given all of them at once; the other backend reads its own.
        pictures = read_pictures(reader, frames, people_folder, keyframe, settings.width, streamed=weights is not None)
        shot = Shot(frames, people, people_folder, reader, pictures, settings, folder, step)
        step()
        if settings.camera_file is not None and not settings.refine_camera:
            return given_camera(shot, settings.camera_file)
        flow = motion.background_flow(pictures.grey, pictures.people, pictures.scale)
        kind, pan = _camera_kind(flow, len(keyframe), shot.size, settings)
        step()
        if kind != "moving":
            return turning_camera(kind, pan, flow, shot)
        result = moving_camera(shot) if weights is None else moving_camera_of_pairs(shot, weights)
        if result is not None:
            return result
        if pan is not None and motion.might_explain(pan):
            result = turning_camera("pan", pan, flow, shot)
            result.warnings.append("No parallax was found: the camera is taken to turn about its centre.")
            return result
        raise UserError(
            "no_parallax",
            "The camera's path could not be solved: too little of the background can be matched from frame to frame.",
            "Use a clip in which the camera moves sideways past a detailed place, or say --camera static or pan.",
        )


def _camera_kind(
    flow: motion.Flow, count: int, size: tuple[int, int], settings: SceneSettings
) -> tuple[str, motion.Pan | None]:
    """What the camera does, and the rotations that explain it unless it moves or stands still to the pixel."""
    if settings.camera_kind == "moving":
        return "moving", None
    if motion.is_still(flow):
        return "static" if settings.camera_kind == "auto" else settings.camera_kind, None
    pan = motion.solve_pan(flow, count, size, settings.focal_px)
    if settings.camera_kind != "auto":
        return settings.camera_kind, pan
    if not motion.explains(pan):
        return "moving", pan
    return ("static" if motion.sways(pan) else "pan"), pan
