"""A 4D scene as a folder: reading, and writing that is complete or did not happen. docs/scene4d.md describes the files.

Nothing here trusts the folder: a scene may come from a stranger. There is no pickle, sizes are checked before memory is
taken, and names of files inside the folder are never taken from data.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import read_npz, write_npz
from .body import load_body, save_body
from .conventions import FORMAT_VERSION
from .errors import SceneFormatError, UserError
from .ply import read_ply, write_ply
from .png import read_png, write_png
from .scene import CameraPath, DepthMap, Person, PointCloud, Scale, Scene4D, Source
from .validation import validate_scene

Array = NDArray[Any]

SUFFIX = ".scene4d"
POINTER_SUFFIX = ".scene4d.json"
_MOST_JSON_BYTES = 8_000_000
_MOST_PEOPLE = 1000
_MOST_REGIONS = 1000
#: Files of the user's that survive when a scene is written anew.
_KEPT = ("edits.json",)


def resolve_scene_folder(path: Path) -> Path:
    """The scene's folder for a folder, its ``scene.json`` or the pointer file beside it.

    Raises:
        UserError: nothing there, or not a 4D scene.
    """
    path = Path(path)
    if path.name.endswith(POINTER_SUFFIX):
        folder = path.with_name(path.name.removesuffix(".json"))
        if not folder.is_dir():
            raise UserError(
                "missing_scene", f"The folder {folder.name} is not beside {path.name}.", "Keep the two together."
            )
        return folder
    folder = path.parent if path.name == "scene.json" else path
    if not folder.exists():
        raise UserError("missing_scene", f"There is no {folder}.", "Choose a folder that ends in .scene4d.")
    if not (folder / "scene.json").is_file():
        raise UserError("not_a_scene", f"{folder.name} is not a 4D scene.", "Choose a folder that ends in .scene4d.")
    return folder


def pointer_path(folder: Path) -> Path:
    """The small file beside a scene's folder that can be dropped into Blender."""
    return folder.with_name(folder.name + ".json")


def person_folder(folder: Path, person_id: int) -> Path:
    """Where the files of one person lie."""
    return folder / "people" / f"{person_id:02d}"


# --- masks and depth -------------------------------------------------------------------------------------------------


def mask_path(folder: Path, frame: int) -> Path:
    """The label mask of a source frame."""
    return folder / "masks" / f"{frame:06d}.png"


def depth_path(folder: Path, frame: int) -> Path:
    """The depth map of a key frame."""
    return folder / "depth" / f"{frame:06d}.npz"


def read_mask(folder: Path, frame: int) -> Array | None:
    """Label mask (h,w) of a source frame, None where there is none."""
    path = mask_path(folder, frame)
    return read_png(path) if path.is_file() else None


def write_mask(folder: Path, frame: int, mask: Array) -> None:
    """Write a label mask (h,w) uint8 or uint16."""
    path = mask_path(folder, frame)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, mask)


def depth_frames(folder: Path) -> list[int]:
    """Source frame numbers that have a depth map, rising."""
    return sorted(int(path.stem) for path in (folder / "depth").glob("*.npz") if path.stem.isdigit())


def read_depth(folder: Path, frame: int) -> DepthMap:
    """The depth map of a source frame.

    Raises:
        SceneFormatError: missing or damaged.
    """
    path = depth_path(folder, frame)
    arrays = read_npz(path, ("depth", "confidence", "intrinsics"))
    try:
        result = DepthMap(arrays["depth"], arrays["confidence"], arrays["intrinsics"])
    except KeyError as error:
        raise SceneFormatError(f"depth/{path.name} has no array {error}.") from error
    if result.depth.ndim != 2 or result.confidence.shape != result.depth.shape or result.intrinsics.shape != (4,):
        raise SceneFormatError(f"depth/{path.name} has arrays of the wrong shape.")
    return result


