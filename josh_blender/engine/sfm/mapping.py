"""Structure from motion on the key frames with COLMAP's global mapper (pycolmap), people masked out.

One lens for the clip; where that does not hold (`zoom.focal_ratio`), one focal length for every key frame.
Everything is seeded and matching runs in a fixed order; the mapper's own threads can still change the last digits.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pycolmap
from numpy.typing import NDArray

from . import zoom
from .loop_pairs import loop_pairs
from .pieces import join_pieces

Array = NDArray[Any]

_SEED = 7
#: Smallest share of the key frames that a usable reconstruction registers.
_MIN_SHARE = 0.6


@dataclass
class Mapping:
    """keyframe (K,) index of the registered frames, rising; world_from_camera (K,4,4) in scene units; intrinsics (K,4)
    px of the full plate; distortion (5,); points (P,3); error (P,) px of the mapping's pictures; observations (M,):
    ``observation_keyframe`` row of ``keyframe``, ``observation_point`` row of ``points``, ``observation_pixel`` (M,2)
    px of the full plate."""

    keyframe: Array
    world_from_camera: Array
    intrinsics: Array
    distortion: Array
    points: Array
    error: Array
    observation_keyframe: Array
    observation_point: Array
    observation_pixel: Array


@dataclass(frozen=True)
class KnownLens:
    """A lens that the user gave: intrinsics (4,) px of the full plate, distortion (5,); kept unless ``refine``."""

    intrinsics: Array
    distortion: Array
    refine: bool


def write_pictures(
    folder: Path, pictures: dict[int, Array], masks: dict[int, Array], dilation_px: int
) -> dict[str, int]:
    """Grey pictures (h,w) and people masks (h,w) by frame index, as COLMAP wants them; returns name -> index."""
    images, covers = folder / "images", folder / "masks"
    for path in (images, covers):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * dilation_px + 1, 2 * dilation_px + 1))
    names = {}
    for index, picture in pictures.items():
        name = f"{index:06d}.png"
        names[name] = index
        cv2.imwrite(str(images / name), picture)
        people = cv2.dilate((masks[index] > 0).astype(np.uint8), kernel)
        cv2.imwrite(str(covers / f"{name}.png"), np.where(people > 0, 0, 255).astype(np.uint8))
    return names


def _reader_options(covers: Path, lens: KnownLens | None, scale: float, size: tuple[int, int]) -> Any:
    options = pycolmap.ImageReaderOptions(mask_path=covers)
    if lens is None:
        options.camera_model = "SIMPLE_RADIAL"
        return options
    fx, fy, cx, cy = np.asarray(lens.intrinsics) * scale
    if np.any(lens.distortion):
        k1, k2, p1, p2, k3 = (float(value) for value in lens.distortion)
        options.camera_model = "FULL_OPENCV"
        numbers = [fx, fy, cx, cy, k1, k2, p1, p2, k3, 0.0, 0.0, 0.0]
    elif lens.refine:
        options.camera_model = "SIMPLE_RADIAL"
        numbers = [fx, cx, cy, 0.0]
    else:
        options.camera_model = "PINHOLE"
        numbers = [fx, fy, cx, cy]
    options.camera_params = ",".join(repr(float(number)) for number in numbers)
    return options


def _extract_and_match(
    folder: Path, names: list[str], reader: Any, zooming: bool, features: int, threads: int, overlap: int
) -> Path:
    database = folder / "database.db"
    database.unlink(missing_ok=True)
    extraction = pycolmap.FeatureExtractionOptions(num_threads=threads, use_gpu=False)
    extraction.sift.max_num_features = features
    # The doubled octave costs most of the time and gives little on pictures that were made smaller.
    extraction.sift.first_octave = 0
    pycolmap.extract_features(
        database,
        folder / "images",
        image_names=names,
        camera_mode=pycolmap.CameraMode.PER_IMAGE if zooming else pycolmap.CameraMode.SINGLE,
        reader_options=reader,
        extraction_options=extraction,
        device=pycolmap.Device.cpu,
    )
    matching = pycolmap.FeatureMatchingOptions(num_threads=threads, use_gpu=False)
    pairing = pycolmap.SequentialPairingOptions(overlap=overlap, quadratic_overlap=False, num_threads=threads)
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = _SEED
    pycolmap.match_sequential(
        database,
        matching_options=matching,
        pairing_options=pairing,
        verification_options=verification,
        device=pycolmap.Device.cpu,
    )
    pairs = loop_pairs(names, overlap)
    if pairs:
        listed = folder / "loop_pairs.txt"
        listed.write_text("".join(f"{first} {second}\n" for first, second in pairs), encoding="utf-8")
        pycolmap.match_image_pairs(
            database,
            matching_options=matching,
            pairing_options=pycolmap.ImportedPairingOptions(match_list_path=listed),
            verification_options=verification,
            device=pycolmap.Device.cpu,
        )
    return database


def _map_globally(folder: Path, database: Path, seed: int, threads: int, fixed_lens: bool) -> Any:
    options = pycolmap.GlobalPipelineOptions(num_threads=threads, random_seed=seed)
    options.mapper.random_seed = seed
    options.mapper.num_threads = threads
    options.mapper.rotation_averaging.random_seed = seed
    options.mapper.global_positioning.random_seed = seed
    options.mapper.retriangulation.random_seed = seed
    options.mapper.bundle_adjustment.refine_focal_length = not fixed_lens
    options.mapper.bundle_adjustment.refine_extra_params = not fixed_lens
    output = folder / f"sparse-{seed}"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    models = pycolmap.global_mapping(database, folder / "images", output, options)
    return max(models.values(), key=lambda model: model.num_reg_images(), default=None)


def _distortion_of(camera: Any) -> tuple[Array, Array]:
    """Intrinsics (4,) in px of the mapping's pictures and distortion (5,) of a COLMAP camera."""
    numbers = np.asarray(camera.params, dtype=np.float64)
    model = camera.model.name
    if model in ("SIMPLE_PINHOLE", "SIMPLE_RADIAL"):
        focal, cx, cy, k1 = (*numbers, 0.0)[:4]
        return np.array([focal, focal, cx, cy]), np.array([k1, 0.0, 0.0, 0.0, 0.0])
    if model == "PINHOLE":
        return numbers, np.zeros(5)
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = numbers[:9]
    return np.array([fx, fy, cx, cy]), np.array([k1, k2, p1, p2, k3])


