"""Pieces of a reconstruction that are right in themselves and stand in the wrong place to one another, put together.

Global positioning starts from random places. On a path around a circle it can end with half of the circle apart: every
point is then seen well from one half, and what both halves see has become two points.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray

Array = NDArray[Any]

#: Matches of two pictures whose two points in space say that the pictures stand wrongly to one another.
_EVIDENCE = 30
#: How far matched points may be from one another, as a share of their distance to the camera.
_TOLERANCE = 0.05
_SEED = 7


@dataclass
class _Pair:
    """Two pictures; ``together`` matches are one point in both, ``apart`` (N,2) are the two points of the others."""

    first: int
    second: int
    together: int
    apart: Array


def _read_pairs(model: Any, database: Path) -> list[_Pair]:
    opened = pycolmap.Database.open(database)
    pair_ids, geometries = opened.read_two_view_geometries()
    opened.close()
    none = 2**63
    point_of = {
        image.image_id: np.array(
            [seen.point3D_id if seen.has_point3D() else none for seen in image.points2D], np.uint64
        )
        for image in model.images.values()
        if image.has_pose
    }
    pairs = []
    for pair_id, geometry in zip(pair_ids, geometries, strict=True):
        first, second = pycolmap.pair_id_to_image_pair(pair_id)
        if first not in point_of or second not in point_of or not len(geometry.inlier_matches):
            continue
        matched = np.asarray(geometry.inlier_matches)
        points = np.stack([point_of[first][matched[:, 0]], point_of[second][matched[:, 1]]], axis=1)
        points = points[(points != none).all(axis=1)]
        same = points[:, 0] == points[:, 1]
        pairs.append(_Pair(first, second, int(same.sum()), points[~same]))
    return pairs


def _pieces(model: Any, pairs: list[_Pair]) -> list[set[int]]:
    """Ids of the pictures that share points more than they contradict each other, the largest piece first.

    Pieces grow where most speaks for it, and only while all matches between two of them taken together do: points at
    infinity are shared by pictures wherever these stand.
    """
    pieces = [{image.image_id} for image in model.images.values() if image.has_pose]
    row_of = {image_id: row for row, piece in enumerate(pieces) for image_id in piece}
    votes = np.zeros((len(pieces), len(pieces)))
    for pair in pairs:
        first, second = row_of[pair.first], row_of[pair.second]
        votes[first, second] += pair.together - len(pair.apart)
        votes[second, first] = votes[first, second]
    while (strongest := int(np.argmax(votes))) and votes.flat[strongest] > 0.0:
        one, other = divmod(strongest, len(pieces))
        pieces[one] |= pieces[other]
        pieces[other] = set()
        votes[one] += votes[other]
        votes[:, one] += votes[:, other]
        votes[other], votes[:, other], votes[one, one] = 0.0, 0.0, 0.0
    return sorted((piece for piece in pieces if piece), key=lambda piece: (-len(piece), min(piece)))


def _centre(model: Any, image_id: int) -> Array:
    return np.asarray(model.images[image_id].projection_center())


def _move(model: Any, piece: set[int], new_from_old: Any) -> None:
    for image_id in piece:
        image = model.images[image_id]
        model.frames[image.frame_id].set_cam_from_world(
            image.camera_id, new_from_old.transform_camera_world(image.cam_from_world())
        )
    for point in model.points3D.values():
        if point.track.elements[0].image_id in piece:
            point.xyz = new_from_old * point.xyz


def _drop_points_between(model: Any, piece: set[int]) -> None:
    """Points seen from inside and from outside of a piece are false before it stands where it belongs."""
    for point_id, point in list(model.points3D.items()):
        inside = [element.image_id in piece for element in point.track.elements]
        if any(inside) and not all(inside):
            model.delete_point3D(point_id)


def _attach(model: Any, main: set[int], piece: set[int], pairs: list[_Pair]) -> bool:
    """Move a piece to where its matches with the main one put it, and make one point of two; whether that worked."""
    _drop_points_between(model, piece)
    depth: dict[tuple[int, int], float] = {}
    for pair in pairs:
        if pair.first in piece and pair.second in main:
            columns = pair.apart[:, ::-1]
        elif pair.first in main and pair.second in piece:
            columns = pair.apart
        else:
            continue
        centre = _centre(model, pair.first if pair.first in main else pair.second)
        for ours, theirs in columns:
            if model.exists_point3D(ours) and model.exists_point3D(theirs):
                depth[int(ours), int(theirs)] = float(np.linalg.norm(model.points3D[int(ours)].xyz - centre))
    matched = list(depth)
    if len(matched) < _EVIDENCE:
        return False
    target, source = (np.array([model.points3D[row[side]].xyz for row in matched]) for side in (0, 1))
    options = pycolmap.RANSACOptions(max_error=_TOLERANCE * float(np.median(list(depth.values()))), random_seed=_SEED)
    found: Any = pycolmap.estimate_sim3d_robust(source, target, options)
    if found is None or found["num_inliers"] < _EVIDENCE:
        return False
    _move(model, piece, found["tgt_from_src"])
    for (ours, theirs), fits in zip(matched, found["inlier_mask"], strict=True):
        if fits and model.exists_point3D(ours) and model.exists_point3D(theirs):
            model.merge_points3D(ours, theirs)
    return True


def join_pieces(model: Any, database: Path, fixed_lens: bool) -> None:
    """Put pieces of a COLMAP reconstruction together in place; those that nothing holds are taken out.

    Pictures belong together where more of their verified matches are one point in space than two points. A piece is
    moved by the similarity between its points and those that they match, matched points become one, and everything
    is adjusted once more. Nothing changes where there is one piece, or no matches speak against how pieces stand.
    """
    pairs = _read_pairs(model, database)
    main, *others = _pieces(model, pairs)
    torn = [pair for pair in pairs if len(pair.apart) >= max(_EVIDENCE, pair.together)]
    joined = False
    while others:
        votes = [
            sum(
                len(pair.apart)
                for pair in torn
                if (pair.first in main and pair.second in piece) or (pair.first in piece and pair.second in main)
            )
            for piece in others
        ]
        best = int(np.argmax(votes))
        if votes[best] == 0:
            break
        piece = others.pop(best)
        if _attach(model, main, piece, pairs):
            joined = True
            main |= piece
        else:
            for image_id in piece:
                model.deregister_frame(model.images[image_id].frame_id)
    if joined:
        lens = not fixed_lens
        manager = pycolmap.ObservationManager(model)
        for _ in range(2):
            pycolmap.bundle_adjustment(
                model,
                pycolmap.BundleAdjustmentOptions(
                    refine_focal_length=lens, refine_extra_params=lens, print_summary=False
                ),
            )
            manager.filter_all_points3D(4.0, 1.0)
        model.update_point_3d_errors()