def write_depth(folder: Path, frame: int, depth: DepthMap) -> None:
    """Write the depth map of a source frame (stored as float16)."""
    path = depth_path(folder, frame)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Array] = {
        "depth": depth.depth.astype(np.float16),
        "confidence": depth.confidence.astype(np.float16),
        "intrinsics": np.asarray(depth.intrinsics, dtype=np.float64),
    }
    write_npz(path, arrays)


# --- writing ---------------------------------------------------------------------------------------------------------


def _write_camera(folder: Path, camera: CameraPath) -> None:
    arrays: dict[str, Array] = {
        "frame": camera.frame.astype(np.int32),
        "time": camera.time.astype(np.float64),
        "world_from_camera": camera.world_from_camera.astype(np.float64),
        "intrinsics": camera.intrinsics.astype(np.float64),
        "distortion": camera.distortion.astype(np.float64),
        "keyframe": camera.keyframe.astype(np.int32),
    }
    write_npz(folder / "camera.npz", arrays)


def _write_person(folder: Path, person: Person, fps: float) -> None:
    target = person_folder(folder, person.id)
    target.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Array] = {
        "poses": person.poses.astype(np.float32),
        "trans": person.trans.astype(np.float32),
        "betas": person.betas.astype(np.float32),
        "gender": np.array(person.gender),
        "mocap_framerate": np.array(fps),
        "surface_model_type": np.array(person.surface_model_type or person.body_id),
        "frame": person.frame.astype(np.int32),
        "confidence": person.confidence.astype(np.float32),
        "contact": person.contact.astype(np.float32),
        "contact_regions": np.array(person.contact_regions),
        "body_id": np.array(person.body_id),
    }
    if person.left_hand_pose is not None:
        arrays["left_hand_pose"] = person.left_hand_pose.astype(np.float32)
    if person.right_hand_pose is not None:
        arrays["right_hand_pose"] = person.right_hand_pose.astype(np.float32)
    write_npz(target / "motion.npz", arrays)
    if person.body is not None:
        save_body(person.body, target / "body.npz")


def _frame_range(person: Person) -> list[int]:
    return [int(person.frame[0]), int(person.frame[-1])]


