"""A body does not pass through itself: balls on arms and feet stay out of capsules in trunk and legs.

A ball of radius r around p and a capsule of radius R around the segment from a to b overlap by max(0, r + R - d), with
d the distance of p from the nearest point q = (1 - s) a + s b of the segment. There the derivative by s vanishes, so
dd = n . (dp - (1 - s) da - s db) with n = (p - q) / d. The square of the overlap is C1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...scene4d.body import BodyModel
from ...scene4d.conventions import JOINT_COUNT, JOINT_NAMES
from .body_points import BodyPoints, PosedPoints, body_points, pose, pose_jacobian, shape_jacobian
from .rows import Rows

Array = NDArray[Any]

_TRUNK = ("pelvis", "spine1", "spine2", "spine3")
#: Capsules: the mixes of joints at their ends, and the bones whose skin they lie in. A trunk is wider than deep, so it
#: has one along the spine and one along each flank.
_SPINE = ({"pelvis": 1.0}, {"spine3": 0.4, "neck": 0.6}, _TRUNK)
_LEFT_FLANK = ({"left_hip": 1.0}, {"left_shoulder": 0.5, "neck": 0.5}, _TRUNK)
_LEFT_THIGH = ({"left_hip": 1.0}, {"left_knee": 1.0}, ("left_hip",))
_LEFT_SHANK = ({"left_knee": 1.0}, {"left_ankle": 1.0}, ("left_knee",))
#: Balls around these joints against the capsules above; those of the legs only against the other leg.
_ARM_BALLS = ("elbow", "wrist", "hand")
_LEG_BALLS = ("knee", "ankle", "foot")
#: Skin and flesh give way: radii are those that this share of the skin lies outside of.
_INSIDE = 0.25
_BALL_VERTICES = 40


@dataclass(frozen=True)
class Volume:
    """Q points of a body, and N pairs of a ball around one of them (ball (N,)) and a capsule between two others
    (start, end (N,)), which touch where the ball's centre is reach (N,) metres from the segment."""

    points: BodyPoints
    ball: Tensor
    start: Tensor
    end: Tensor
    reach: Tensor


def body_volume(model: BodyModel, betas: Array) -> Volume:
    """The balls and capsules of a body with betas (B,), with radii measured on its rest mesh."""
    betas = np.asarray(betas, np.float64)
    rest, joints = np.asarray(model.rest_vertices(betas), np.float64), np.asarray(model.joints(betas), np.float64)
    owner = np.asarray(model.weights).argmax(axis=1)
    mixes: list[Array] = []

    def row(mix: dict[str, float]) -> int:
        weights = np.zeros(JOINT_COUNT)
        for name, share in mix.items():
            weights[JOINT_NAMES.index(name)] = share
        mixes.append(weights)
        return len(mixes) - 1

    def capsules(*parts: tuple[dict[str, float], dict[str, float], tuple[str, ...]]) -> list[tuple[int, int, float]]:
        ends = [(row(start), row(end)) for start, end, _ in parts]
        skin = rest[np.isin(owner, [JOINT_NAMES.index(name) for name in parts[0][2]])]
        distance = np.stack([_distance(skin, mixes[a] @ joints, mixes[b] @ joints) for a, b in ends])
        nearest = distance.argmin(0)
        return [(a, b, float(np.quantile(distance[k, nearest == k], _INSIDE))) for k, (a, b) in enumerate(ends)]

    def ball(name: str) -> tuple[int, float]:
        away = np.linalg.norm(rest - joints[JOINT_NAMES.index(name)], axis=1)
        return row({name: 1.0}), float(np.quantile(np.sort(away)[:_BALL_VERTICES], _INSIDE))

    trunk = capsules(_SPINE, _LEFT_FLANK, _mirrored(_LEFT_FLANK))
    legs = {side: capsules(part(_LEFT_THIGH)) + capsules(part(_LEFT_SHANK))
            for side, part in (("left", lambda it: it), ("right", _mirrored))}  # fmt: skip
    balls = {f"{side}_{name}": ball(f"{side}_{name}") for side in legs for name in _ARM_BALLS + _LEG_BALLS}
    pairs = []
    for side, other in (("left", "right"), ("right", "left")):
        solid = trunk + [legs[s][0] for s in legs]
        pairs += [(*balls[f"{side}_{name}"], *capsule) for name in _ARM_BALLS for capsule in solid]
        pairs += [(*balls[f"{side}_{name}"], *legs[other][1]) for name in _LEG_BALLS]
    ball_row, start, end = (torch.tensor([pair[k] for pair in pairs]) for k in (0, 2, 3))
    reach = torch.tensor([radius + other for _, radius, _, _, other in pairs], dtype=torch.float64)
    points = body_points(model, np.zeros((len(mixes), len(rest))), np.stack(mixes), len(betas))
    return Volume(points, ball_row, start, end, reach)


