"""Stage 7: the 4D scene on disk, gravity up, the ground at zero."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.body import BodyModel, load_body, load_default_body
from ...scene4d.camera import distort_normalized, transform
from ...scene4d.conventions import CONTACT_REGIONS
from ...scene4d.files import mask_path, write_depth, write_scene
from ...scene4d.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from ...scene4d.scene import CameraPath, DepthMap, Person, Scale, Scene4D, Source
from ..results import BodiesResult, FramesResult, JointResult, PeopleResult, PersonWorld, SceneResult
from ..solver.region_points import FOOT_REGIONS
from ..video.plate import write_plate, write_undistorted_proxy
from ..world.axes import WorldAxes, find_axes, soles
from ..world.cloud import dense_cloud, sparse_cloud

Array = NDArray[Any]

PLATE_NAME = "plate.mp4"
UNDISTORTED_NAME = "undistorted.mp4"
#: Largest depth in metres that is kept (float16 ends at 65504, and nothing so far is of use).
_FARTHEST_M = 1000.0
_CONTACT_LEAST = 0.5
_LEAST_BETAS = 10
#: A lens that bends less than this many pixels anywhere needs no undistorted proxy.
_STRAIGHT_PX = 0.25

_LICENCES = [
    "Pose landmarks: MediaPipe pose models by Google, Apache-2.0.",
    "Body: CC0 (MakeHuman data), unless a body file of the user's was given.",
]


@dataclass(frozen=True)
class WorldSettings:
    """stages: description of the stages before (backend, settings), written into the scene. body: the body's file, None
    for the shipped one. licences: of what else took part."""

    backend: str = "default"
    body: Path | None = None
    stages: dict[str, Any] = field(default_factory=dict)
    proxy: bool = True
    licences: tuple[str, ...] = ()


def run_world(
    frames: FramesResult,
    people: PeopleResult,
    people_folder: Path,
    scene: SceneResult,
    scene_folder: Path,
    bodies: BodiesResult,
    joint: JointResult,
    settings: WorldSettings,
    output: Path,
    progress: Callable[[int, int], None],
) -> Path:
    """Writes ``output`` (NAME.scene4d) whole or not at all, and returns it."""
    model = load_body(settings.body) if settings.body is not None else load_default_body()
    axes = find_axes(joint, np.asarray(frames.time, np.float64), model)
    camera = camera_path(frames, scene, joint, axes)
    cloud = dense_cloud(frames, scene, scene_folder, joint, axes.matrix)
    result = Scene4D(
        name=output.stem,
        source=source_of(frames, output),
        camera=camera,
        people=[person_of(person, people, frames, bodies, model, axes) for person in joint.people],
        cloud=cloud if cloud is not None and len(cloud.position) else sparse_cloud(scene, joint, axes.matrix),
        camera_kind=scene.camera_kind,
        scale=Scale(joint.scale_source, joint.scale_sigma),
        world={"up": axes.up_source, "ground": axes.ground_source, "metres_per_scene_unit": joint.scale},
        stages=settings.stages,
        quality=quality_figures(frames, scene, bodies, joint, model),
        warnings=[
            *frames.warnings, *people.warnings, *scene.warnings, *bodies.warnings, *joint.warnings
        ],
        licences=[*_LICENCES, *settings.licences],
    )  # fmt: skip
    if frames.plate_reasons:
        result.plate = PLATE_NAME
    bends = settings.proxy and lens_bend(joint, frames) > _STRAIGHT_PX
    if bends:
        result.undistorted = UNDISTORTED_NAME
    steps = 2 + len(scene.depth_index)
    progress(0, steps)

    def fill(partial: Path) -> None:
        copy_masks(people_folder / people.mask_folder, partial, frames)
        progress(1, steps)
        copy_depth(scene, scene_folder, joint, partial, frames)
        progress(1 + len(scene.depth_index), steps)
        if result.plate is not None:
            write_plate(frames, partial / PLATE_NAME, lambda done, total: None)
        if bends:
            write_undistorted_proxy(
                frames, joint.intrinsics, joint.distortion, partial / UNDISTORTED_NAME, lambda done, total: None
            )

    write_scene(result, output, fill)
    progress(steps, steps)
    return output


# --- parts of the scene ----------------------------------------------------------------------------------------------


def source_of(frames: FramesResult, output: Path) -> Source:
    """The description of the video, with a path relative to the scene's folder."""
    source = frames.source
    path = Path(source.path).absolute()
    try:
        relative = Path(os.path.relpath(path, output.absolute())).as_posix()
    except ValueError:
        # Another drive on Windows has no relative path.
        relative = ""
    return Source(
        name=path.name,
        path=relative,
        absolute_path=str(path),
        identity=source.identity,
        width=source.width,
        height=source.height,
        fps_num=source.fps_num,
        fps_den=source.fps_den,
        frame_count=source.frame_count,
        kind=source.kind,
        color_space=source.color_space,
    )


