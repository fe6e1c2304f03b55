"""The truth of a shot as a 4D scene: cameras, people, contacts, depth and masks without any estimate in them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from josh_blender.scene4d.body import BodyModel
from josh_blender.scene4d.camera import invert_rigid, rigid, scale_intrinsics, transform, unproject
from josh_blender.scene4d.files import write_depth, write_mask, write_scene
from josh_blender.scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from josh_blender.scene4d.scene import CameraPath, DepthMap, Person, PointCloud, Scale, Scene4D, Source

from .place import Place
from .raster import mesh_depth
from .shots import Composition, Shot

Array = NDArray[Any]


@dataclass(frozen=True)
class TruthSettings:
    """Depth of every ``depth_every``-th frame at ``depth_size`` (width, height), masks of every frame at
    ``mask_size``, a cloud of ``points`` points."""

    depth_every: int = 10
    depth_size: tuple[int, int] = (480, 270)
    mask_size: tuple[int, int] = (480, 270)
    points: int = 50_000


def world_from_place(composition: Composition) -> Array:
    """(4, 4): the scene's world has its origin on the ground under the first camera, +Y along its heading."""
    first = composition.world_from_camera[0]
    ahead = first[:2, 2] / np.linalg.norm(first[:2, 2])
    place_from_world = np.eye(3)
    place_from_world[:2, 0] = ahead[1], -ahead[0]
    place_from_world[:2, 1] = ahead
    under = np.array([*first[:2, 3], 0.0])
    return invert_rigid(rigid(place_from_world, under))


def place_depth(place: Place, world_from_camera: Array, intrinsics: Array, width: int, height: int) -> Array:
    """Depth (H, W) along z of the place alone, inf for the sky, by casting a ray through each pixel's centre."""
    return _place_hits(place, world_from_camera, intrinsics, _all_pixels(width, height))[0].reshape(height, width)


def _all_pixels(width: int, height: int) -> Array:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns.ravel(), rows.ravel()], -1) + 0.5


def _place_hits(place: Place, world_from_camera: Array, intrinsics: Array, pixels: Array) -> tuple[Array, Array, Array]:
    # A ray with z = 1 in camera axes: the distance in its units is the depth.
    rays = unproject(pixels, intrinsics) @ world_from_camera[:3, :3].T
    return place.ray_cast(world_from_camera[:3, 3], rays)


def people_depth(
    composition: Composition, body: BodyModel, frame: int, intrinsics: Array, size: tuple[int, int]
) -> tuple[Array, Array]:
    """Depth (H, W) along z of the people alone, inf for none, and who it is: 0 for nobody, n for the n-th."""
    nearest, person = np.full(size[::-1], np.inf), np.zeros(size[::-1], np.uint8)
    camera_from_world = invert_rigid(composition.world_from_camera[frame])
    for number, motion in enumerate(composition.people):
        vertices = body.skin(motion.betas, motion.poses[frame], motion.trans[frame])[0]
        depth = mesh_depth(transform(camera_from_world, vertices), body.f, intrinsics, *size)
        person[depth < nearest] = number + 1
        nearest = np.minimum(nearest, depth)
    return nearest, person


def depth_map(composition: Composition, body: BodyModel, frame: int, intrinsics: Array, size: tuple[int, int]) -> Array:
    """Depth (H, W) along z of people and place, 0 for the sky."""
    place = place_depth(composition.place, composition.world_from_camera[frame], intrinsics, *size)
    nearest = np.minimum(place, people_depth(composition, body, frame, intrinsics, size)[0])
    return np.where(np.isfinite(nearest), nearest, 0.0)


def people_mask(
    composition: Composition, body: BodyModel, frame: int, intrinsics: Array, size: tuple[int, int]
) -> Array:
    """Who is seen (H, W) uint8: 0 for nobody, n for the n-th person, where nothing of the place is in front."""
    depth, person = people_depth(composition, body, frame, intrinsics, size)
    rows, columns = np.nonzero(person)
    pixels = np.stack([columns, rows], -1) + 0.5
    place = _place_hits(composition.place, composition.world_from_camera[frame], intrinsics, pixels)[0]
    hidden = place < depth[rows, columns]
    person[rows[hidden], columns[hidden]] = 0
    return person


def _resized(composition: Composition, shot: Shot, size: tuple[int, int]) -> Array:
    """Intrinsics (F, 4) of pictures of another size."""
    return scale_intrinsics(composition.intrinsics, size[0] / shot.width, size[1] / shot.height)


