"""How much a 4D scene adds to a compressed .blend. The rates were measured on saved files
of three reconstructed scenes."""

from __future__ import annotations

from ..scene4d.summary import SceneSummary

#: Bytes: a file without a scene; a point; a key of one channel; a body of the shipped kind that did not travel.
_FILE, _POINT, _KEY, _DEFAULT_BODY = 86_000, 13.7, 16.3, 1_905_000
#: A person's mesh with its shape keys against the body's own file.
_BODY = 1.04
#: Channels with keys on every frame: 25 rotations and two places of a person; place, rotation and lens of the camera.
_PERSON_CHANNELS, _CAMERA_CHANNELS = 106, 8


def estimate_bytes(summary: SceneSummary, most_points: int | None, people: bool = True, camera: bool = True) -> int:
    """Size of a compressed .blend that holds this scene and nothing else; ``most_points`` as in `ImportOptions`."""
    points = summary.points if most_points is None else min(summary.points, most_points)
    size = _FILE + _POINT * points
    if people:
        size += _KEY * _PERSON_CHANNELS * sum(summary.frames) + _BODY * sum(
            size or _DEFAULT_BODY for size in summary.body_bytes
        )
    if camera:
        size += _KEY * _CAMERA_CHANNELS * max(summary.frames, default=0)
    return int(size)