def camera_path(frames: FramesResult, scene: SceneResult, joint: JointResult, axes: WorldAxes) -> CameraPath:
    """The camera in the world of the result."""
    return CameraPath(
        frame=np.asarray(frames.frame, np.int32),
        time=np.asarray(frames.time, np.float64),
        world_from_camera=axes.matrix @ joint.world_from_camera,
        intrinsics=np.asarray(joint.intrinsics, np.float64),
        distortion=np.asarray(joint.distortion, np.float64),
        keyframe=np.asarray(frames.frame, np.int32)[np.asarray(scene.keyframe, dtype=int)],
    )


def person_of(
    person: PersonWorld,
    people: PeopleResult,
    frames: FramesResult,
    bodies: BodiesResult,
    model: BodyModel,
    axes: WorldAxes,
) -> Person:
    """A person in the world of the result. SMPL turns about the pelvis, so the rest pelvis enters the translation."""
    track = next(track for track in people.tracks if track.id == person.track_id)
    betas = np.zeros(max(_LEAST_BETAS, len(person.betas)))
    betas[: len(person.betas)] = person.betas
    pelvis = model.joints(person.betas)[0]
    poses = np.array(person.poses, np.float64)
    poses[:, :3] = axis_angle_from_matrix(axes.matrix[:3, :3] @ matrix_from_axis_angle(poses[:, :3]))
    return Person(
        id=person.track_id,
        label=f"Person {person.track_id}",
        mask_value=track.mask_value,
        height=float(model.height(person.betas)),
        frame=np.asarray(frames.frame, np.int32)[np.asarray(person.index, dtype=int)],
        poses=poses.astype(np.float32),
        trans=(transform(axes.matrix, person.trans + pelvis) - pelvis).astype(np.float32),
        betas=betas.astype(np.float32),
        confidence=np.asarray(person.confidence, np.float32),
        contact=np.asarray(person.contact, np.float32),
        body_id=bodies.body_id,
        body=model if bodies.body_id.startswith("cc0") else None,
        reliable=person.reliable,
        reason=person.reason,
        surface_model_type="smpl" if bodies.body_id.startswith("smpl") else bodies.body_id,
    )


def lens_bend(joint: JointResult, frames: FramesResult) -> float:
    """The farthest the lens moves a corner, px."""
    focal, centre = joint.intrinsics[0, :2], joint.intrinsics[0, 2:]
    size = np.array([frames.source.width, frames.source.height])
    corners = (np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) * size - centre) / focal
    return float(np.abs((distort_normalized(corners, joint.distortion) - corners) * focal).max())


def copy_masks(masks: Path, partial: Path, frames: FramesResult) -> None:
    """The masks of the people stage."""
    for number in np.asarray(frames.frame):
        source = masks / f"{int(number):06d}.png"
        if not source.is_file():
            continue
        target = mask_path(partial, int(number))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def copy_depth(scene: SceneResult, scene_folder: Path, joint: JointResult, partial: Path, frames: FramesResult) -> None:
    """Depth maps in metres."""
    for position in np.asarray(scene.depth_index, dtype=int):
        number = int(frames.frame[position])
        path = scene_folder / scene.depth_folder / f"{number:06d}.npz"
        if not path.is_file():
            continue
        with np.load(path, allow_pickle=False) as data:
            depth = data["depth"].astype(np.float64) * joint.scale
            confidence, intrinsics = data["confidence"], data["intrinsics"]
        depth[~(depth < _FARTHEST_M)] = 0.0
        write_depth(partial, number, DepthMap(depth, confidence, intrinsics))


# --- figures ---------------------------------------------------------------------------------------------------------


def foot_slide(person: PersonWorld, time: Array, model: BodyModel) -> float:
    """Mean speed of soles that touch on two neighbouring frames, mm per 1/30 s; NaN where none does."""
    feet = [CONTACT_REGIONS.index(name) for name in FOOT_REGIONS]
    touching = person.contact[:, feet] >= _CONTACT_LEAST
    both = touching[1:] & touching[:-1]
    if not both.any():
        return float("nan")
    moved = np.linalg.norm(np.diff(soles(person, model), axis=0), axis=-1)
    speed = moved / np.diff(time[person.index])[:, None]
    return float(speed[both].mean() * 1000.0 / 30.0)


def quality_figures(
    frames: FramesResult, scene: SceneResult, bodies: BodiesResult, joint: JointResult, model: BodyModel
) -> dict[str, float]:
    """Numbers that tell how good the result is without knowing the truth."""
    figures = {f"scene_{name}": float(value) for name, value in scene.quality.items()}
    figures["scale_sigma"] = joint.scale_sigma
    errors = [np.asarray(fit.landmark_error)[np.asarray(fit.confidence) > 0.0] for fit in bodies.people if fit.reliable]
    if errors and sum(len(error) for error in errors):
        figures["landmark_error_px"] = float(np.median(np.concatenate(errors)))
    time = np.asarray(frames.time, np.float64)
    slides = [foot_slide(person, time, model) for person in joint.people if person.reliable]
    slides = [slide for slide in slides if np.isfinite(slide)]
    if slides:
        figures["foot_slide_mm_per_frame"] = float(np.mean(slides))
    if len(joint.world_from_camera) > 1:
        steps = np.diff(joint.world_from_camera[:, :3, 3], axis=0)
        figures["camera_path_m"] = float(np.linalg.norm(steps, axis=1).sum())
    return figures