def overlap(volume: Volume, points: Tensor) -> Tensor:
    """How deep each ball is in its capsule (T,N), m, 0 outside; points (T,Q,3) of the volume."""
    _, _, distance = _nearest(volume, points)
    return (volume.reach - distance).clamp(min=0.0)


def overlap_of(volume: Volume, rotation: Tensor, trans: Tensor, betas: Tensor) -> Tensor:
    """`overlap` (T,N) of a posed body, see `pose`."""
    return overlap(volume, pose(volume.points, rotation, trans, betas).points)


def collision_rows(
    volume: Volume, rotation: Tensor, trans: Tensor, betas: Tensor, sigma: float, first_beta: int
) -> Rows:
    """Overlaps above 0 over their sigma in m, as rows; the betas are the border's columns from ``first_beta`` on."""
    posed = pose(volume.points, rotation, trans, betas)
    frame, pair = overlap(volume, posed.points).nonzero(as_tuple=True)
    # Few frames have any: only those are differentiated.
    frames, place = torch.unique(frame, return_inverse=True)
    some = PosedPoints(posed.points[frames], posed.joints[frames], posed.rotation[frames], posed.part[frames])
    share, away, distance = (part[place, pair] for part in _nearest(volume, some.points))
    normal = (away / distance[:, None])[:, None]
    ends = ((volume.ball, torch.ones_like(share)), (volume.start, share - 1.0), (volume.end, -share))

    def slope(jacobian: Tensor) -> Tensor:
        parts = [factor[:, None, None] * (normal @ jacobian[place, row[pair]]) for row, factor in ends]
        return (-torch.stack(parts).sum(0) / sigma)[:, None]

    residual = (volume.reach[pair] - distance) / sigma
    columns = (first_beta + torch.arange(len(betas), device=betas.device)).expand(len(frame), -1)
    by_body, by_betas = pose_jacobian(volume.points, some), shape_jacobian(volume.points, some)
    weight = torch.ones_like(residual)[:, None]
    return Rows(residual[:, None, None], weight, [(frame, slope(by_body))], columns, slope(by_betas))


def _nearest(volume: Volume, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Share s (T,N) of the segment's nearest point, from there to the ball's centre (T,N,3), and how far that is."""
    start, ball = points[:, volume.start], points[:, volume.ball]
    along = points[:, volume.end] - start
    share = (((ball - start) * along).sum(-1) / along.square().sum(-1).clamp(min=1e-12)).clamp(0.0, 1.0)
    away = ball - start - share[..., None] * along
    return share, away, away.norm(dim=-1).clamp(min=1e-6)


def _distance(points: Array, start: Array, end: Array) -> Array:
    along = end - start
    share = np.clip((points - start) @ along / (along @ along), 0.0, 1.0)
    return np.asarray(np.linalg.norm(points - start - share[:, None] * along, axis=1))


def _mirrored(
    capsule: tuple[dict[str, float], dict[str, float], tuple[str, ...]],
) -> tuple[dict[str, float], dict[str, float], tuple[str, ...]]:
    start, end, bones = capsule
    right = [{name.replace("left_", "right_"): share for name, share in mix.items()} for mix in (start, end)]
    return right[0], right[1], tuple(name.replace("left_", "right_") for name in bones)