def _read_model(model: Any, names: dict[str, int], scale: float) -> Mapping:
    images = sorted((image for image in model.images.values() if image.has_pose), key=lambda image: names[image.name])
    lenses = [_distortion_of(model.cameras[image.camera_id]) for image in images]
    row_of_point = {point_id: row for row, point_id in enumerate(sorted(model.points3D))}
    poses, keyframe, rows, points, pixels = [], [], [], [], []
    for row, image in enumerate(images):
        keyframe.append(names[image.name])
        matrix = np.eye(4)
        matrix[:3] = image.cam_from_world().inverse().matrix()
        poses.append(matrix)
        for seen in image.points2D:
            if seen.has_point3D():
                rows.append(row)
                points.append(row_of_point[seen.point3D_id])
                pixels.append(seen.xy)
    ordered = [model.points3D[point_id] for point_id in row_of_point]
    return Mapping(
        keyframe=np.array(keyframe, dtype=np.int32),
        world_from_camera=np.stack(poses),
        intrinsics=np.stack([intrinsics for intrinsics, _ in lenses]) / scale,
        distortion=lenses[0][1],
        points=np.array([point.xyz for point in ordered]).reshape(-1, 3),
        error=np.array([point.error for point in ordered]),
        observation_keyframe=np.array(rows, dtype=np.int32),
        observation_point=np.array(points, dtype=np.int32),
        observation_pixel=(np.array(pixels).reshape(-1, 2) / scale).astype(np.float32),
    )


def triangulation_angles(mapping: Mapping) -> Array:
    """Widest angle (P,) in degrees under which each point is seen from two registered key frames."""
    centre = mapping.world_from_camera[:, :3, 3]
    ray = mapping.points[mapping.observation_point] - centre[mapping.observation_keyframe]
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    order = np.argsort(mapping.observation_point, kind="stable")
    ray, point = ray[order], mapping.observation_point[order]
    first = ray[np.searchsorted(point, np.arange(len(mapping.points)))]
    cosine = np.clip(np.sum(ray * first[point], axis=1), -1.0, 1.0)
    widest = np.zeros(len(mapping.points))
    np.maximum.at(widest, point, np.degrees(np.arccos(cosine)))
    return widest


def _best_model(
    folder: Path, database: Path, wanted: int, threads: int, fixed_lens: bool, step: Callable[[], None]
) -> Any:
    """The reconstruction with the most pictures of two tries, None where too few of the ``wanted`` fit together."""
    best: Any = None
    for seed in (_SEED, _SEED + 1):
        model = _map_globally(folder, database, seed, threads, fixed_lens)
        step()
        if model is not None:
            join_pieces(model, database, fixed_lens)
        if model is not None and (best is None or model.num_reg_images() > best.num_reg_images()):
            best = model
        if best is not None and best.num_reg_images() == wanted:
            break
    return best if _enough(best, wanted) else None


def _enough(model: Any, wanted: int) -> bool:
    return model is not None and model.num_reg_images() >= max(2, _MIN_SHARE * wanted)


def _explains_better(one: Any, other: Any) -> bool:
    """Whether a reconstruction has the pictures of the other one, nearly, and is nearer to what they show."""
    has_all = one.num_reg_images() >= 0.9 * other.num_reg_images()
    return bool(has_all and one.compute_mean_reprojection_error() < other.compute_mean_reprojection_error())


def map_keyframes(
    folder: Path,
    names: dict[str, int],
    scale: float,
    size: tuple[int, int],
    lens: KnownLens | None,
    threads: int,
    features: int,
    overlap: int,
    step: Callable[[], None],
) -> Mapping | None:
    """Map the pictures that `write_pictures` wrote; None where no reconstruction registers enough of them.

    ``scale`` = width of the mapping's pictures / width of the plate. A second seed is tried before giving up. With a
    ``lens`` that is given there is one for all key frames.
    """
    reader = _reader_options(folder / "masks", lens, scale, size)
    database = _extract_and_match(folder, sorted(names), reader, False, features, threads, overlap)
    if lens is None:
        # Without it the mapping starts from a guess, and a camera that turns about one axis only may stay there.
        pycolmap.calibrate_view_graph(database, pycolmap.ViewGraphCalibrationOptions(random_seed=_SEED))
    step()
    model = _best_model(folder, database, len(names), threads, lens is not None and not lens.refine, step)
    if lens is None and (model is None or zoom.focal_ratio(model) > zoom.ZOOM_RATIO):
        # What bends pictures and what zooms cannot be told apart picture by picture: no distortion here.
        reader.camera_model = "SIMPLE_PINHOLE"
        database = _extract_and_match(folder, sorted(names), reader, True, features, threads, overlap)
        zoom.calibrate_each(database)
        zooming = _best_model(folder, database, len(names), threads, False, step)
        if zooming is not None:
            zoom.drop_wrong_lenses(zooming)
        if _enough(zooming, len(names)) and (model is None or _explains_better(zooming, model)):
            model = zooming
    return None if model is None else _read_model(model, names, scale)
