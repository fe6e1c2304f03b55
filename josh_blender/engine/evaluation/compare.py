"""Every figure of a scene against a known one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.camera import invert_rigid, project, transform
from ...scene4d.errors import UserError
from ...scene4d.files import depth_frames, read_depth, read_mask
from ...scene4d.scene import Scene4D
from ..similarity import Similarity, align
from . import metrics
from .figures import PersonPoints, common, match_people, person_points
from .penetration import penetration

Array = NDArray[Any]

#: Below this spread of true camera centres (m RMS) the scale is measured from depth maps.
_LEAST_SPREAD = 0.3
#: Extent of the true cloud, m, beyond which a place counts as outdoor; voxels of the two kinds, m.
_OUTDOOR_EXTENT = 12.0
_OUTDOOR_VOXEL, _INDOOR_VOXEL = 0.3, 0.05
_CONTACT_LEAST = 0.5
_PENETRATION_EVERY = 20
_VERTEX_EVERY = 10
_MOST_ASKED = 400


def evaluate(scene: Scene4D, truth: Scene4D) -> dict[str, Any]:
    """The figures of docs/evaluation.md as JSON-able numbers; NaN where one is not defined for these scenes.

    Raises:
        UserError: the scenes share no frame.
    """
    a, b = common(scene.camera.frame, truth.camera.frame)
    if not len(a):
        raise UserError("no_common_frames", "The two scenes share no frame.", "Compare scenes of the same video.")
    estimates = [points for person in scene.people if (points := person_points(person, scene.camera)) is not None]
    truths = [points for person in truth.people if (points := person_points(person, truth.camera)) is not None]
    pairs = match_people(estimates, truths)
    trajectory = metrics.trajectory_error(
        scene.camera.world_from_camera[a, :3, 3],
        truth.camera.world_from_camera[b, :3, 3],
        scene.camera.world_from_camera[a, :3, :3],
        truth.camera.world_from_camera[b, :3, :3],
    )
    depth = _depth(scene, truth)
    moves = trajectory.spread >= _LEAST_SPREAD
    result: dict[str, Any] = {
        "frames": len(a),
        "camera": {
            "ate_m": trajectory.rmse,
            "ate_scaled_m": trajectory.rmse_scaled,
            "ate_percent_of_path": 100.0 * trajectory.rmse / trajectory.path if moves else float("nan"),
            "path_m": trajectory.path,
            "rotation_degrees": metrics.rotation_error(
                scene.camera.world_from_camera[a, :3, :3], truth.camera.world_from_camera[b, :3, :3]
            ),
            "focal_percent": 100.0
            * float(np.abs(np.log(scene.camera.intrinsics[a, 0] / truth.camera.intrinsics[b, 0])).mean()),
        },
        "scale": _scale(trajectory, depth, moves),
        "people": _people(pairs, len(estimates), len(truths), truth),
        "persons": [_one_person(pair) for pair in pairs],
        "contact": _contact(pairs),
        "depth": {
            "abs_rel": depth.abs_rel,
            "rmse_m": depth.rmse,
            "delta_125": depth.delta,
        },
        "place": _place(scene, truth, trajectory, pairs, moves),
    }
    return result


def _scale(trajectory: metrics.TrajectoryError, depth: metrics.DepthFigures, moves: bool) -> dict[str, Any]:
    factor = trajectory.scale if moves else depth.ratio
    known = np.isfinite(factor) and factor > 0.0
    return {
        "error_percent": metrics.scale_error(factor) if known else float("nan"),
        "true_over_estimate": float(factor),
        "measured_from": "camera centres" if moves else "depth",
    }


def _mean(parts: list[Array]) -> float:
    values = np.concatenate([part.reshape(-1) for part in parts]) if parts else np.zeros(0)
    return float(values.mean()) if len(values) else float("nan")


def _shared(pair: tuple[PersonPoints, PersonPoints]) -> tuple[Array, Array]:
    a, b = common(pair[0].frame, pair[1].frame)
    seen = pair[0].seen[a] & pair[1].seen[b]
    return a[seen], b[seen]


def _time(truth: Scene4D, frames: Array) -> Array:
    return np.asarray(truth.camera.time[np.searchsorted(truth.camera.frame, frames)])


def _people(pairs: list[tuple[PersonPoints, PersonPoints]], found: int, known: int, truth: Scene4D) -> dict[str, Any]:
    """Pooled over all frames of all matched people."""
    rows: dict[str, list[Array]] = {name: [] for name in ("wa", "w", "pa", "mp", "pve", "slide", "plate", "share")}
    roots, jitters, true_jitters = [], [], []
    fps = truth.source.fps_num / truth.source.fps_den
    for pair in pairs:
        estimate, other = pair
        a, b = _shared(pair)
        if not len(a):
            continue
        rows["wa"].append(metrics.wa_mpjpe(estimate.joints[a], other.joints[b]))
        rows["w"].append(metrics.w_mpjpe(estimate.joints[a], other.joints[b]))
        rows["pa"].append(metrics.pa_mpjpe(estimate.joints[a], other.joints[b]))
        rows["mp"].append(metrics.mpjpe(estimate.camera_joints[a], other.camera_joints[b]))
        rows["pve"].append(_vertex_error(pair, a, b))
        rows["slide"].append(metrics.foot_sliding(estimate.feet[a], other.feet[b], _time(truth, other.frame[b])))
        plate = np.linalg.norm(estimate.plate[a] - other.plate[b], axis=-1)
        rows["plate"].append(plate)
        rows["share"].append(100.0 * plate / other.size[b, None])
        roots.append(metrics.root_translation_error(estimate.joints[a, 0], other.joints[b, 0]))
        jitters.append(metrics.jitter(estimate.joints[a], fps))
        true_jitters.append(metrics.jitter(other.joints[b], fps))
    return {
        "found": found,
        "known": known,
        "matched": len(pairs),
        "wa_mpjpe_mm": _mean(rows["wa"]),
        "w_mpjpe_mm": _mean(rows["w"]),
        "rte_percent": float(np.mean(roots)) if roots else float("nan"),
        "pa_mpjpe_mm": _mean(rows["pa"]),
        "mpjpe_mm": _mean(rows["mp"]),
        "pve_mm": _mean(rows["pve"]),
        "jitter_10m_s3": float(np.mean(jitters)) if jitters else float("nan"),
        "true_jitter_10m_s3": float(np.mean(true_jitters)) if true_jitters else float("nan"),
        "foot_sliding_mm": _mean(rows["slide"]),
        "plate_px": _mean(rows["plate"]),
        "plate_percent_of_height": _mean(rows["share"]),
    }


def _one_person(pair: tuple[PersonPoints, PersonPoints]) -> dict[str, Any]:
    estimate, other = pair
    a, b = _shared(pair)
    share = np.linalg.norm(estimate.plate[a] - other.plate[b], axis=-1) / other.size[b, None]
    return {
        "estimate": estimate.person.id,
        "truth": other.person.id,
        "frames": len(a),
        "reliable": estimate.person.reliable,
        "height_m": estimate.person.height,
        "true_height_m": other.person.height,
        "wa_mpjpe_mm": _mean([metrics.wa_mpjpe(estimate.joints[a], other.joints[b])]) if len(a) else float("nan"),
        "plate_percent_of_height": _mean([100.0 * share]),
    }


def _vertex_error(pair: tuple[PersonPoints, PersonPoints], a: Array, b: Array) -> Array:
    """PVE (M,) mm on every tenth frame, pelves laid on each other; empty where the meshes differ."""
    estimate, other = pair
    if len(estimate.model.v_template) != len(other.model.v_template):
        return np.zeros(0)
    errors = []
    for x, y in list(zip(a, b, strict=True))[::_VERTEX_EVERY]:
        turned = []
        for points, at in ((estimate, x), (other, y)):
            person = points.person
            vertices, joints = points.model.skin(person.betas, person.poses[at], person.trans[at])
            # Camera axes, as MPJPE: the turn of the world must not count.
            fit = align(joints, points.camera_joints[at], with_scale=False)
            turned.append(fit.apply(vertices) - points.camera_joints[at][0])
        errors.append(1000.0 * np.linalg.norm(turned[0] - turned[1], axis=-1))
    return np.concatenate(errors) if errors else np.zeros(0)


def _contact(pairs: list[tuple[PersonPoints, PersonPoints]]) -> dict[str, Any]:
    estimates: dict[str, list[Array]] = {}
    truths: dict[str, list[Array]] = {}
    for pair in pairs:
        a, b = _shared(pair)
        for column, region in enumerate(pair[1].person.contact_regions):
            if region not in pair[0].person.contact_regions:
                continue
            own = pair[0].person.contact_regions.index(region)
            estimates.setdefault(region, []).append(pair[0].person.contact[a, own] >= _CONTACT_LEAST)
            truths.setdefault(region, []).append(pair[1].person.contact[b, column] >= _CONTACT_LEAST)
    result = {}
    for region, labels in estimates.items():
        known = np.concatenate(truths[region])
        found = np.concatenate(labels)
        if known.any() or found.any():
            figures = metrics.contact_figures(found, known)
            result[region] = {"precision": figures.precision, "recall": figures.recall, "f1": figures.f1}
    return result


# --- place -----------------------------------------------------------------------------------------------------------


def _depth(scene: Scene4D, truth: Scene4D) -> metrics.DepthFigures:
    """Depth maps of the frames that both have, on pixels that are nobody."""
    if scene.folder is None or truth.folder is None:
        return metrics.depth_figures(np.zeros(0), np.zeros(0))
    values, others = [], []
    for frame in sorted(set(depth_frames(scene.folder)) & set(depth_frames(truth.folder))):
        own, other = read_depth(scene.folder, frame), read_depth(truth.folder, frame)
        rows, columns = np.nonzero(own.depth > 0)
        ray = (np.stack([columns, rows], -1) + 0.5 - own.intrinsics[2:]) / own.intrinsics[:2]
        there = np.floor(ray * other.intrinsics[:2] + other.intrinsics[2:]).astype(int)
        height, width = other.depth.shape
        good = (there >= 0).all(1) & (there[:, 0] < width) & (there[:, 1] < height)
        good &= ~_on_people(truth, frame, ray)
        depth = own.depth[rows[good], columns[good]].astype(np.float64)
        known = other.depth[there[good, 1], there[good, 0]].astype(np.float64)
        values.append(depth[known > 0])
        others.append(known[known > 0])
    if not values:
        return metrics.depth_figures(np.zeros(0), np.zeros(0))
    return metrics.depth_figures(np.concatenate(values), np.concatenate(others))


def _on_people(truth: Scene4D, frame: int, ray: Array) -> Array:
    assert truth.folder is not None
    mask = read_mask(truth.folder, frame)
    if mask is None:
        return np.zeros(len(ray), bool)
    place = int(np.searchsorted(truth.camera.frame, frame))
    rays = np.concatenate([ray, np.ones((len(ray), 1))], 1)
    pixel = project(rays, truth.camera.intrinsics[place], truth.camera.distortion)
    pixel = pixel * np.array([mask.shape[1] / truth.source.width, mask.shape[0] / truth.source.height])
    column = np.clip(pixel[:, 0].astype(int), 0, mask.shape[1] - 1)
    row = np.clip(pixel[:, 1].astype(int), 0, mask.shape[0] - 1)
    return np.asarray(mask[row, column] > 0)


def _seen(points: Array, truth: Scene4D) -> Array:
    """Points (N,3) that any true camera had in its picture (walls in between are not considered)."""
    seen = np.zeros(len(points), bool)
    step = max(1, len(truth.camera.frame) // 20)
    for place in range(0, len(truth.camera.frame), step):
        local = transform(invert_rigid(truth.camera.world_from_camera[place]), points)
        pixel = project(local, truth.camera.intrinsics[place], truth.camera.distortion)
        inside = (pixel >= 0).all(1) & (pixel[:, 0] < truth.source.width) & (pixel[:, 1] < truth.source.height)
        seen |= inside & (local[:, 2] > 0.05)
    return seen


def _place(
    scene: Scene4D,
    truth: Scene4D,
    trajectory: metrics.TrajectoryError,
    pairs: list[tuple[PersonPoints, PersonPoints]],
    moves: bool,
) -> dict[str, Any]:
    cloud = np.asarray(scene.cloud.position, np.float64)
    known = np.asarray(truth.cloud.position, np.float64)
    accuracy = completeness = float("nan")
    voxel = _OUTDOOR_VOXEL
    if len(cloud) and len(known):
        fit = trajectory.alignment
        if not moves:
            first = truth.camera.world_from_camera[0] @ invert_rigid(scene.camera.world_from_camera[0])
            fit = Similarity(1.0, first[:3, :3], first[:3, 3])
        extent = np.ptp(np.percentile(known, [2, 98], axis=0), axis=0).max()
        voxel = _OUTDOOR_VOXEL if extent > _OUTDOOR_EXTENT else _INDOOR_VOXEL
        accuracy, completeness = metrics.chamfer(fit.apply(cloud), known, _seen(known, truth), voxel)
    floating = [metrics.foot_floating(estimate.feet[estimate.seen], cloud) for estimate, _ in pairs]
    inside, depths = 0, []
    for estimate, _ in pairs:
        for at in range(0, len(estimate.frame), _PENETRATION_EVERY):
            person = estimate.person
            vertices, _ = estimate.model.skin(person.betas, person.poses[at], person.trans[at])
            low, high = vertices.min(0), vertices.max(0)
            near = cloud[((cloud > low) & (cloud < high)).all(1)]
            near = near[:: max(1, len(near) // _MOST_ASKED)]
            _, depth = penetration(near, vertices, estimate.model.f)
            inside += len(depth)
            depths.append(depth)
    asked = sum(max(1, len(range(0, len(estimate.frame), _PENETRATION_EVERY))) for estimate, _ in pairs)
    deep = np.concatenate(depths) if depths else np.zeros(0)
    return {
        "chamfer_m": 0.5 * (accuracy + completeness),
        "accuracy_m": accuracy,
        "completeness_m": completeness,
        "voxel_m": voxel,
        "foot_floating_percent": 100.0 * float(np.mean(floating)) if floating else float("nan"),
        "penetration_percent": 100.0 * inside / (asked * len(cloud)) if asked and len(cloud) else float("nan"),
        "penetration_mm": 1000.0 * float(deep.mean()) if len(deep) else 0.0,
    }