def _describe(scene: Scene4D) -> dict[str, Any]:
    return {
        "format_version": list(FORMAT_VERSION),
        "name": scene.name,
        "source": asdict(scene.source),
        "plate": scene.plate,
        "undistorted": scene.undistorted,
        "camera_kind": scene.camera_kind,
        "world": scene.world,
        "scale": asdict(scene.scale),
        "people": [
            {
                "id": person.id,
                "label": person.label,
                "mask_value": person.mask_value,
                "height": person.height,
                "frame_range": _frame_range(person),
                "reliable": person.reliable,
                "reason": person.reason,
            }
            for person in scene.people
        ],
        "stages": scene.stages,
        "quality": scene.quality,
        "warnings": scene.warnings,
        "licences": scene.licences,
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        # A path on Linux may hold bytes that are no text at all.
        return value.encode("utf-8", "replace").decode("utf-8")
    # JSON has no NaN and no infinity: a figure that could not be measured is null.
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; numbers that are not finite become null."""
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(json.dumps(_finite(value), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def write_scene(scene: Scene4D, folder: Path, fill: Callable[[Path], None] | None = None) -> Path:
    """Write a scene as the folder ``NAME.scene4d`` and the pointer file beside it; returns the folder.

    Everything is written to ``NAME.scene4d.partial`` and renamed when it is complete, so a folder under the final name
    is always whole. ``fill`` is called with the partial folder to add masks, depth maps and plates. A scene that was
    there before is replaced; the user's ``edits.json`` in it is kept.

    Raises:
        SceneFormatError: the scene is not valid; nothing is written.
        ValueError: the folder's name does not end in .scene4d.
        OSError: the disk is full or the folder cannot be written; what was there before stays.
    """
    folder = Path(folder)
    if folder.suffix != SUFFIX:
        raise ValueError(f"a scene's folder ends in {SUFFIX}")
    validate_scene(scene)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _write_camera(partial, scene.camera)
        fps = scene.source.fps_num / scene.source.fps_den
        for person in scene.people:
            _write_person(partial, person, fps)
        write_ply(partial / "cloud.ply", scene.cloud)
        if fill is not None:
            fill(partial)
        write_json(partial / "scene.json", _describe(scene))
    except BaseException:
        # On a full disk, half a scene only takes the room that the user needs to go on.
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _swap(partial, folder)
    pointer = {"format_version": list(FORMAT_VERSION), "scene4d": folder.name}
    write_json(pointer_path(folder), pointer)
    return folder


def _swap(partial: Path, folder: Path) -> None:
    previous = folder.with_name(folder.name + ".previous")
    shutil.rmtree(previous, ignore_errors=True)
    if folder.exists():
        for name in _KEPT:
            if (folder / name).is_file():
                shutil.copy2(folder / name, partial / name)
        folder.replace(previous)
    partial.replace(folder)
    shutil.rmtree(previous, ignore_errors=True)


# --- reading ---------------------------------------------------------------------------------------------------------


def _read_json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MOST_JSON_BYTES:
        raise SceneFormatError(f"{path.name} is absurdly large.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SceneFormatError(f"{path.name} is not JSON.") from error
    if not isinstance(value, dict):
        raise SceneFormatError(f"{path.name} is not a description of a scene.")
    return value


def _check_version(value: Any, name: str) -> list[str]:
    """Refuses an unknown major version; an unknown minor one gives a warning."""
    if not (isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value)):
        raise SceneFormatError(f"{name} has no format version.", "Choose a 4D scene made by this extension.")
    if value[0] != FORMAT_VERSION[0]:
        raise SceneFormatError(
            f"The scene has format {value[0]}.{value[1]}; this version reads {FORMAT_VERSION[0]}.x.",
            "Update the extension, or reconstruct the video again.",
        )
    if value[1] > FORMAT_VERSION[1]:
        return [f"The scene was written by a newer version (format {value[0]}.{value[1]}); some of it may be ignored."]
    return []


def _get(data: dict[str, Any], key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
    value = data.get(key, default)
    if kind is float and type(value) is int:
        value = _number(value)
    if isinstance(value, str) and not _is_text(value):
        raise SceneFormatError(f"scene.json: {key!r} holds characters that are no text.")
    # bool is an int to isinstance, but a number was asked for.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise SceneFormatError(f"scene.json: {key!r} is missing or has the wrong type.")
    return value


def _number(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _is_text(value: str) -> bool:
    """Whether Blender can show it: JSON can hold halves of characters, and zeros."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def read_description(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """What ``scene.json`` says, not checked beyond its format version, and warnings about that.

    Raises:
        SceneFormatError: not JSON, absurdly large, or of an unknown major version.
    """
    data = _read_json(folder / "scene.json")
    return data, _check_version(data.get("format_version"), "scene.json")


def read_source(description: dict[str, Any]) -> Source:
    """The source of a description.

    Raises:
        SceneFormatError: missing, or a field has the wrong type.
    """
    data = _get(description, "source", dict)
    texts = {key: _get(data, key, str, "") for key in ("name", "path", "absolute_path", "identity")}
    numbers = {key: _get(data, key, int) for key in ("width", "height", "fps_num", "fps_den", "frame_count")}
    return Source(
        **texts, **numbers, kind=_get(data, "kind", str, "video"), color_space=_get(data, "color_space", str, "sRGB")
    )


def _read_camera(path: Path) -> CameraPath:
    arrays = read_npz(path, ("frame", "time", "world_from_camera", "intrinsics", "distortion", "keyframe"))
    try:
        return CameraPath(
            arrays["frame"],
            arrays["time"],
            arrays["world_from_camera"],
            arrays["intrinsics"],
            arrays["distortion"],
            arrays["keyframe"],
        )
    except KeyError as error:
        raise SceneFormatError(f"camera.npz has no array {error}.") from error


def _text(array: Array) -> str:
    return str(array) if array.ndim == 0 and array.dtype.kind == "U" else ""


def _read_person(folder: Path, data: dict[str, Any]) -> Person:
    person_id = _get(data, "id", int)
    if not 0 < person_id < 100_000:
        raise SceneFormatError("scene.json: a person's id is out of range.")
    home = person_folder(folder, person_id)
    arrays = read_npz(home / "motion.npz")
    try:
        regions = arrays["contact_regions"]
        if regions.ndim != 1 or regions.dtype.kind != "U" or len(regions) > _MOST_REGIONS:
            raise SceneFormatError(f"people/{home.name}/motion.npz: contact_regions are not names.")
        person = Person(
            id=person_id,
            label=_get(data, "label", str, f"Person {person_id}"),
            mask_value=_get(data, "mask_value", int),
            height=_get(data, "height", float),
            frame=arrays["frame"],
            poses=arrays["poses"],
            trans=arrays["trans"],
            betas=arrays["betas"],
            confidence=arrays["confidence"],
            contact=arrays["contact"],
            body_id=_text(arrays["body_id"]),
            contact_regions=tuple(str(region) for region in regions),
            gender=_text(arrays["gender"]) or "neutral",
            reliable=_get(data, "reliable", bool, True),
            reason=_get(data, "reason", str, ""),
            surface_model_type=_text(arrays["surface_model_type"]),
            left_hand_pose=arrays.get("left_hand_pose"),
            right_hand_pose=arrays.get("right_hand_pose"),
        )
    except KeyError as error:
        raise SceneFormatError(f"people/{home.name}/motion.npz has no array {error}.") from error
    if (home / "body.npz").is_file():
        person.body = load_body(home / "body.npz")
    return person


def _strings(data: dict[str, Any], key: str) -> list[str]:
    values = _get(data, key, list, [])
    if not all(isinstance(value, str) and _is_text(value) for value in values):
        raise SceneFormatError(f"scene.json: {key!r} is not a list of texts.")
    return list(values)


def _optional_text(data: dict[str, Any], key: str) -> str | None:
    return None if data.get(key) is None else str(_get(data, key, str))


def read_scene(path: Path) -> Scene4D:
    """The scene of a folder, its ``scene.json`` or its pointer file; masks and depth maps stay on disk.

    Raises:
        UserError: nothing there, or not a 4D scene.
        SceneFormatError: the scene is damaged, of an unknown major version, or claims absurd sizes.
    """
    folder = resolve_scene_folder(path)
    data, warnings = read_description(folder)
    people = _get(data, "people", list, [])
    if len(people) > _MOST_PEOPLE or not all(isinstance(person, dict) for person in people):
        raise SceneFormatError("scene.json: 'people' is not a list of people.")
    scale = _get(data, "scale", dict, {})
    sigma = scale.get("sigma")
    quality = _get(data, "quality", dict, {})
    cloud_file = folder / "cloud.ply"
    scene = Scene4D(
        name=_get(data, "name", str),
        source=read_source(data),
        camera=_read_camera(folder / "camera.npz"),
        people=[_read_person(folder, person) for person in people],
        cloud=read_ply(cloud_file) if cloud_file.is_file() else PointCloud.empty(),
        camera_kind=_get(data, "camera_kind", str),
        scale=Scale(_get(scale, "source", str, "none"), _number(sigma) if isinstance(sigma, int | float) else 1.0),
        world=_get(data, "world", dict, {}),
        plate=_optional_text(data, "plate"),
        undistorted=_optional_text(data, "undistorted"),
        stages=_get(data, "stages", dict, {}),
        quality={str(key): value for key, value in quality.items()},
        warnings=warnings + _strings(data, "warnings"),
        licences=_strings(data, "licences"),
        folder=folder,
    )
    validate_scene(scene)
    return scene


def find_source(scene: Scene4D) -> Path | None:
    """The video of a scene where it can be found: relative to the folder first, then where it was."""
    candidates = []
    if scene.folder is not None and scene.source.path:
        candidates.append(scene.folder / scene.source.path)
    if scene.source.absolute_path:
        candidates.append(Path(scene.source.absolute_path))
    return next((path for path in candidates if path.exists()), None)
