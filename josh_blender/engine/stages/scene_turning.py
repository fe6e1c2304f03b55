"""A camera that stands on its place: it turns, or stands still; its lens and height come from people and ground."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import rigid
from ..depth.depth_maps import make_undistorter, save_depth_map
from ..depth.plane_place import PlacePicture, ground_points, median_background, place_on_plane
from ..results import SceneResult
from ..sfm import motion
from ..sfm.people_metrology import Metrology, gather_sightings, solve_metrology
from ..sfm.registration import interpolate_poses, register_all_frames
from .scene_shot import Shot

Array = NDArray[Any]

#: Pictures whose median is the empty place of a camera that stands still, and those that show a pan's.
_BACKGROUND_PICTURES, _PAN_PICTURES = 15, 8


def turning_camera(kind: str, pan: motion.Pan | None, flow: motion.Flow, shot: Shot) -> SceneResult:
    """A camera that turns about its centre ("pan") or stands still ("static"); ``pan`` None: still to the pixel.

    The world's axes are those of the first camera; the place is the ground plane, coloured from the empty plate.
    """
    pictures, count, size = shot.pictures, len(shot.frames.frame), shot.size
    warnings = []
    lens = shot.known_lens()
    known_focal = float(lens.intrinsics[0]) if lens is not None and not lens.refine else None
    if known_focal is None and kind == "pan" and pan is not None:
        known_focal = pan.focal
    distortion = np.zeros(5)
    if kind == "pan" and pan is not None:
        distortion[0] = pan.k1
    key_rotation = np.tile(np.eye(3), (len(pictures.keyframe), 1, 1)) if pan is None else pan.rotation
    zero = np.zeros(3)
    rotation = interpolate_poses(rigid(key_rotation, zero), np.array(pictures.keyframe), count)[:, :3, :3]
    sightings = gather_sightings(shot.people, size)
    measured = solve_metrology(sightings, rotation, size, distortion, known_focal)
    if measured is None:
        warnings.append("Too few upright people are seen to find the ground and the lens of this camera.")
    focal = known_focal or (measured.focal if measured is not None else float(max(size)))
    intrinsics = np.array([focal, focal, size[0] / 2.0, size[1] / 2.0])
    poses = np.tile(np.eye(4), (count, 1, 1))
    errors = np.full(count, np.nan)
    if pan is not None:
        if kind == "static":
            pan = motion.solve_pan(flow, len(pictures.keyframe), size, focal)
        mapping = motion.pan_mapping(flow, pan, np.array(pictures.keyframe), intrinsics, distortion)
        poses, _, errors = register_all_frames(
            mapping, shot.grey_pictures(), count, pictures.scale, shot.step, fixed_centre=True
        )
        # The centre is one point, exactly.
        poses[:, :3, 3] = 0.0
        if measured is not None:
            sigma = measured.focal_sigma
            measured = solve_metrology(sightings, poses[:, :3, :3], size, distortion, focal) or measured
            measured = replace(measured, focal_sigma=sigma)
    ground = measured.ground if measured is not None else np.zeros(0)
    places: list[PlacePicture] = []
    if measured is not None:
        places = _places(shot, pan is None, poses, intrinsics, distortion, measured)
    points, color = ground_points(places)
    for place in places:
        save_depth_map(shot.folder / "depth", shot.frames, place.index, place.depth, place.confidence, place.intrinsics)
    quality = {"frame_error_px": float(np.nanmedian(errors)) if np.isfinite(errors).any() else 0.0}
    if measured is not None:
        quality["metrology_error"] = measured.error
        quality["focal_sigma"] = measured.focal_sigma
    return SceneResult(
        camera_kind=kind,
        keyframe=np.array(pictures.keyframe, dtype=np.int32),
        world_from_camera=poses,
        intrinsics=np.tile(intrinsics, (count, 1)),
        distortion=distortion,
        points=points,
        point_color=color,
        observation_keyframe=np.zeros(0, np.int32),
        observation_point=np.zeros(0, np.int32),
        observation_pixel=np.zeros((0, 2), np.float32),
        depth_index=np.array([place.index for place in places], dtype=np.int32),
        ground=ground,
        focal_sigma=measured.focal_sigma if measured is not None and known_focal is None else 0.0,
        quality=quality,
        warnings=warnings,
    )


def _places(
    shot: Shot, fixed: bool, poses: Array, intrinsics: Array, distortion: Array, measured: Metrology
) -> list[PlacePicture]:
    """The ground as seen from a few key frames; of a fixed view from one, with people taken out of its colours."""
    depth, keyframe = shot.settings.depth, shot.pictures.keyframe
    undistorter = make_undistorter(shot.size, depth.width, intrinsics, distortion)
    count = min(len(keyframe), _BACKGROUND_PICTURES if fixed else _PAN_PICTURES)
    chosen = np.unique(np.linspace(0, len(keyframe) - 1, count).round().astype(int))
    indices = [int(keyframe[row]) for row in chosen]
    kernel = np.ones((2 * depth.mask_margin + 1,) * 2, np.uint8)
    seen = []
    for index, rgb in shot.reader.iterate(indices, size=undistorter.read_size):
        mask = undistorter.mask(shot.mask(index, undistorter.read_size))
        covered = cv2.dilate(mask.astype(np.uint8), kernel) > 0
        seen.append((undistorter.picture(rgb), covered))
    if fixed:
        color, known = median_background(seen)
        indices, views = indices[:1], [(color, known)]
    else:
        views = [(rgb, ~covered) for rgb, covered in seen]
    return [
        place_on_plane(index, color, known, undistorter, poses[index], measured.ground, measured.farthest)
        for index, (color, known) in zip(indices, views, strict=True)
    ]
