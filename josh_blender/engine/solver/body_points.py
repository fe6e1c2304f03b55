"""Chosen points of a body and their derivatives, without skinning the rest of it.

A *point* is any fixed linear mix of vertices and joints (a landmark, the sole of a heel, a joint). Linear blend
skinning makes it x = sum_k G_k c_k + w_k (P_k - G_k J_k), with G_k the global rotation and P_k the posed position of
joint k, J_k its rest position, c_k the mix of the rest vertices weighted by bone k and w_k the mix of the skinning
weights. Both c_k and J_k are linear in the shape, so x is linear in the betas, and all derivatives have a closed form.

Pose blend shapes are left out: the shipped body has none; on true SMPL they move soles and landmarks by millimetres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...scene4d.body import BodyModel
from ...scene4d.conventions import JOINT_COUNT, JOINT_PARENTS

#: Parameters of a body on one frame: translation, then a local rotation of each of the 24 joints.
BODY_SIZE = 3 + 3 * JOINT_COUNT


@dataclass(frozen=True)
class BodyPoints:
    """P points of a body with B betas: weight (P,24); rest (P,24,3); dirs (P,24,3,B); joints (24,3), (24,3,B).

    ``descends`` (24,24): 1 where joint k lies in the subtree of joint j, itself included.
    """

    weight: Tensor
    rest: Tensor
    dirs: Tensor
    joint_rest: Tensor
    joint_dirs: Tensor
    descends: Tensor


@dataclass(frozen=True)
class PosedPoints:
    """points (T,P,3); joints (T,24,3); rotation (T,24,3,3) global; part (T,P,24,3) what each bone adds to a point."""

    points: Tensor
    joints: Tensor
    rotation: Tensor
    part: Tensor


def body_points(
    model: BodyModel, vertex_mix: NDArray[np.float64], joint_mix: NDArray[np.float64], beta_count: int
) -> BodyPoints:
    """Points as mixes vertex_mix (P,V) of vertices plus joint_mix (P,24) of joints."""
    template = np.asarray(model.v_template, np.float64)
    dirs = np.asarray(model.shapedirs, np.float64)[..., :beta_count]
    regressor = np.asarray(model.J_regressor, np.float64)
    weights = np.asarray(model.weights, np.float64)
    joints = regressor @ template
    joint_dirs = np.tensordot(regressor, dirs, 1)
    share = np.array(joint_mix, np.float64)
    rest = joint_mix[..., None] * joints
    rest_dirs = joint_mix[..., None, None] * joint_dirs
    for row, mix in enumerate(vertex_mix):
        used = np.flatnonzero(mix)
        by_bone = (mix[used, None] * weights[used]).T
        share[row] += by_bone.sum(1)
        rest[row] += by_bone @ template[used]
        rest_dirs[row] += np.tensordot(by_bone, dirs[used], 1)
    descends = np.eye(JOINT_COUNT)
    for child in reversed(range(1, JOINT_COUNT)):
        descends[JOINT_PARENTS[child]] += descends[child]
    arrays = (share, rest, rest_dirs, joints, joint_dirs, descends)
    return BodyPoints(*(torch.as_tensor(array, dtype=torch.float64) for array in arrays))


def vertex_points(model: BodyModel, vertices: NDArray[np.int64], beta_count: int) -> BodyPoints:
    """Vertices (P,) of the body, each by itself."""
    nothing = np.zeros((0, JOINT_COUNT))
    frame = body_points(model, np.zeros((0, len(model.v_template))), nothing, beta_count)
    weight = np.asarray(model.weights, np.float64)[vertices]
    template = np.asarray(model.v_template, np.float64)[vertices]
    dirs = np.asarray(model.shapedirs, np.float64)[vertices][..., :beta_count]
    return replace(
        frame,
        weight=torch.as_tensor(weight),
        rest=torch.as_tensor(weight[..., None] * template[:, None]),
        dirs=torch.as_tensor(weight[..., None, None] * dirs[:, None]),
    )


def stack_points(*sets: BodyPoints) -> BodyPoints:
    """Several sets of points of the same body as one."""
    first = sets[0]
    return BodyPoints(
        torch.cat([s.weight for s in sets]),
        torch.cat([s.rest for s in sets]),
        torch.cat([s.dirs for s in sets]),
        first.joint_rest,
        first.joint_dirs,
        first.descends,
    )


def pose(body: BodyPoints, rotation: Tensor, trans: Tensor, betas: Tensor) -> PosedPoints:
    """Points of T frames: rotation (T,24,3,3) of each joint in its parent, trans (T,3), betas (B,)."""
    rest_joints = body.joint_rest + body.joint_dirs @ betas
    rest = body.rest + body.dirs @ betas
    turns, places = [rotation[:, 0]], [rest_joints[0] + trans]
    for joint in range(1, JOINT_COUNT):
        parent = JOINT_PARENTS[joint]
        turns.append(turns[parent] @ rotation[:, joint])
        places.append(places[parent] + turns[parent] @ (rest_joints[joint] - rest_joints[parent]))
    turn, place = torch.stack(turns, 1), torch.stack(places, 1)
    offset = place - (turn @ rest_joints[..., None])[..., 0]
    part = torch.einsum("tkij,pkj->tpki", turn, rest) + body.weight[None, :, :, None] * offset[:, None]
    return PosedPoints(part.sum(2), place, turn, part)


def pose_jacobian(body: BodyPoints, posed: PosedPoints) -> Tensor:
    """d points / d (trans, R_j <- R_j exp(delta_j)) as (T,P,3,75).

    A turn omega of joint j carries all it bears around P_j: dx = omega x sum_{k below j} (part_k - w_k P_j).
    """
    moment = torch.einsum("tpki,jk->tpji", posed.part, body.descends)
    share = body.weight @ body.descends.T
    arm = moment - share[None, :, :, None] * posed.joints[:, None]
    # Column c of G_j is the axis of delta_j's component c in the camera.
    axes = posed.rotation.transpose(-1, -2)[:, None]
    turn = torch.linalg.cross(axes, arm[:, :, :, None, :].expand(-1, -1, -1, 3, -1), dim=-1)
    frames, count = arm.shape[:2]
    turn = turn.permute(0, 1, 4, 2, 3).reshape(frames, count, 3, 3 * JOINT_COUNT)
    shift = torch.eye(3, dtype=turn.dtype, device=turn.device) * body.weight.sum(1)[:, None, None]
    return torch.cat([shift.expand(frames, -1, -1, -1), turn], -1)


def shape_jacobian(body: BodyPoints, posed: PosedPoints) -> Tensor:
    """d points / d betas as (T,P,3,B)."""
    turn = posed.rotation
    places = [body.joint_dirs[0].expand(len(turn), -1, -1)]
    for joint in range(1, JOINT_COUNT):
        parent = JOINT_PARENTS[joint]
        places.append(places[parent] + turn[:, parent] @ (body.joint_dirs[joint] - body.joint_dirs[parent]))
    offset = torch.stack(places, 1) - turn @ body.joint_dirs
    return torch.einsum("tkij,pkjb->tpib", turn, body.dirs) + torch.einsum("pk,tkib->tpib", body.weight, offset)
