"""The coloured point cloud as a binary little-endian PLY file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .errors import SceneFormatError
from .scene import PointCloud

#: Clouds above this size are thinned before they are written and refused when they are read.
MOST_POINTS = 5_000_000

_VERTEX = np.dtype(
    [
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("red", "u1"),
        ("green", "u1"),
        ("blue", "u1"),
        ("confidence", "<f4"),
        ("keyframe", "<u2"),
    ]
)
_PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2", "ushort": "<u2",
    "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4", "float": "<f4", "float32": "<f4",
    "double": "<f8", "float64": "<f8",
}  # fmt: skip
_PLY_NAMES = {"f4": "float", "u1": "uchar", "u2": "ushort"}
_MOST_HEADER_BYTES = 65536
_MOST_DIGITS = 20


def write_ply(path: Path, cloud: PointCloud) -> None:
    """Write a cloud of at most `MOST_POINTS` points."""
    vertices = np.empty(len(cloud.position), dtype=_VERTEX)
    for axis, name in enumerate(("x", "y", "z")):
        vertices[name] = cloud.position[:, axis]
    for channel, name in enumerate(("red", "green", "blue")):
        vertices[name] = cloud.color[:, channel]
    vertices["confidence"] = cloud.confidence
    vertices["keyframe"] = cloud.keyframe
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"]
    for name in _VERTEX.names or ():
        lines.append(f"property {_PLY_NAMES[_VERTEX[name].str[1:]]} {name}")
    lines.append("end_header\n")
    with Path(path).open("wb") as file:
        file.write("\n".join(lines).encode("ascii"))
        file.write(vertices.tobytes())


def _parse_header(data: bytes, name: str) -> tuple[int, np.dtype[np.void], int]:
    end = data.find(b"end_header")
    if not data.startswith(b"ply") or end < 0:
        raise SceneFormatError(f"{name} is not a PLY file.")
    start = data.find(b"\n", end) + 1
    count, fields, element = -1, [], ""
    for line in data[:end].decode("ascii", "replace").split("\n"):
        words = line.split()
        if words[:1] == ["format"] and words[1:2] != ["binary_little_endian"]:
            raise SceneFormatError(f"{name} is not a binary little-endian PLY file.")
        if words[:1] == ["element"] and len(words) == 3:
            element = words[1]
            if element != "vertex" and count < 0:
                raise SceneFormatError(f"{name} does not begin with its vertices.")
            if element == "vertex":
                count = int(words[2]) if words[2].isdigit() and len(words[2]) < _MOST_DIGITS else -1
        if words[:1] == ["property"] and element == "vertex":
            if len(words) != 3 or words[1] not in _PLY_TYPES:
                raise SceneFormatError(f"{name} has a vertex property that cannot be read.")
            fields.append((words[2], _PLY_TYPES[words[1]]))
    names = [field_name for field_name, _ in fields]
    if count < 0 or len(set(names)) != len(names) or not {"x", "y", "z"} <= set(names):
        raise SceneFormatError(f"{name} holds no points.")
    return count, np.dtype(fields), start


def count_points(path: Path) -> int:
    """How many points the header of a cloud claims.

    Raises:
        SceneFormatError: not a binary little-endian PLY file with vertices.
    """
    with Path(path).open("rb") as file:
        return _parse_header(file.read(_MOST_HEADER_BYTES), Path(path).name)[0]


def read_ply(path: Path) -> PointCloud:
    """A point cloud; colour defaults to grey, confidence to 1, key frame to 0 where the file has none.

    Raises:
        SceneFormatError: not a binary little-endian PLY file with vertices, cut short, or above `MOST_POINTS`.
    """
    path = Path(path)
    with path.open("rb") as file:
        header = file.read(_MOST_HEADER_BYTES)
        count, dtype, start = _parse_header(header, path.name)
        if count > MOST_POINTS:
            raise SceneFormatError(f"{path.name} claims {count} points; at most {MOST_POINTS} are allowed.")
        # Before memory is taken: a header can claim vertices of any size.
        if path.stat().st_size - start < count * dtype.itemsize:
            raise SceneFormatError(f"{path.name} is cut short.")
        file.seek(start)
        data = file.read(count * dtype.itemsize)
    vertices = np.frombuffer(data, dtype=dtype, count=count)
    names = set(dtype.names or ())
    position = np.stack([vertices[axis].astype(np.float32) for axis in ("x", "y", "z")], axis=-1)
    color = np.full((count, 3), 128, dtype=np.uint8)
    if {"red", "green", "blue"} <= names:
        color = np.stack([vertices[channel].astype(np.uint8) for channel in ("red", "green", "blue")], axis=-1)
    confidence = vertices["confidence"].astype(np.float32) if "confidence" in names else np.ones(count, np.float32)
    keyframe = vertices["keyframe"].astype(np.uint16) if "keyframe" in names else np.zeros(count, np.uint16)
    return PointCloud(position, color, confidence, keyframe)


def thin(cloud: PointCloud, most: int) -> PointCloud:
    """At most ``most`` points of a cloud: each with the same chance, the same ones every time, in their order."""
    if len(cloud.position) <= most:
        return cloud
    kept = np.sort(np.random.default_rng(0).permutation(len(cloud.position))[:most])
    return PointCloud(cloud.position[kept], cloud.color[kept], cloud.confidence[kept], cloud.keyframe[kept])
