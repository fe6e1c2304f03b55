"""Stage 3: lens, camera of every frame, sparse points and depth, in scene units."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import rigid
from ...scene4d.errors import UserError
from ...scene4d.files import mask_path
from ..depth.depth_maps import (
    DepthSettings,
    KeyframeDepth,
    fill_ground_of,
    make_depth_maps,
    make_undistorter,
    save_depth_map,
)
from ..depth.fusion import surface_points
from ..depth.plane_place import PlacePicture, ground_points, median_background, place_on_plane
from ..results import FramesResult, PeopleResult, SceneResult
from ..sfm import motion
from ..sfm.given import GivenCamera, read_given_camera, triangulate
from ..sfm.ground import estimate_ground, foot_rays
from ..sfm.keyframes import choose_keyframes
from ..sfm.mapping import KnownLens, Mapping, map_keyframes, triangulation_angles, write_pictures
from ..sfm.people_metrology import Metrology, gather_sightings, solve_metrology
from ..sfm.registration import interpolate_poses, register_all_frames
from ..video.reader import FrameReader, open_frames

Array = NDArray[Any]
Progress = Callable[[int, int], None]

#: Points seen under a smaller angle than this have no certain depth.
_MIN_ANGLE_DEGREES = 1.0
#: Pictures whose median is the empty place of a camera that stands still, and those that show a pan's.
_BACKGROUND_PICTURES, _PAN_PICTURES = 15, 8
#: Weight of all sparse points together in the ground, relative to the dense ones.
_SPARSE_SHARE = 0.1


@dataclass
class SceneSettings:
    """backend: "colmap". camera_kind: "auto", "moving", "static", "pan". camera_file: a camera.npz of a 4D scene, kept
    unless ``refine_camera``; focal_px: a known focal length, likewise. width: of the pictures that are matched, px;
    features per picture; keyframes_per_second; overlap: key frames that each is matched with."""

    backend: str = "colmap"
    device: str = "cpu"
    camera_kind: str = "auto"
    camera_file: Path | None = None
    refine_camera: bool = False
    focal_px: float | None = None
    width: int = 960
    features: int = 4000
    keyframes_per_second: float = 5.0
    overlap: int = 5
    depth: DepthSettings = field(default_factory=DepthSettings)


@dataclass
class Pictures:
    """Grey pictures and people masks of the key frames at matching size; scale = their width / width of the plate."""

    keyframe: list[int]
    grey: list[Array]
    people: list[Array]
    scale: float
    size: tuple[int, int]


def run_scene(
    frames: FramesResult,
    people: PeopleResult,
    people_folder: Path,
    settings: SceneSettings,
    folder: Path,
    progress: Progress,
) -> SceneResult:
    """Cameras, points and depth of a clip.

    Raises:
        UserError: an unknown backend, a camera file that does not fit, or a moving camera that cannot be solved.
    """
    if settings.backend != "colmap":
        raise UserError("unknown_backend", f"There is no scene backend called “{settings.backend}”.", "Use “colmap”.")
    steps = len(frames.frame) + 10
    done = 0

    def step(count: int = 1) -> None:
        nonlocal done
        done = min(done + count, steps)
        progress(done, steps)

    keyframe = choose_keyframes(frames.time, settings.keyframes_per_second)
    with open_frames(frames) as reader:
        pictures = _read_keyframes(reader, frames, people, people_folder, keyframe, settings.width)
        step()
        if settings.camera_file is not None and not settings.refine_camera:
            return _given(frames, people, people_folder, reader, pictures, settings, folder, step)
        flow = motion.background_flow(pictures.grey, pictures.people, pictures.scale)
        size = (frames.source.width, frames.source.height)
        kind, pan = _camera_kind(flow, len(keyframe), size, settings)
        step()
        if kind != "moving":
            return _turning(kind, pan, flow, frames, people, people_folder, reader, pictures, settings, folder, step)
        return _moving(frames, people, people_folder, reader, pictures, pan, flow, settings, folder, step)


def _read_mask(folder: Path, number: int, size: tuple[int, int]) -> Array:
    path = mask_path(folder, number)
    # OpenCV reads PNG far faster than the reader that Blender shares; not by path, which must be ASCII on Windows.
    mask = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if mask is None:
        return np.zeros((size[1], size[0]), np.uint8)
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST))


def _read_keyframes(
    reader: FrameReader,
    frames: FramesResult,
    people: PeopleResult,
    people_folder: Path,
    keyframe: list[int],
    width: int,
) -> Pictures:
    scale = min(1.0, width / max(frames.source.width, frames.source.height))
    size = (round(frames.source.width * scale), round(frames.source.height * scale))
    grey, masks = [], []
    for index, picture in reader.iterate(keyframe, size=size):
        grey.append(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
        masks.append(_read_mask(people_folder, int(frames.frame[index]), size))
    return Pictures(keyframe, grey, masks, size[0] / frames.source.width, size)


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


def _known_lens(frames: FramesResult, settings: SceneSettings) -> KnownLens | None:
    centre = [frames.source.width / 2.0, frames.source.height / 2.0]
    if settings.camera_file is not None:
        given = read_given_camera(settings.camera_file, frames.frame)
        return KnownLens(given.intrinsics[0], given.distortion, refine=True)
    if settings.focal_px is not None:
        lens = np.array([settings.focal_px, settings.focal_px, *centre])
        return KnownLens(lens, np.zeros(5), settings.refine_camera)
    return None


def _grey_pictures(reader: FrameReader, size: tuple[int, int]) -> Iterator[tuple[int, Array]]:
    for index, picture in reader.iterate(size=size):
        yield index, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _point_colors(reader: FrameReader, mapping: Mapping, size: tuple[int, int], scale: float) -> Array:
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


def _moving(
    frames: FramesResult,
    people: PeopleResult,
    people_folder: Path,
    reader: FrameReader,
    pictures: Pictures,
    pan: motion.Pan | None,
    flow: motion.Flow,
    settings: SceneSettings,
    folder: Path,
    step: Callable[..., None],
) -> SceneResult:
    work = folder / "colmap"
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
        _known_lens(frames, settings),
        os.cpu_count() or 1,
        settings.features,
        settings.overlap,
        step,
    )
    shutil.rmtree(work, ignore_errors=True)
    if mapping is None or np.median(triangulation_angles(mapping)) < _MIN_ANGLE_DEGREES:
        if pan is not None and motion.might_explain(pan):
            result = _turning("pan", pan, flow, frames, people, people_folder, reader, pictures, settings, folder, step)
            result.warnings.append("No parallax was found: the camera is taken to turn about its centre.")
            return result
        raise UserError(
            "no_parallax",
            "The camera's path could not be solved: too little of the background can be matched from frame to frame.",
            "Use a clip in which the camera moves sideways past a detailed place, or say --camera static or pan.",
        )
    return _finish(
        "moving", mapping, None, frames, people, people_folder, reader, pictures, settings, folder, step, len(names)
    )


def _given(
    frames: FramesResult,
    people: PeopleResult,
    people_folder: Path,
    reader: FrameReader,
    pictures: Pictures,
    settings: SceneSettings,
    folder: Path,
    step: Callable[..., None],
) -> SceneResult:
    assert settings.camera_file is not None
    given = read_given_camera(settings.camera_file, frames.frame)
    flow = motion.background_flow(pictures.grey, pictures.people, pictures.scale)
    mapping = triangulate(
        flow,
        np.array(pictures.keyframe),
        given.world_from_camera[pictures.keyframe],
        given.intrinsics[0],
        given.distortion,
    )
    return _finish(
        "moving",
        mapping,
        given,
        frames,
        people,
        people_folder,
        reader,
        pictures,
        settings,
        folder,
        step,
        len(pictures.keyframe),
    )


def _finish(
    kind: str,
    mapping: Mapping,
    given: GivenCamera | None,
    frames: FramesResult,
    people: PeopleResult,
    people_folder: Path,
    reader: FrameReader,
    pictures: Pictures,
    settings: SceneSettings,
    folder: Path,
    step: Callable[..., None],
    asked: int,
) -> SceneResult:
    """All frames, colours, ground and depth around a mapping of the key frames."""
    count = len(frames.frame)
    if given is None:
        poses, errors = register_all_frames(mapping, _grey_pictures(reader, pictures.size), count, pictures.scale, step)
        intrinsics = np.tile(mapping.intrinsics, (count, 1))
    else:
        poses, errors, intrinsics = given.world_from_camera, np.full(count, np.nan), given.intrinsics
    maps = make_depth_maps(
        frames,
        reader,
        lambda index: _read_mask(people_folder, int(frames.frame[index]), pictures.size),
        mapping.keyframe,
        poses,
        intrinsics[0],
        mapping.distortion,
        mapping.points,
        mapping.observation_keyframe,
        mapping.observation_point,
        settings.depth,
        step,
    )
    ground = _find_ground(maps, mapping, poses, intrinsics, people)
    if len(ground):
        fill_ground_of(maps, ground)
    for item in maps:
        save_depth_map(folder / "depth", frames, item.index, item.depth, item.confidence, item.view.intrinsics)
    quality = {
        "keyframes_asked": float(asked),
        "keyframes_registered": float(len(mapping.keyframe)),
        "reprojection_px": float(np.median(mapping.error) / pictures.scale) if len(mapping.error) else float("nan"),
        "frame_error_px": float(np.nanmedian(errors)) if np.isfinite(errors).any() else float("nan"),
    }
    return SceneResult(
        camera_kind=kind,
        keyframe=mapping.keyframe,
        world_from_camera=poses,
        intrinsics=intrinsics,
        distortion=mapping.distortion,
        points=mapping.points,
        point_color=_point_colors(reader, mapping, pictures.size, pictures.scale),
        observation_keyframe=mapping.observation_keyframe,
        observation_point=mapping.observation_point,
        observation_pixel=mapping.observation_pixel,
        depth_index=np.array([item.index for item in maps], dtype=np.int32),
        ground=ground,
        metric=given is not None,
        quality=quality,
    )


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


def _turning(
    kind: str,
    pan: motion.Pan | None,
    flow: motion.Flow,
    frames: FramesResult,
    people: PeopleResult,
    people_folder: Path,
    reader: FrameReader,
    pictures: Pictures,
    settings: SceneSettings,
    folder: Path,
    step: Callable[..., None],
) -> SceneResult:
    """A camera that turns about its centre or stands still; the world's axes are those of the first camera."""
    count, size = len(frames.frame), (frames.source.width, frames.source.height)
    warnings = []
    lens = _known_lens(frames, settings)
    known_focal = float(lens.intrinsics[0]) if lens is not None and not lens.refine else None
    if known_focal is None and kind == "pan" and pan is not None:
        known_focal = pan.focal
    distortion = np.zeros(5)
    if kind == "pan" and pan is not None:
        distortion[0] = pan.k1
    key_rotation = np.tile(np.eye(3), (len(pictures.keyframe), 1, 1)) if pan is None else pan.rotation
    zero = np.zeros(3)
    rotation = interpolate_poses(rigid(key_rotation, zero), np.array(pictures.keyframe), count)[:, :3, :3]
    sightings = gather_sightings(people, size)
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
        poses, errors = register_all_frames(
            mapping, _grey_pictures(reader, pictures.size), count, pictures.scale, step, fixed_centre=True
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
        places = _places(
            pan is None,
            frames,
            people_folder,
            reader,
            pictures.keyframe,
            poses,
            intrinsics,
            distortion,
            measured,
            settings,
        )
    points, color = ground_points(places)
    for place in places:
        save_depth_map(folder / "depth", frames, place.index, place.depth, place.confidence, place.intrinsics)
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
        quality=quality,
        warnings=warnings,
    )


def _places(
    fixed: bool,
    frames: FramesResult,
    people_folder: Path,
    reader: FrameReader,
    keyframe: list[int],
    poses: Array,
    intrinsics: Array,
    distortion: Array,
    measured: Metrology,
    settings: SceneSettings,
) -> list[PlacePicture]:
    """The ground as seen from a few key frames; of a fixed view from one, with people taken out of its colours."""
    undistorter = make_undistorter(
        (frames.source.width, frames.source.height), settings.depth.width, intrinsics, distortion
    )
    count = min(len(keyframe), _BACKGROUND_PICTURES if fixed else _PAN_PICTURES)
    chosen = np.unique(np.linspace(0, len(keyframe) - 1, count).round().astype(int))
    indices = [int(keyframe[row]) for row in chosen]
    kernel = np.ones((2 * settings.depth.mask_margin + 1,) * 2, np.uint8)
    seen = []
    for index, rgb in reader.iterate(indices, size=undistorter.read_size):
        mask = undistorter.mask(_read_mask(people_folder, int(frames.frame[index]), undistorter.read_size))
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
