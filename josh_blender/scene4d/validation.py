"""What makes a 4D scene valid. Every message names the file and what was expected."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .body import BodyModel
from .conventions import CAMERA_KINDS, JOINT_COUNT, MASK_UNTRACKED
from .errors import SceneFormatError
from .ply import MOST_POINTS
from .scene import CameraPath, Person, PointCloud, Scene4D, Source

Array = NDArray[Any]

#: Coordinates beyond this many metres are a mistake, and Blender's single precision could not show them.
_FARTHEST = 1e6
#: Blender's timeline has so many frames.
_MOST_FRAMES = 1_048_574
_LAST_FRAME_NUMBER = 2**31 - 1
#: Lenses and times beyond these are mistakes, and Blender's single precision could not hold them.
_MOST_PIXELS, _MOST_DISTORTION, _MOST_SECONDS = 1e6, 1e3, 1e9
_MOST_RATE = 100_000
#: No file system takes a longer one.
_LONGEST_NAME = 255
#: No figure of a body in metres, nor a weight, is as large.
_MOST_BODY = 1000.0
_ROTATION_TOLERANCE = 1e-4


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise SceneFormatError(message)


def _shape(label: str, array: Array, expected: tuple[int | None, ...], kinds: str) -> None:
    fits = array.ndim == len(expected) and all(
        want is None or want == have for want, have in zip(expected, array.shape, strict=False)
    )
    wanted = tuple("any" if side is None else side for side in expected)
    _require(fits, f"{label} has shape {array.shape}; expected {wanted}.")
    _require(array.dtype.kind in kinds, f"{label} holds values of type {array.dtype}; expected kind {kinds!r}.")
    if array.dtype.kind == "f":
        _require(bool(np.isfinite(array).all()), f"{label} holds values that are not finite.")


def _within(label: str, array: Array, low: float, high: float) -> None:
    if array.size:
        _require(bool(array.min() >= low and array.max() <= high), f"{label} leaves the range {low:g} to {high:g}.")


def _is_plain_name(name: str) -> bool:
    plain = PurePath(name).name == name and "\\" not in name and ":" not in name
    return plain and name not in ("", ".", "..") and len(name) <= _LONGEST_NAME


def validate_source(source: Source) -> None:
    """Check the description of the video."""
    _require(0 < source.width <= 100_000 and 0 < source.height <= 100_000, "scene.json: the source has no size.")
    _require(source.fps_num > 0 and source.fps_den > 0, "scene.json: the frame rate of the source is not positive.")
    _require(
        max(source.fps_num, source.fps_den) <= _LAST_FRAME_NUMBER and source.fps_num <= _MOST_RATE * source.fps_den,
        "scene.json: the frame rate of the source is absurd.",
    )
    _require(0 <= source.frame_count <= _LAST_FRAME_NUMBER, "scene.json: the source has an absurd number of frames.")
    _require(source.kind in ("video", "images"), f"scene.json: unknown kind of source {source.kind[:80]!r}.")


def validate_camera(camera: CameraPath) -> None:
    """Check shapes, order of frames, rotations and lens of the camera."""
    _shape("camera.npz: frame", camera.frame, (None,), "iu")
    count = len(camera.frame)
    _require(0 < count <= _MOST_FRAMES, f"camera.npz: {count} frames.")
    _within("camera.npz: frame", camera.frame, 0, _LAST_FRAME_NUMBER)
    _require(bool((np.diff(camera.frame.astype(np.int64)) > 0).all()), "camera.npz: frame numbers do not rise.")
    span = int(camera.frame[-1]) - int(camera.frame[0])
    _require(span < _MOST_FRAMES, f"camera.npz: {span} frames from the first to the last, more than Blender has.")
    _shape("camera.npz: time", camera.time, (count,), "f")
    _within("camera.npz: time", camera.time, -_MOST_SECONDS, _MOST_SECONDS)
    _require(bool((np.diff(camera.time) > 0).all()), "camera.npz: times do not rise.")
    _shape("camera.npz: world_from_camera", camera.world_from_camera, (count, 4, 4), "f")
    _within("camera.npz: world_from_camera", camera.world_from_camera, -_FARTHEST, _FARTHEST)
    rotation = camera.world_from_camera[:, :3, :3]
    error = np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max()
    _require(
        bool(error < _ROTATION_TOLERANCE and (np.linalg.det(rotation) > 0).all()),
        "camera.npz: world_from_camera holds something that is not a rotation.",
    )
    last_row = np.abs(camera.world_from_camera[:, 3] - np.array([0.0, 0.0, 0.0, 1.0])).max()
    _require(bool(last_row < _ROTATION_TOLERANCE), "camera.npz: world_from_camera is not rigid.")
    _shape("camera.npz: intrinsics", camera.intrinsics, (count, 4), "f")
    _require(bool((camera.intrinsics[:, :2] > 0).all()), "camera.npz: a focal length is not positive.")
    _within("camera.npz: intrinsics", camera.intrinsics, -_MOST_PIXELS, _MOST_PIXELS)
    _shape("camera.npz: distortion", camera.distortion, (5,), "f")
    _within("camera.npz: distortion", camera.distortion, -_MOST_DISTORTION, _MOST_DISTORTION)
    _shape("camera.npz: keyframe", camera.keyframe, (None,), "iu")
    _require(bool(np.isin(camera.keyframe, camera.frame).all()), "camera.npz: a key frame is not among the frames.")


def validate_body(label: str, body: BodyModel, betas: Array) -> None:
    """Check that the body of a person can be shaped and posed."""
    vertices = len(body.v_template)
    _shape(f"{label}: shapedirs", body.shapedirs, (vertices, 3, None), "f")
    _require(
        body.shapedirs.shape[2] >= len(betas), f"{label}: {len(betas)} betas for {body.shapedirs.shape[2]} shapes."
    )
    _shape(f"{label}: weights", body.weights, (vertices, JOINT_COUNT), "f")
    _shape(f"{label}: J_regressor", body.J_regressor, (JOINT_COUNT, vertices), "f")
    _shape(f"{label}: f", body.f, (None, 3), "iu")
    _within(f"{label}: f", body.f, 0, vertices - 1)
    for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights"):
        _within(f"{label}: {name}", getattr(body, name), -_MOST_BODY, _MOST_BODY)


def validate_person(person: Person, camera: CameraPath) -> None:
    """Check one person against the camera's frames."""
    label = f"people/{person.id:02d}/motion.npz"
    _shape(f"{label}: frame", person.frame, (None,), "iu")
    count = len(person.frame)
    _require(count > 0, f"{label}: no frames.")
    first = int(np.searchsorted(camera.frame, person.frame[0]))
    _require(
        np.array_equal(camera.frame[first : first + count], person.frame),
        f"{label}: its frames are not consecutive frames of the camera.",
    )
    _shape(f"{label}: poses", person.poses, (count, 3 * JOINT_COUNT), "f")
    _within(f"{label}: poses", person.poses, -100.0, 100.0)
    _shape(f"{label}: trans", person.trans, (count, 3), "f")
    _within(f"{label}: trans", person.trans, -_FARTHEST, _FARTHEST)
    _shape(f"{label}: betas", person.betas, (None,), "f")
    _require(10 <= len(person.betas) <= 300, f"{label}: {len(person.betas)} betas; expected 10 to 300.")
    _within(f"{label}: betas", person.betas, -100.0, 100.0)
    _shape(f"{label}: confidence", person.confidence, (count,), "f")
    _within(f"{label}: confidence", person.confidence, 0.0, 1.0)
    _shape(f"{label}: contact", person.contact, (count, len(person.contact_regions)), "f")
    _within(f"{label}: contact", person.contact, 0.0, 1.0)
    for name, hand in (("left_hand_pose", person.left_hand_pose), ("right_hand_pose", person.right_hand_pose)):
        if hand is not None:
            _shape(f"{label}: {name}", hand, (count, 45), "f")
            _within(f"{label}: {name}", hand, -100.0, 100.0)
    _require(0.2 <= person.height <= 4.0, f"scene.json: person {person.id} is {person.height} m tall.")
    _require(
        0 < person.mask_value < 65536 and person.mask_value != MASK_UNTRACKED,
        f"scene.json: mask value {person.mask_value} of person {person.id} is not allowed.",
    )
    if person.body is not None:
        validate_body(f"people/{person.id:02d}/body.npz", person.body, person.betas)


