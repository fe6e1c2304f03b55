"""Everything in the open file as plain values and arrays, to compare states of it."""

from __future__ import annotations

import bpy
import numpy as np

#: Kinds of datablocks compared; the others hold screens, brushes and such.
_KINDS = (
    "objects", "meshes", "armatures", "cameras", "actions", "materials", "node_groups", "collections", "movieclips",
    "texts", "scenes",
)  # fmt: skip
_SIMPLE = {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"}
#: What the session or drawing decides, not the file; deprecated properties.
_PASSING = {
    "session_uid", "users", "use_extra_user", "is_evaluated", "is_updated", "is_updated_data", "frame_current_final",
    "use_nodes",
}  # fmt: skip


def _simple(struct: bpy.types.bpy_struct) -> dict[str, object]:
    """The plain properties of a struct, and what its pointers point to by name."""
    found: dict[str, object] = {}
    for one in struct.bl_rna.properties:
        name = one.identifier
        if name in _PASSING or name == "rna_type":
            continue
        try:
            value = getattr(struct, name)
        except (AttributeError, RuntimeError, ValueError):
            continue
        if one.type in _SIMPLE:
            found[name] = np.array(value).ravel().tolist() if getattr(one, "is_array", False) else value
        elif one.type == "POINTER" and isinstance(value, bpy.types.ID):
            found[name] = f"{value.id_type} {value.name_full}"
    return {name: sorted(value) if isinstance(value, set) else value for name, value in found.items()}


def _custom(block: bpy.types.ID) -> dict[str, str]:
    return {key: str(getattr(block[key], "name", block[key])) for key in block.keys() if key.startswith("josh4d")}  # noqa: SIM118


def _array(items: bpy.types.bpy_prop_collection, name: str, width: int) -> np.ndarray:
    values = np.empty(width * len(items), np.float32)
    items.foreach_get(name, values)
    return values


def _mesh(mesh: bpy.types.Mesh) -> dict[str, object]:
    found: dict[str, object] = {"co": _array(mesh.vertices, "co", 3), "faces": len(mesh.polygons)}
    for attribute in mesh.color_attributes:
        found[attribute.name] = _array(attribute.data, "color", 4)
    if mesh.shape_keys is not None:
        for key in mesh.shape_keys.key_blocks:
            found[f"key {key.name}"] = (key.value, _array(key.data, "co", 3))
    found["materials"] = [slot.name if slot else None for slot in mesh.materials]
    return found


def _action(action: bpy.types.Action) -> dict[str, object]:
    return {
        f"{slot.target_id_type} {curve.data_path}[{curve.array_index}]": _array(curve.keyframe_points, "co", 2)
        for layer in action.layers
        for strip in layer.strips
        for slot in action.slots
        for curve in (strip.channelbag(slot).fcurves if strip.channelbag(slot) is not None else ())
    }


def _object(item: bpy.types.Object) -> dict[str, object]:
    data = item.animation_data
    return {
        "modifiers": [_simple(modifier) for modifier in item.modifiers],
        "groups": [group.name for group in item.vertex_groups],
        "action": data.action.name if data is not None and data.action is not None else None,
        "matrix": np.array(item.matrix_world),
        "selected": item.select_get() if item.name in bpy.context.view_layer.objects else None,
    }


def _armature(data: bpy.types.Armature) -> dict[str, object]:
    return {bone.name: np.array(bone.matrix_local) for bone in data.bones}


def _collection(collection: bpy.types.Collection) -> dict[str, object]:
    return {
        "objects": sorted(item.name for item in collection.objects),
        "children": sorted(child.name for child in collection.children),
    }


def _scene(scene: bpy.types.Scene) -> dict[str, object]:
    settings = scene.josh4d_reconstruct
    return {
        "render": _simple(scene.render),
        "collection": _collection(scene.collection),
        "reconstruct": _simple(settings),
        "detected": [_simple(item) for item in settings.detected],
        "active": bpy.context.view_layer.objects.active.name if bpy.context.view_layer.objects.active else None,
    }


_MORE = {
    "objects": _object,
    "meshes": _mesh,
    "armatures": _armature,
    "actions": _action,
    "collections": _collection,
    "scenes": _scene,
    "cameras": lambda data: {"backgrounds": [_simple(one) for one in data.background_images]},
    "texts": lambda text: {"content": text.as_string()},
}


def file_arrays() -> dict[str, object]:
    """All of the file, by kind and name."""
    bpy.context.view_layer.update()
    return {
        f"{kind} {block.name_full}": {
            "simple": _simple(block),
            "custom": _custom(block),
            "more": _MORE[kind](block) if kind in _MORE else None,
        }
        for kind in _KINDS
        for block in getattr(bpy.data, kind)
    }


def differences(first: object, second: object, path: str = "") -> list[str]:
    """Where two states differ; arrays are equal when every number is."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = [*first, *(key for key in second if key not in first)]
        missing = [f"{path}/{key}: only in one" for key in keys if (key in first) != (key in second)]
        return missing + [
            one
            for key in keys
            if key in first and key in second
            for one in differences(first[key], second[key], f"{path}/{key}")
        ]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return [one for index, (a, b) in pairs for one in differences(a, b, f"{path}/{index}")]
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return [] if np.array_equal(first, second) else [f"{path}: arrays differ"]
    return [] if first == second else [f"{path}: {first!r} and {second!r}"]
