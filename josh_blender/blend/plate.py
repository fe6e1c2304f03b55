"""The plate: the video as a movie clip with its lens model, shown behind the camera.

Lens model: Blender's BROWN distorts as OpenCV does, k1 k2 k3 the same and k4 = 0. Its tangential coefficients come in
the other order and for an image axis that points up: brown_p1 = p2, brown_p2 = -p1 (tests/blend/test_lens.py).
"""

from __future__ import annotations

import re
from pathlib import Path

import bpy
import numpy as np

from ..scene4d.errors import UserError
from ..scene4d.scene import Scene4D
from .camera import SENSOR
from .clip_files import can_read, clip_exists, is_chosen_by_artist, link_file, path_in_file
from .identity import KIND_KEY, SCENE_KEY, find_part, mark

#: On the plate's clip: its first picture is the first solved frame, not the video's first.
_CUT_KEY = "josh4d_cut"
_PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".dpx", ".bmp", ".webp"}


def first_picture(folder: Path, frame: int) -> Path | None:
    """The picture of an image sequence with the number of a source frame, else the first."""
    pictures = sorted(one for one in folder.iterdir() if one.suffix.lower() in _PICTURES)
    for picture in pictures:
        digits = re.search(r"(\d+)$", picture.stem)
        if digits is not None and int(digits[1]) == frame:
            return picture
    return pictures[0] if pictures else None


def plate_file(scene4d: Scene4D) -> tuple[Path | None, bool]:
    """The file to show and whether its first picture is the first solved frame (else the video's first frame).

    None where neither the plate in the scene's folder nor the source is found.
    """
    folder = scene4d.folder
    if folder is not None and scene4d.plate is not None and (folder / scene4d.plate).is_file():
        return folder / scene4d.plate, True
    candidates = [Path(scene4d.source.absolute_path)] if scene4d.source.absolute_path else []
    if folder is not None and scene4d.source.path:
        candidates.insert(0, folder / scene4d.source.path)
    for candidate in candidates:
        # A sequence is known by its folder or one of its pictures; Blender counts from the picture it is given.
        if scene4d.source.kind == "images" and candidate.exists():
            folder_of_pictures = candidate if candidate.is_dir() else candidate.parent
            picture = first_picture(folder_of_pictures, int(scene4d.camera.frame[0]))
            if picture is not None:
                return picture, True
        if candidate.is_file():
            return candidate, False
    return None, False


def clip_start(scene4d: Scene4D, first_frame: int, plate_is_cut: bool) -> int:
    """The Blender frame at which the clip shows its first picture."""
    return first_frame if plate_is_cut else first_frame - int(scene4d.camera.frame[0])


def write_lens_model(clip: bpy.types.MovieClip, intrinsics: np.ndarray, distortion: np.ndarray) -> None:
    """Set focal, principal point and BROWN distortion of a clip from intrinsics (4,) and distortion (5,).

    One clip has one lens: for a zoom it is that of the intrinsics given.
    """
    fx, fy, cx, cy = (float(value) for value in intrinsics)
    k1, k2, p1, p2, k3 = (float(value) for value in distortion)
    lens = clip.tracking.camera
    lens.sensor_width = SENSOR
    lens.pixel_aspect = fx / fy
    lens.units = "MILLIMETERS"
    lens.focal_length_pixels = fx
    lens.principal_point_pixels = (cx, clip.size[1] - cy)
    lens.distortion_model = "BROWN"
    lens.brown_k1, lens.brown_k2, lens.brown_k3, lens.brown_k4 = k1, k2, k3, 0.0
    lens.brown_p1, lens.brown_p2 = p2, -p1


def _load(path: Path, known: bpy.types.MovieClip | None) -> bpy.types.MovieClip:
    if known is None:
        known = bpy.data.movieclips.load(str(path))
        known.filepath = path_in_file(path)
    link_file(known, path)
    return known


