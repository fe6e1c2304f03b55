"""``josh4d inspect SCENE``: what a 4D scene holds, in a few lines."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ...scene4d.files import depth_frames, read_scene
from ...scene4d.scene import Person, Scene4D
from ..console import Console


def add_parser(commands: Any) -> None:
    """Add the command's arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "inspect", help="summarise a 4D scene", description="Summarise a 4D scene."
    )
    parser.add_argument("scene", metavar="SCENE", type=Path, help="a folder NAME.scene4d")
    parser.add_argument("--json", action="store_true", help="JSON for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the summary."""
    summary = summarize(read_scene(arguments.scene))
    console.value(summary, as_text(summary))
    return 0


def summarize(scene: Scene4D) -> dict[str, Any]:
    """The figures of a scene: metres, seconds, metres per second, source frame numbers."""
    camera = scene.camera
    centre = camera.world_from_camera[:, :3, 3]
    step = np.linalg.norm(np.diff(centre, axis=0), axis=-1)
    seconds = float(camera.time[-1] - camera.time[0])
    source = scene.source
    return {
        "name": scene.name,
        "source": {
            "name": source.name,
            "size": [source.width, source.height],
            "fps": source.fps_num / source.fps_den,
            "frames": [int(camera.frame[0]), int(camera.frame[-1])],
            "seconds": seconds,
        },
        "camera": {
            "kind": scene.camera_kind,
            "path_length": float(step.sum()),
            "height": float(np.median(centre[:, 2])),
            "focal_px": float(np.median(camera.intrinsics[:, 0])),
            "keyframes": len(camera.keyframe),
        },
        "scale": {"source": scene.scale.source, "sigma": float(scene.scale.sigma)},
        "people": [_person(person, scene) for person in scene.people],
        "cloud_points": len(scene.cloud.position),
        "depth_maps": len(depth_frames(scene.folder)) if scene.folder is not None else 0,
        "quality": scene.quality,
        "warnings": scene.warnings,
        "licences": scene.licences,
    }


def _person(person: Person, scene: Scene4D) -> dict[str, Any]:
    times = scene.camera.time[np.isin(scene.camera.frame, person.frame)]
    seconds = float(times[-1] - times[0]) if len(times) > 1 else 0.0
    path = float(np.linalg.norm(np.diff(person.trans[:, :2], axis=0), axis=-1).sum())
    return {
        "id": person.id,
        "label": person.label,
        "height": float(person.height),
        "frames": [int(person.frame[0]), int(person.frame[-1])],
        "filled_frames": int(np.sum(person.confidence <= 0)),
        "speed": path / seconds if seconds > 0 else 0.0,
        "in_contact": float(np.mean(person.contact.max(axis=1) > 0.5)) if person.contact.size else 0.0,
        "reliable": person.reliable,
        "reason": person.reason,
        "body_id": person.body_id,
    }


def as_text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    source, camera, scale = summary["source"], summary["camera"], summary["scale"]
    lines = [
        summary["name"],
        f"  video    {source['name']}, {source['size'][0]}x{source['size'][1]}, {source['fps']:.3f} fps,"
        f" frames {source['frames'][0]}-{source['frames'][1]} ({source['seconds']:.1f} s)",
        f"  camera   {camera['kind']}, {camera['path_length']:.2f} m long, {camera['height']:.2f} m high,"
        f" focal {camera['focal_px']:.0f} px, {camera['keyframes']} key frames",
        f"  scale    from {scale['source']}, ±{100 * scale['sigma']:.1f} %",
        f"  place    {summary['cloud_points']} points, {summary['depth_maps']} depth maps",
    ]
    if not summary["people"]:
        lines.append("  people   none")
    for person in summary["people"]:
        doubt = "" if person["reliable"] else f"  uncertain: {person['reason']}"
        lines.append(
            f"  {person['label']:<8} {person['height']:.2f} m tall, frames {person['frames'][0]}-{person['frames'][1]},"
            f" {person['speed']:.2f} m/s, {100 * person['in_contact']:.0f} % in contact{doubt}"
        )
    for name, value in summary["quality"].items():
        lines.append(f"  {name}: {value:.4g}" if isinstance(value, int | float) else f"  {name}: {value}")
    lines += [f"  note: {warning}" for warning in summary["warnings"]]
    return "\n".join(lines)
