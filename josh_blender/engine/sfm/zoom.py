"""A lens that zooms: told from one that does not, and a focal length for every key frame.

One focal length for a clip that zooms can still register every picture: the path bends instead. What gives it away is
that the focal lengths drift apart as soon as every picture may have its own; where the lens is constant, structure from
motion with parallax holds each of them to a few tenths of a percent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Array = NDArray[Any]

#: Longest over shortest focal length of a clip from which on the lens zooms.
ZOOM_RATIO = 1.015
#: A focal length that is off by more than this from those around it is wrong.
_OUTLIER = np.log(1.1)
#: Key frames to either side that a focal length is compared with.
_AROUND = 2
_SEED = 7


def running_median(values: Array) -> Array:
    """The median (K,) of each value and up to two finite ones on either side; fewer at the ends."""
    windows = [values[max(0, row - _AROUND) : row + _AROUND + 1] for row in range(len(values))]
    return np.array([np.nanmedian(window) if np.isfinite(window).any() else np.nan for window in windows])


def _log_focals(cameras: list[Any]) -> Array:
    focal = np.array([camera.params[0] for camera in cameras], dtype=np.float64)
    return np.log(np.where(focal > 0.0, focal, np.nan))


def wrong_focals(log_focal: Array) -> Array:
    """Which (K,) of the focal lengths, in the order of time, cannot be: a lens has no such jumps."""
    return ~(np.abs(log_focal - running_median(log_focal)) < _OUTLIER)


def _in_order(model: Any) -> list[Any]:
    return sorted((image for image in model.images.values() if image.has_pose), key=lambda image: image.name)


def focal_ratio(model: Any) -> float:
    """Longest over shortest focal length when every picture of a reconstruction with one lens may have its own.

    A few steps of bundle adjustment from the reconstruction tell; it is not changed. Single outliers do not count.
    """
    images = _in_order(model)
    apart = pycolmap.Reconstruction()
    for image in images:
        lens = model.cameras[image.camera_id]
        apart.add_camera_with_trivial_rig(
            pycolmap.Camera(
                camera_id=image.image_id, model=lens.model, width=lens.width, height=lens.height, params=lens.params
            )
        )
        copy = pycolmap.Image(name=image.name, camera_id=image.image_id, image_id=image.image_id)
        copy.points2D = pycolmap.Point2DList([pycolmap.Point2D(seen.xy) for seen in image.points2D])
        apart.add_image_with_trivial_frame(copy, image.cam_from_world())
    for point_id, point in model.points3D.items():
        apart.add_point3D_with_id(point_id, point)
    pycolmap.bundle_adjustment(apart, pycolmap.BundleAdjustmentOptions(refine_extra_params=False, print_summary=False))
    smooth = running_median(_log_focals([apart.cameras[image.image_id] for image in images]))
    return float(np.exp(np.nanmax(smooth) - np.nanmin(smooth)))


def calibrate_each(database: Path) -> None:
    """Start values for a database with one camera per picture: from the view graph, without jumps over time."""
    pycolmap.calibrate_view_graph(database, pycolmap.ViewGraphCalibrationOptions(random_seed=_SEED))
    opened = pycolmap.Database.open(database)
    images = sorted(opened.read_all_images(), key=lambda image: image.name)
    cameras = [opened.read_camera(image.camera_id) for image in images]
    log_focal = _log_focals(cameras)
    good = np.flatnonzero(~wrong_focals(log_focal))
    if len(good):
        for row, focal in enumerate(np.exp(np.interp(np.arange(len(cameras)), good, log_focal[good]))):
            cameras[row].params = [focal, *cameras[row].params[1:]]
            opened.update_camera(cameras[row])
    opened.close()


def drop_wrong_lenses(model: Any) -> None:
    """Take the pictures whose focal length cannot be out of a reconstruction with one camera per picture."""
    images = _in_order(model)
    wrong = wrong_focals(_log_focals([model.cameras[image.camera_id] for image in images]))
    for row in np.flatnonzero(wrong):
        model.deregister_frame(images[row].frame_id)


def interpolate_intrinsics(intrinsics: Array, known: Array, count: int) -> Array:
    """Intrinsics (count,4) from those (K,4) of the rows ``known`` (K,), constant beyond the first and the last.

    In between, the logarithm of the focal length follows a monotone cubic (PCHIP; Fritsch and Butland 1984).
    """
    rows = np.clip(np.arange(count), known[0], known[-1])
    if len(known) == 1 or np.all(intrinsics == intrinsics[0]):
        return np.tile(intrinsics[0], (count, 1))
    lens = PchipInterpolator(known, np.concatenate([np.log(intrinsics[:, :2]), intrinsics[:, 2:]], axis=1))(rows)
    return np.concatenate([np.exp(lens[:, :2]), lens[:, 2:]], axis=1)
