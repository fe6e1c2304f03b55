"""The skinned mesh of a person: Basis is the person's shape, beta shape keys are offsets, one Armature modifier."""

from __future__ import annotations

import bpy
import numpy as np

from ..scene4d.body import BodyModel
from ..scene4d.conventions import JOINT_NAMES
from .skeleton import RestShape

BONES_KEY = "josh4d_bones"
JOINTS_KEY = "josh4d_joints"
JOINT_BETAS_KEY = "josh4d_joint_betas"
_MATERIAL_KEY = "josh4d_person_material"
_MODIFIER = "Armature"
_KEY_RANGE = 5.0

#: Colours of people, linear RGB, told apart also by colour-blind eyes (after Okabe and Ito).
_PERSON_COLORS = (
    (0.791, 0.347, 0.0), (0.093, 0.456, 0.815), (0.0, 0.342, 0.171), (0.871, 0.776, 0.055),
    (0.0, 0.168, 0.445), (0.665, 0.112, 0.0), (0.604, 0.191, 0.386),
)  # fmt: skip


def beta_key_name(index: int) -> str:
    """Name of the shape key of a beta."""
    return f"beta{index}"


def person_color(person_id: int) -> tuple[float, float, float, float]:
    """Linear RGBA of a person."""
    red, green, blue = _PERSON_COLORS[(person_id - 1) % len(_PERSON_COLORS)]
    return (red, green, blue, 1.0)


def bone_weights(body: BodyModel) -> tuple[tuple[str, ...], np.ndarray]:
    """Bone names and weights (V,J): the 24 joints, then fingers, which take their share from the hands."""
    weights = body.weights.astype(np.float64)
    if body.finger_names is None or body.finger_parents is None or body.finger_weights is None:
        return JOINT_NAMES, weights
    for finger in range(len(body.finger_names)):
        joint = int(body.finger_parents[finger])
        while joint >= len(JOINT_NAMES):
            joint = int(body.finger_parents[joint - len(JOINT_NAMES)])
        weights[:, joint] -= body.finger_weights[:, finger]
    return (*JOINT_NAMES, *body.finger_names), np.concatenate([weights.clip(0.0), body.finger_weights], axis=1)


def _add_vertex_groups(item: bpy.types.Object, names: tuple[str, ...], weights: np.ndarray) -> None:
    for index, name in enumerate(names):
        group = item.vertex_groups.new(name=name)
        column = weights[:, index].astype(np.float32)
        rows = np.flatnonzero(column > 1e-5)
        if not len(rows):
            continue
        # One call per distinct weight: whole limbs have weight 1.
        values, inverse = np.unique(column[rows], return_inverse=True)
        order = np.argsort(inverse, kind="stable")
        chunks = np.split(rows[order], np.flatnonzero(np.diff(inverse[order])) + 1)
        for value, chunk in zip(values.tolist(), chunks, strict=True):
            group.add(chunk.tolist(), value, "REPLACE")


def _material(name: str, color: tuple[float, float, float, float]) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    material[_MATERIAL_KEY] = True
    if material.node_tree is None:
        material.use_nodes = True
    material.diffuse_color = color
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = color
    shader.inputs["Roughness"].default_value = 0.7
    return material


def _topology(name: str, body: BodyModel) -> bpy.types.Mesh:
    faces = np.ascontiguousarray(body.f, dtype=np.int32)
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(body.v_template))
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, faces.shape[1], dtype=np.int32))
    mesh.update(calc_edges=True)
    return mesh


def write_shape(mesh: bpy.types.Mesh, shape: RestShape) -> None:
    """Write Basis and beta keys of a mesh in place; values of the keys stay as they are."""
    basis = np.ascontiguousarray(shape.vertices, dtype=np.float32)
    mesh.vertices.foreach_set("co", basis.ravel())
    keys = mesh.shape_keys.key_blocks
    keys[0].data.foreach_set("co", basis.ravel())
    for index in range(shape.vertex_betas.shape[2]):
        key = keys.get(beta_key_name(index))
        if key is not None:
            moved = shape.vertices + shape.vertex_betas[:, :, index]
            key.data.foreach_set("co", moved.astype(np.float32).ravel())
    mesh[JOINTS_KEY] = shape.joints.ravel().tolist()
    mesh[JOINT_BETAS_KEY] = shape.joint_betas.ravel().tolist()
    mesh.update()


def create_body(
    name: str, body: BodyModel, shape: RestShape, armature: bpy.types.Object, person_id: int
) -> bpy.types.Object:
    """A new mesh object skinned to an armature, linked to no collection yet."""
    mesh = _topology(name, body)
    item = bpy.data.objects.new(name, mesh)
    names, weights = bone_weights(body)
    _add_vertex_groups(item, names, weights)
    mesh[BONES_KEY] = list(names)
    item.shape_key_add(name="Basis", from_mix=False)
    for index in range(shape.vertex_betas.shape[2]):
        key = item.shape_key_add(name=beta_key_name(index), from_mix=False)
        key.slider_min, key.slider_max = -_KEY_RANGE, _KEY_RANGE
        key.value = 0.0
    return _dress(item, shape, armature, person_id)


def copy_body(
    name: str, template: bpy.types.Object, shape: RestShape, armature: bpy.types.Object, person_id: int
) -> bpy.types.Object:
    """Another person with the same body: topology and weights are copied, which is far faster than writing them."""
    mesh = template.data.copy()
    mesh.name = name
    mesh.materials.clear()
    return _dress(bpy.data.objects.new(name, mesh), shape, armature, person_id)


def _dress(item: bpy.types.Object, shape: RestShape, armature: bpy.types.Object, person_id: int) -> bpy.types.Object:
    mesh = item.data
    write_shape(mesh, shape)
    mesh.shade_smooth()
    color = person_color(person_id)
    item.color = color
    mesh.materials.append(_material(item.name, color))
    item.parent = armature
    modifier = item.modifiers.new(_MODIFIER, "ARMATURE")
    modifier.object = armature
    return item


def beta_values(mesh: bpy.types.Mesh) -> np.ndarray:
    """Values (10,) the artist set on the beta keys."""
    keys = mesh.shape_keys.key_blocks if mesh.shape_keys is not None else {}
    count = len(mesh[JOINT_BETAS_KEY]) // len(mesh[JOINTS_KEY])
    return np.array([keys[beta_key_name(i)].value if beta_key_name(i) in keys else 0.0 for i in range(count)])
