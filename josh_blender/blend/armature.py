"""The armature of a person: a ``root`` bone on the ground, the 24 SMPL joints, finger bones where the body has them."""

from __future__ import annotations

import bpy
import numpy as np

from ..scene4d.conventions import JOINT_NAMES
from .context import edit_bones
from .skeleton import ROOT_BONE, ROOT_BONE_LENGTH, RestSkeleton

#: Bone collection -> colour palette of its bones.
_PALETTES = {"Left": "THEME04", "Right": "THEME01", "Centre": "THEME09", "Fingers": "THEME03", "Root": "THEME10"}


def _collection_of(name: str) -> str:
    if name == ROOT_BONE:
        return "Root"
    if name not in JOINT_NAMES:
        return "Fingers"
    side = name.split("_")[0]
    return {"left": "Left", "right": "Right"}.get(side, "Centre")


def write_rest_bones(context: bpy.types.Context, armature: bpy.types.Object, skeleton: RestSkeleton) -> None:
    """Make the bones, or move those that are there; bones the artist added stay."""
    with edit_bones(context, armature) as bones:
        root = bones.get(ROOT_BONE) or bones.new(ROOT_BONE)
        # Along +Y without roll its axes are the world's: its channels read as ground position and heading.
        root.head, root.tail, root.roll = (0.0, 0.0, 0.0), (0.0, ROOT_BONE_LENGTH, 0.0), 0.0
        for index, name in enumerate(skeleton.names):
            bone = bones.get(name) or bones.new(name)
            bone.head, bone.tail = skeleton.heads[index], skeleton.tails[index]
            bone.align_roll(skeleton.z_axes[index])
            parent = skeleton.parents[index]
            bone.parent = root if parent < 0 else bones[skeleton.names[parent]]
        root.use_deform = False


def _organise(armature: bpy.types.Object) -> None:
    data = armature.data
    for bone in data.bones:
        kind = _collection_of(bone.name)
        collection = data.collections.get(kind) or data.collections.new(kind)
        collection.assign(bone)
        bone.color.palette = _PALETTES[kind]
    for bone in armature.pose.bones:
        bone.rotation_mode = "QUATERNION"


def create_armature(context: bpy.types.Context, name: str, skeleton: RestSkeleton) -> bpy.types.Object:
    """A new armature object with bones at rest, linked to no collection yet."""
    armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    write_rest_bones(context, armature, skeleton)
    _organise(armature)
    armature.show_in_front = True
    armature.data.display_type = "OCTAHEDRAL"
    return armature


def rest_rotations(armature: bpy.types.Object) -> np.ndarray:
    """Rest orientations (24,3,3) of the SMPL bones in armature space, as Blender holds them."""
    bones = armature.data.bones
    return np.array([[row[:3] for row in bones[name].matrix_local[:3]] for name in JOINT_NAMES], dtype=np.float64)


def rest_heads(armature: bpy.types.Object) -> np.ndarray:
    """Heads (24,3) of the SMPL bones in armature space."""
    bones = armature.data.bones
    return np.array([bones[name].head_local for name in JOINT_NAMES], dtype=np.float64)
