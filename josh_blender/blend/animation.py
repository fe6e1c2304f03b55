"""Actions written in bulk, for Blender 4.5 and 5.x (slots, layers, channelbags)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import bpy
import numpy as np

#: A channel that moves less than this over the whole range gets one key.
_CONSTANT = 1e-7
_LINEAR = 1
_DIGEST_KEY = "josh4d_digest"


@dataclass
class Channel:
    """One animated property: values (T,) or (T,N) for N array indices; ``group`` names the channel group."""

    data_path: str
    values: np.ndarray
    group: str


def _write_curve(curve: bpy.types.FCurve, frames: np.ndarray, values: np.ndarray) -> None:
    if np.ptp(values) <= _CONSTANT:
        frames, values = frames[:1], values[:1]
    points = curve.keyframe_points
    points.clear()
    points.add(len(frames))
    points.foreach_set("co", np.stack([frames, values], axis=1).astype(np.float32).ravel())
    points.foreach_set("interpolation", np.full(len(frames), _LINEAR, dtype=np.int32))
    curve.update()


def _slot_of(action: bpy.types.Action, owner: bpy.types.ID) -> bpy.types.ActionSlot:
    for slot in action.slots:
        if slot.target_id_type == owner.id_type:
            return slot
    return action.slots.new(owner.id_type, owner.name)


def channelbag(action: bpy.types.Action, owner: bpy.types.ID) -> bpy.types.ActionChannelbag:
    """Where the curves of an owner live in an action; made where it is missing."""
    slot = _slot_of(action, owner)
    layer = action.layers[0] if action.layers else action.layers.new("Take")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=True)


def _digest(bag: bpy.types.ActionChannelbag) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    for curve in bag.fcurves:
        digest.update(f"{curve.data_path}[{curve.array_index}]{curve.mute}{len(curve.modifiers)}".encode())
        values = np.empty(2 * len(curve.keyframe_points), dtype=np.float32)
        curve.keyframe_points.foreach_get("co", values)
        digest.update(values.tobytes())
        interpolation = np.empty(len(curve.keyframe_points), dtype=np.int32)
        curve.keyframe_points.foreach_get("interpolation", interpolation)
        digest.update(interpolation.tobytes())
    return digest.hexdigest()


def is_written(action: bpy.types.Action) -> bool:
    """Whether `write_action` wrote this action, edited since or not."""
    return _DIGEST_KEY in action


def is_edited(action: bpy.types.Action, owner: bpy.types.ID) -> bool:
    """Whether an action that `write_action` wrote holds other curves or keys now."""
    return action.get(_DIGEST_KEY) != _digest(channelbag(action, owner))


def write_action(action: bpy.types.Action, owner: bpy.types.ID, frames: np.ndarray, channels: list[Channel]) -> None:
    """Replace the curves of an action for an owner by channels at frames (T,), with linear interpolation."""
    bag = channelbag(action, owner)
    bag.fcurves.clear()
    groups = {group.name: group for group in bag.groups}
    for channel in channels:
        group = groups.get(channel.group)
        if group is None:
            group = groups[channel.group] = bag.groups.new(channel.group)
        columns = channel.values if channel.values.ndim == 2 else channel.values[:, None]
        for index in range(columns.shape[1]):
            curve = bag.fcurves.new(channel.data_path, index=index)
            curve.group = group
            _write_curve(curve, frames, columns[:, index])
    action[_DIGEST_KEY] = _digest(bag)


def assign_action(action: bpy.types.Action, owner: bpy.types.ID) -> None:
    """Make an action the current one of its owner, with the owner's slot."""
    data = owner.animation_data or owner.animation_data_create()
    data.action = action
    data.action_slot = _slot_of(action, owner)