def _cloud(shot: Shot, composition: Composition, keyframes: Array, settings: TruthSettings, seed: int) -> PointCloud:
    """Points of the place that some key frame sees past nobody in particular: its visible surface, in its colours."""
    size = settings.depth_size
    intrinsics = _resized(composition, shot, size)
    rng = np.random.default_rng([seed, 9])
    share = -(-settings.points // len(keyframes))
    positions, colors, origins = [], [], []
    for number, frame in enumerate(keyframes):
        camera = composition.world_from_camera[frame]
        pixels = _all_pixels(*size)
        distance, index, where = _place_hits(composition.place, camera, intrinsics[frame], pixels)
        hits = np.flatnonzero(np.isfinite(distance))
        hits = rng.choice(hits, min(share, len(hits)), replace=False)
        rays = unproject(pixels[hits], intrinsics[frame])
        positions.append(transform(camera, rays * distance[hits, None]))
        colors.append(composition.place.colors(index[hits], where[hits]))
        origins.append(np.full(len(hits), number))
    position = transform(world_from_place(composition), np.concatenate(positions))
    return PointCloud(
        position.astype(np.float32),
        np.concatenate(colors),
        np.ones(len(position), np.float32),
        np.concatenate(origins).astype(np.uint16),
    )


def _person(shot: Shot, composition: Composition, body: BodyModel, number: int) -> Person:
    motion, to_world = composition.people[number], world_from_place(composition)
    pelvis = body.joints(motion.betas)[0]
    poses = motion.poses.copy()
    poses[:, :3] = axis_angle_from_matrix(to_world[:3, :3] @ matrix_from_axis_angle(poses[:, :3]))
    # The body turns about its pelvis, so the translation moves the pelvis and not the origin.
    trans = transform(to_world, motion.trans + pelvis) - pelvis
    return Person(
        id=number + 1,
        label=f"Person {number + 1}",
        mask_value=number + 1,
        height=float(body.height(motion.betas)),
        frame=np.arange(shot.frames, dtype=np.int32),
        poses=poses.astype(np.float32),
        trans=trans.astype(np.float32),
        betas=motion.betas.astype(np.float32),
        confidence=np.ones(shot.frames, np.float32),
        contact=motion.contact,
        body_id=body.body_id,
    )


def truth_scene(
    shot: Shot, composition: Composition, body: BodyModel, source: Source, settings: TruthSettings
) -> Scene4D:
    """The truth in memory, without masks and depth. Bodies do not travel with it: ``body_id`` names the shipped one."""
    frames = np.arange(shot.frames, dtype=np.int32)
    keyframes = frames[:: settings.depth_every]
    camera = CameraPath(
        frame=frames,
        time=frames / shot.fps,
        world_from_camera=world_from_place(composition) @ composition.world_from_camera,
        intrinsics=composition.intrinsics,
        distortion=np.zeros(5),
        keyframe=keyframes,
    )
    return Scene4D(
        name=shot.name,
        source=source,
        camera=camera,
        people=[_person(shot, composition, body, number) for number in range(len(composition.people))],
        cloud=_cloud(shot, composition, keyframes, settings, shot.seed) if settings.points else PointCloud.empty(),
        camera_kind=shot.camera_kind,
        scale=Scale("camera", 0.0),
        world={"truth": True, "seed": shot.seed},
    )


def source_of(shot: Shot, name: str = "", identity: str = "") -> Source:
    """The video of a shot beside its truth; without a name, one that is never read."""
    rate = Fraction(shot.fps)
    return Source(
        name=name, path=f"../{name}", absolute_path="", identity=identity, width=shot.width, height=shot.height,
        fps_num=rate.numerator, fps_den=rate.denominator, frame_count=shot.frames,
    )  # fmt: skip


def write_truth(
    shot: Shot, composition: Composition, body: BodyModel, video: Path, identity: str, folder: Path,
    settings: TruthSettings | None = None,
) -> Path:  # fmt: skip
    """Write the truth of a shot beside its video; returns the folder."""
    settings = settings or TruthSettings()
    scene = truth_scene(shot, composition, body, source_of(shot, video.name, identity), settings)

    def fill(partial: Path) -> None:
        intrinsics = _resized(composition, shot, settings.depth_size)
        for frame in scene.camera.keyframe:
            lens = intrinsics[frame]
            depth = depth_map(composition, body, int(frame), lens, settings.depth_size)
            write_depth(partial, int(frame), DepthMap(depth, (depth > 0).astype(np.float16), lens))
        intrinsics = _resized(composition, shot, settings.mask_size)
        for frame in range(shot.frames):
            write_mask(partial, frame, people_mask(composition, body, frame, intrinsics[frame], settings.mask_size))

    return write_scene(scene, folder, fill)