def _show(camera: bpy.types.Camera, clip: bpy.types.MovieClip, identity: str, undistort: bool) -> None:
    """Show a clip behind the camera; what the artist changed of how it is shown stays."""
    for background in camera.background_images:
        if background.clip is not None and background.clip.get(SCENE_KEY) == identity:
            if background.clip != clip:
                background.clip = clip
                background.clip_user.use_render_undistorted = undistort
            return
    background = camera.background_images.new()
    background.source = "MOVIE_CLIP"
    background.alpha = 1.0
    background.frame_method = "FIT"
    background.display_depth = "BACK"
    background.clip = clip
    background.clip_user.use_render_undistorted = undistort
    camera.show_background_images = True


def find_clip(identity: str, kind: str) -> bpy.types.MovieClip | None:
    """The clip of a 4D scene of kind "plate" or "undistorted"."""
    for clip in bpy.data.movieclips:
        if clip.get(SCENE_KEY) == identity and clip.get(KIND_KEY) == kind:
            return clip
    return None


def write_plate(camera: bpy.types.Object, scene4d: Scene4D, identity: str, first_frame: int) -> str:
    """Load the plate as a movie clip with the lens model, and show it undistorted behind the camera.

    The half-size undistorted copy is shown where the scene has one, since undistorting in the viewport stutters. A
    clip that the artist gave another file keeps it. Returns a warning for the user, empty where all is well.
    """
    clip, warning = _plate_clip(scene4d, identity, first_frame)
    copy = _undistorted_clip(scene4d, identity, first_frame)
    shown = copy or clip
    if shown is None:
        return f"{warning[:-1]}, so the camera has no background."
    _show(camera.data, shown, identity, shown is clip and bool(np.any(scene4d.camera.distortion)))
    return warning


def _plate_clip(scene4d: Scene4D, identity: str, first_frame: int) -> tuple[bpy.types.MovieClip | None, str]:
    """The clip of the plate; where there is none, None and a sentence that says why."""
    known = find_clip(identity, "plate")
    path, plate_is_cut = plate_file(scene4d)
    if known is not None and (is_chosen_by_artist(known) or (path is None and clip_exists(known))):
        clip, plate_is_cut = known, bool(known.get(_CUT_KEY, False))
    elif path is None:
        return None, f"The video {scene4d.source.name} was not found."
    elif not can_read(path):
        return None, f"Blender cannot read {path.name}."
    else:
        clip = _load(path, known)
    mark(clip, identity, "plate")
    _keep(clip, plate_is_cut)
    clip.frame_start = clip_start(scene4d, first_frame, plate_is_cut)
    write_lens_model(clip, scene4d.camera.intrinsics[0], scene4d.camera.distortion)
    return clip, ""


def _keep(clip: bpy.types.MovieClip, is_cut: bool) -> None:
    clip[_CUT_KEY] = is_cut
    # Where the undistorted copy is shown nothing else uses this clip, and Blender saves only what is used.
    clip.use_fake_user = True


def _undistorted_clip(scene4d: Scene4D, identity: str, first_frame: int) -> bpy.types.MovieClip | None:
    """The clip of the half-size undistorted copy, where the scene's folder has one."""
    if scene4d.folder is None or scene4d.undistorted is None:
        return None
    path = scene4d.folder / scene4d.undistorted
    if not path.is_file() or not can_read(path):
        return None
    clip = _load(path, find_clip(identity, "undistorted"))
    mark(clip, identity, "undistorted")
    clip.frame_start = first_frame
    return clip


def show_plate_file(root: bpy.types.Object, path: Path, is_cut: bool) -> None:
    """Let the plate's clip show a file, made where there is none yet.

    ``is_cut``: the file begins with the first solved frame (else with the video's first).

    Raises:
        UserError: Blender cannot read the file.
    """
    identity, camera = root[SCENE_KEY], find_part(root, "camera")
    if not can_read(path):
        raise UserError("unreadable_video", f"Blender cannot read {path.name}.", "Choose another file.")
    clip = _load(path, find_clip(identity, "plate"))
    mark(clip, identity, "plate")
    _keep(clip, is_cut)
    start = int(root.get("josh4d_start_frame", 1))
    clip.frame_start = start if is_cut else start - int(root.get("josh4d_first_frame", 0))
    if camera is not None and not len(camera.data.background_images):
        _show(camera.data, clip, identity, True)
