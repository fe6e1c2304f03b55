"""Fit Skeleton to Shape: rest bones follow the beta shape keys.

Bones keep their orientation and only move and grow, so every action keeps its meaning. The pelvis' channels are offsets
from rest: a person made taller stands taller, with the soles where they were.
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Vector

from ..scene4d.errors import UserError
from .body_mesh import BONES_KEY, JOINT_BETAS_KEY, JOINTS_KEY, beta_values
from .context import edit_bones, object_mode
from .skeleton import ROOT_BONE


def body_of(item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The imported body mesh of a person, from the mesh or its armature."""
    candidates = [] if item is None else [item, *item.children]
    return next((one for one in candidates if one.type == "MESH" and JOINTS_KEY in one.data), None)


def shaped_joints(mesh: bpy.types.Mesh) -> np.ndarray:
    """Joints (J,3) in armature space of the shape that the beta keys show now."""
    joints = np.array(mesh[JOINTS_KEY], dtype=np.float64).reshape(-1, 3)
    directions = np.array(mesh[JOINT_BETAS_KEY], dtype=np.float64).reshape(*joints.shape, -1)
    return joints + directions @ beta_values(mesh)


def _scaled_tails(names: list[str], parents: list[int], old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Factor (J,) by which each bone grows: the mean over its children, for leaves that of its parent."""
    factors = np.ones(len(names))
    for index in range(len(names)):
        children = [child for child, parent in enumerate(parents) if parent == index]
        before = [np.linalg.norm(old[child] - old[index]) for child in children]
        after = [np.linalg.norm(new[child] - new[index]) for child in children]
        if sum(before) > 0.0:
            factors[index] = sum(after) / sum(before)
        elif parents[index] >= 0:
            factors[index] = factors[parents[index]]
    return factors


def fit_skeleton(context: bpy.types.Context, item: bpy.types.Object) -> None:
    """Move the rest bones of a person to the joints of the shape shown.

    Raises:
        UserError: the object is no imported person, or its armature lost its bones.
    """
    body = body_of(item)
    armature = body.parent if body is not None else None
    if body is None or armature is None or armature.type != "ARMATURE":
        raise UserError("not_a_person", "This object is not an imported person.", "Select a person's body or armature.")
    joints = shaped_joints(body.data)
    names = [bone.name for bone in armature.data.bones]
    ordered = [name for name in body.data[BONES_KEY] if name in names]
    if len(ordered) != len(joints):
        raise UserError("missing_bones", f"{armature.name} lost some of its bones.", "Import the scene again.")
    with object_mode(context), edit_bones(context, armature) as bones:
        parents = [
            -1 if bones[name].parent is None or bones[name].parent.name == ROOT_BONE
            else ordered.index(bones[name].parent.name)
            for name in ordered
        ]  # fmt: skip
        old = np.array([bones[name].head for name in ordered])
        factors = _scaled_tails(ordered, parents, old, joints)
        for name, joint, factor in zip(ordered, joints, factors, strict=True):
            bone = bones[name]
            along = (bone.tail - bone.head) * float(factor)
            roll = bone.roll
            bone.head = Vector(joint)
            bone.tail = bone.head + along
            bone.roll = roll
