"""The rest skeleton of a person in Blender: where bones lie and how they turn. Numpy alone.

Armature space: metres, Z up, the person faces -Y in a T-pose, the left hand towards +X, the pelvis above the origin and
the lowest point of the shape at z = 0. SMPL's rest space (Y up, facing +Z) is turned by 90 degrees about X into it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..scene4d.body import BodyModel
from ..scene4d.conventions import JOINT_NAMES, JOINT_PARENTS

ROOT_BONE = "root"
ROOT_BONE_LENGTH = 0.3
BETA_COUNT = 10

#: Turns vectors of SMPL's rest space into armature space.
ARMATURE_FROM_SMPL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])

#: The child a bone points to, where a joint has several children.
_MAIN_CHILD = {"pelvis": "spine1", "spine3": "neck"}
#: Where bones without a child point.
_LEAF_DIRECTION = {
    "head": (0.0, 0.0, 1.0),
    "left_foot": (0.0, -1.0, 0.0),
    "right_foot": (0.0, -1.0, 0.0),
    "left_hand": (1.0, 0.0, 0.0),
    "right_hand": (-1.0, 0.0, 0.0),
}
_FORWARD = np.array([0.0, -1.0, 0.0])
_UP = np.array([0.0, 0.0, 1.0])
_SHORTEST_BONE = 0.01


@dataclass
class RestSkeleton:
    """Bones below ``root`` at rest, the 24 SMPL joints first, then the fingers, in armature space.

    names (J,); parents (J,) index, -1 hangs on ``root``; heads and tails (J,3); z_axes (J,3) where a bone's local Z
    should point: forward for the body (so that X is the hinge of knees and elbows), up for the feet.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    heads: np.ndarray
    tails: np.ndarray
    z_axes: np.ndarray


@dataclass
class RestShape:
    """One person's shape at rest, in armature space.

    vertices (V,3); joints (J,3), 24 SMPL joints then fingers; vertex_betas (V,3,10) and joint_betas (J,3,10): what one
    unit more of a beta moves, so that the pelvis stays above the origin and the soles stay on the ground;
    offset (3,): armature space = ARMATURE_FROM_SMPL @ SMPL rest space + offset.
    """

    vertices: np.ndarray
    joints: np.ndarray
    vertex_betas: np.ndarray
    joint_betas: np.ndarray
    offset: np.ndarray


def _to_armature(points: np.ndarray) -> np.ndarray:
    return points @ ARMATURE_FROM_SMPL.T


def _regressor(body: BodyModel) -> np.ndarray:
    if body.finger_regressor is None:
        return body.J_regressor
    return np.concatenate([body.J_regressor, body.finger_regressor])


def rest_shape(body: BodyModel, betas: np.ndarray) -> RestShape:
    """The rest shape of a body with betas (B,), standing on the ground."""
    used = min(len(betas), body.shapedirs.shape[2])
    directions = body.shapedirs[:, :, :used].astype(np.float64)
    vertices = _to_armature(body.v_template + directions @ np.asarray(betas[:used], dtype=np.float64))
    regressor = _regressor(body).astype(np.float64)
    joints = regressor @ vertices
    lowest = int(np.argmin(vertices[:, 2]))
    offset = np.array([-joints[0, 0], -joints[0, 1], -vertices[lowest, 2]])

    count = min(BETA_COUNT, used)
    vertex_betas = ARMATURE_FROM_SMPL @ directions[:, :, :count]
    joint_betas = (regressor @ vertex_betas.reshape(len(vertices), -1)).reshape(len(joints), 3, count)
    # A beta grows the person from the ground up: without this, a taller shape would sink its feet into the floor.
    shift = np.stack([joint_betas[0, 0], joint_betas[0, 1], vertex_betas[lowest, 2]])
    return RestShape(vertices + offset, joints + offset, vertex_betas - shift, joint_betas - shift, offset)


def _vertex_reach(body: BodyModel, index: int, head: np.ndarray, direction: np.ndarray, vertices: np.ndarray) -> float:
    owned = vertices[body.weights[:, index] > 0.5]
    return float(np.max((owned - head) @ direction)) if len(owned) else 0.0


def rest_skeleton(body: BodyModel, shape: RestShape) -> RestSkeleton:
    """Bones that point to their child; leaves reach to the end of the vertices they move."""
    names: list[str] = list(JOINT_NAMES)
    parents: list[int] = list(JOINT_PARENTS)
    if body.finger_names is not None and body.finger_parents is not None:
        names += list(body.finger_names)
        parents += [int(parent) for parent in body.finger_parents]
    heads = shape.joints
    tails = np.empty_like(heads)
    z_axes = np.empty_like(heads)
    for index, name in enumerate(names):
        children = [child for child, parent in enumerate(parents) if parent == index]
        if name in _LEAF_DIRECTION:
            direction = np.array(_LEAF_DIRECTION[name])
            # A hand with fingers ends at its knuckles, other leaves where their vertices end.
            reach = max(
                (float((heads[child] - heads[index]) @ direction) for child in children),
                default=_vertex_reach(body, index, heads[index], direction, shape.vertices),
            )
            tails[index] = heads[index] + direction * max(reach, _SHORTEST_BONE)
        elif children:
            tails[index] = heads[names.index(_MAIN_CHILD[name]) if name in _MAIN_CHILD else children[0]]
        else:
            # The last bone of a finger goes on as the one before it.
            along = heads[index] - heads[parents[index]]
            tails[index] = heads[index] + 0.8 * along
        if np.linalg.norm(tails[index] - heads[index]) < _SHORTEST_BONE:
            tails[index] = heads[index] + _SHORTEST_BONE * _UP
        along = tails[index] - heads[index]
        z_axes[index] = _UP if abs(along @ _FORWARD) > 0.7 * np.linalg.norm(along) else _FORWARD
    return RestSkeleton(tuple(names), tuple(parents), heads, tails, z_axes)