def validate_cloud(cloud: PointCloud) -> None:
    """Check the point cloud."""
    count = len(cloud.position)
    _require(count <= MOST_POINTS, f"cloud.ply: {count} points; at most {MOST_POINTS} are allowed.")
    _shape("cloud.ply: position", cloud.position, (count, 3), "f")
    _within("cloud.ply: position", cloud.position, -_FARTHEST, _FARTHEST)
    _shape("cloud.ply: color", cloud.color, (count, 3), "u")
    _shape("cloud.ply: confidence", cloud.confidence, (count,), "f")
    _shape("cloud.ply: keyframe", cloud.keyframe, (count,), "u")


def validate_scene(scene: Scene4D) -> None:
    """Check a whole scene; people and cloud may be empty.

    Raises:
        SceneFormatError: names the file, what it holds and what was expected.
    """
    _require(_is_plain_name(scene.name), f"scene.json: {scene.name[:80]!r} cannot be the name of a scene.")
    _require(scene.camera_kind in CAMERA_KINDS, f"scene.json: unknown kind of camera {scene.camera_kind[:80]!r}.")
    for file_name in (scene.plate, scene.undistorted):
        _require(
            file_name is None or _is_plain_name(file_name), f"scene.json: {str(file_name)[:80]!r} is not a file name."
        )
    _require(0.0 <= scene.scale.sigma < float("inf"), "scene.json: the scale's standard deviation is not a number.")
    validate_source(scene.source)
    validate_camera(scene.camera)
    validate_cloud(scene.cloud)
    ids = [person.id for person in scene.people]
    values = [person.mask_value for person in scene.people]
    _require(len(set(ids)) == len(ids), "scene.json: two people share an id.")
    _require(all(0 < number < 100_000 for number in ids), "scene.json: a person's id is out of range.")
    _require(len(set(values)) == len(values), "scene.json: two people share a mask value.")
    for person in scene.people:
        validate_person(person, scene.camera)
