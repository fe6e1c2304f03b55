"""How fast a large scene comes into Blender: 5 people x 1000 frames and 1 M points, against raw ``foreach_set``.

Raw is the same arrays, already in memory and in Blender's own units, written by ``foreach_set`` with nothing around it:
key frames of every curve, vertices, faces, shape keys and points. Run it with a bpy environment:

    .venv-bpy45/bin/python bench/import_speed.py [--runs 3] [--people 5] [--frames 1000] [--points 1000000]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import bpy  # noqa: E402
import numpy as np  # noqa: E402
from synthetic_scene import synthetic_scene  # noqa: E402

from josh_blender.blend.importer import import_scene  # noqa: E402
from josh_blender.scene4d.body import load_default_body  # noqa: E402


def collect_arrays() -> dict[str, list[np.ndarray]]:
    """The arrays the importer left in Blender, read back."""
    arrays: dict[str, list[np.ndarray]] = {"curves": [], "vertices": [], "colors": [], "loops": [], "keys": []}
    for action in bpy.data.actions:
        for bag in action.layers[0].strips[0].channelbags:
            for curve in bag.fcurves:
                keys = np.empty(2 * len(curve.keyframe_points), np.float32)
                curve.keyframe_points.foreach_get("co", keys)
                arrays["curves"].append(keys)
    for mesh in bpy.data.meshes:
        positions = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", positions)
        arrays["vertices"].append(positions)
        loops = np.empty(len(mesh.loops), np.int32)
        mesh.loops.foreach_get("vertex_index", loops)
        arrays["loops"].append(loops)
        colors = np.empty(0, np.float32)
        if "displayColor" in mesh.attributes:
            colors = np.empty(4 * len(mesh.vertices), np.float32)
            mesh.attributes["displayColor"].data.foreach_get("color_srgb", colors)
        arrays["colors"].append(colors)
        keys = []
        for block in mesh.shape_keys.key_blocks if mesh.shape_keys else ():
            key = np.empty(3 * len(mesh.vertices), np.float32)
            block.data.foreach_get("co", key)
            keys.append(key)
        arrays["keys"].append(np.array(keys))
    return arrays


def write_raw(arrays: dict[str, list[np.ndarray]]) -> float:
    """Seconds that ``foreach_set`` of the same arrays takes."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    start = time.perf_counter()
    action = bpy.data.actions.new("raw")
    strip = action.layers.new("raw").strips.new(type="KEYFRAME")
    bag = strip.channelbag(action.slots.new("OBJECT", "raw"), ensure=True)
    for index, keys in enumerate(arrays["curves"]):
        points = bag.fcurves.new("location", index=index).keyframe_points
        points.add(len(keys) // 2)
        points.foreach_set("co", keys)
    for positions, loops, colors, keys in zip(
        arrays["vertices"], arrays["loops"], arrays["colors"], arrays["keys"], strict=True
    ):
        mesh = bpy.data.meshes.new("raw")
        mesh.vertices.add(len(positions) // 3)
        mesh.vertices.foreach_set("co", positions)
        mesh.loops.add(len(loops))
        mesh.loops.foreach_set("vertex_index", loops)
        mesh.polygons.add(len(loops) // 3)
        mesh.polygons.foreach_set("loop_start", np.arange(0, len(loops), 3, dtype=np.int32))
        if len(colors):
            mesh.attributes.new("displayColor", "BYTE_COLOR", "POINT").data.foreach_set("color_srgb", colors)
        if len(keys):
            item = bpy.data.objects.new("raw", mesh)
            for key in keys:
                item.shape_key_add(name="raw", from_mix=False).data.foreach_set("co", key)
    return time.perf_counter() - start


def main() -> None:
    """Print seconds of the import, of raw ``foreach_set`` and their ratio, best of the runs."""
    parser = argparse.ArgumentParser(description="Speed of the import against raw foreach_set.")
    parser.add_argument("--people", type=int, default=5)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    settings = parser.parse_args()
    # The walk is made with a small body; the import then gets the shipped one.
    scene = synthetic_scene(people=settings.people, frame_count=settings.frames, points=settings.points)
    body = load_default_body()
    for person in scene.people:
        person.body = body
    ours, raw = [], []
    for _ in range(settings.runs):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        start = time.perf_counter()
        import_scene(bpy.context, scene)
        ours.append(time.perf_counter() - start)
        raw.append(write_raw(collect_arrays()))
    print(
        f"Blender {bpy.app.version_string}: {settings.people} people x {settings.frames} frames, "
        f"{settings.points} points: import {min(ours):.2f} s, raw foreach_set {min(raw):.2f} s, "
        f"ratio {min(ours) / min(raw):.2f}"
    )


if __name__ == "__main__":
    main()
