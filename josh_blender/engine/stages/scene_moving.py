"""A camera that travels: structure from motion over the key frames, then every frame, depth and ground."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..depth.depth_maps import KeyframeDepth, fill_ground_of, make_depth_maps, save_depth_map
from ..depth.fusion import surface_points
from ..results import PeopleResult, SceneResult
from ..sfm import motion
from ..sfm.given import GivenCamera, read_given_camera, triangulate
from ..sfm.ground import estimate_ground, foot_rays
from ..sfm.mapping import Mapping, map_keyframes, triangulation_angles, write_pictures
from ..sfm.registration import register_all_frames
from ..video.reader import FrameReader
from .scene_shot import Shot

Array = NDArray[Any]

#: Points seen under a smaller angle than this have no certain depth.
_MIN_ANGLE_DEGREES = 1.0
#: Weight of all sparse points together in the ground, relative to the dense ones.
_SPARSE_SHARE = 0.1


def moving_camera(shot: Shot) -> SceneResult | None:
    """Everything about a camera whose path is to be found; None where the clip shows too little parallax."""
    work, pictures, settings = shot.folder / "colmap", shot.pictures, shot.settings
    names = write_pictures(
        work,
        dict(zip(pictures.keyframe, pictures.grey, strict=True)),
        dict(zip(pictures.keyframe, pictures.people, strict=True)),
        dilation_px=round(0.013 * pictures.size[0]),
    )
    mapping = map_keyframes(
        work,
        names,
        pictures.scale,
        pictures.size,
        shot.known_lens(),
        os.cpu_count() or 1,
        settings.features,
        settings.overlap,
        shot.step,
    )
    shutil.rmtree(work, ignore_errors=True)
    if mapping is None or np.median(triangulation_angles(mapping)) < _MIN_ANGLE_DEGREES:
        return None
    return _around(mapping, None, shot)


def given_camera(shot: Shot, camera_file: Path) -> SceneResult:
    """Everything around a camera that is known: kept to the last digit, in metres.

    Raises:
        UserError: the file does not fit the clip.
    """
    pictures = shot.pictures
    given = read_given_camera(camera_file, shot.frames.frame)
    flow = motion.background_flow(pictures.grey, pictures.people, pictures.scale)
    mapping = triangulate(
        flow,
        np.array(pictures.keyframe),
        given.world_from_camera[pictures.keyframe],
        given.intrinsics[pictures.keyframe],
        given.distortion,
    )
    return _around(mapping, given, shot)


def _around(mapping: Mapping, given: GivenCamera | None, shot: Shot) -> SceneResult:
    """All frames, colours, ground and depth around a mapping of the key frames."""
    frames, pictures, count = shot.frames, shot.pictures, len(shot.frames.frame)
    if given is None:
        poses, intrinsics, errors = register_all_frames(mapping, shot.grey_pictures(), count, pictures.scale, shot.step)
    else:
        poses, intrinsics, errors = given.world_from_camera, given.intrinsics, np.full(count, np.nan)
    maps = make_depth_maps(
        frames,
        shot.reader,
        lambda index: shot.mask(index, pictures.size),
        mapping.keyframe,
        poses,
        intrinsics,
        mapping.distortion,
        mapping.points,
        mapping.observation_keyframe,
        mapping.observation_point,
        shot.settings.depth,
        shot.step,
    )
    ground = _find_ground(maps, mapping, poses, intrinsics, shot.people)
    if len(ground):
        fill_ground_of(maps, ground)
    for item in maps:
        save_depth_map(shot.folder / "depth", frames, item.index, item.depth, item.confidence, item.view.intrinsics)
    quality = {
        "keyframes_asked": float(len(pictures.keyframe)),
        "keyframes_registered": float(len(mapping.keyframe)),
        "reprojection_px": float(np.median(mapping.error) / pictures.scale) if len(mapping.error) else float("nan"),
        "frame_error_px": float(np.nanmedian(errors)) if np.isfinite(errors).any() else float("nan"),
    }
    return SceneResult(
        camera_kind="moving",
        keyframe=mapping.keyframe,
        world_from_camera=poses,
        intrinsics=intrinsics,
        distortion=mapping.distortion,
        points=mapping.points,
        point_color=point_colors(shot.reader, mapping, pictures.size, pictures.scale),
        observation_keyframe=mapping.observation_keyframe,
        observation_point=mapping.observation_point,
        observation_pixel=mapping.observation_pixel,
        depth_index=np.array([item.index for item in maps], dtype=np.int32),
        ground=ground,
        metric=given is not None,
        quality=quality,
    )


def point_colors(reader: FrameReader, mapping: Mapping, size: tuple[int, int], scale: float) -> Array:
    """Colours (P,3) of points, from the first key frame that sees each."""
    colors = np.full((len(mapping.points), 3), 128, dtype=np.uint8)
    missing = np.ones(len(mapping.points), dtype=bool)
    for row, (_, picture) in enumerate(reader.iterate([int(index) for index in mapping.keyframe], size=size)):
        seen = mapping.observation_keyframe == row
        pixel = (mapping.observation_pixel[seen] * scale).astype(int)
        pixel = np.clip(pixel, 0, [size[0] - 1, size[1] - 1])
        point = mapping.observation_point[seen]
        new = missing[point]
        colors[point[new]] = picture[pixel[new, 1], pixel[new, 0]]
        missing[point] = False
    return colors


def _find_ground(
    maps: list[KeyframeDepth], mapping: Mapping, poses: Array, intrinsics: Array, people: PeopleResult
) -> Array:
    """The ground (4,) under a moving camera from dense and sparse points, or shape (0,)."""
    origin, ray = foot_rays(people, poses, intrinsics, mapping.distortion)
    dense, confidence = surface_points(maps)
    points = np.concatenate([mapping.points, dense])
    # Sparse points lead only where there is little dense depth: corners sit on edges, not on surfaces.
    sparse = min(1.0, _SPARSE_SHARE * confidence.sum() / max(len(mapping.points), 1)) if len(dense) else 1.0
    weight = np.concatenate([np.full(len(mapping.points), sparse), confidence])
    return estimate_ground(points, poses, origin, ray, weight)
