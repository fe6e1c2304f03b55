"""Reads motion capture in the BVH format: a skeleton and a rotation per joint and frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from josh_blender.scene4d.rotations import matrix_from_axis_angle

Array = NDArray[Any]

_MOST_BYTES = 100_000_000
_MOST_JOINTS = 500
_CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")


class BvhError(ValueError):
    """A file that is not BVH, in one sentence."""


@dataclass(frozen=True)
class Bvh:
    """names (J,); parents (J,), -1 for the root; offsets (J,3) from the parent at rest, in the file's unit;
    rotations (T,J,3,3) relative to the parent; root (T,3) position of the first joint; interval in s."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Array
    rotations: Array
    root: Array
    interval: float

    def positions(self) -> Array:
        """Joints (T, J, 3) in the axes of the file."""
        turned, placed = [self.rotations[:, 0]], [self.root]
        for joint in range(1, len(self.names)):
            parent = self.parents[joint]
            placed.append(placed[parent] + turned[parent] @ self.offsets[joint])
            turned.append(turned[parent] @ self.rotations[:, joint])
        return np.stack(placed, axis=1)


def read_bvh(path: Path) -> Bvh:
    """The motion in a BVH file.

    Raises:
        BvhError: not a BVH file, damaged, or larger than any motion capture.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise BvhError(f"{path.name} is too large to be a motion.")
    head, separator, tail = path.read_text("ascii", errors="replace").partition("MOTION")
    if not separator or not head.lstrip().startswith("HIERARCHY"):
        raise BvhError(f"{path.name} is not a BVH file.")
    names, parents, offsets, channels = _hierarchy(iter(head.split()[1:]), path.name)
    words = tail.split()
    try:
        # Frames: N Frame Time: S
        count, interval = int(words[1]), float(words[4])
        values = np.array(words[5:], float)
    except (ValueError, IndexError) as problem:
        raise BvhError(f"{path.name} is damaged: its motion cannot be read.") from problem
    width = sum(len(own) for own in channels)
    if count < 1 or interval <= 0 or values.size != count * width or not np.isfinite(values).all():
        raise BvhError(f"{path.name} is damaged: its motion does not have {count} frames of {width} numbers.")
    return _motion(names, parents, offsets, channels, values.reshape(count, width), interval)


def _hierarchy(words: Iterator[str], label: str) -> tuple[list[str], list[int], list[list[float]], list[list[str]]]:
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[list[str]] = []
    # -1 below the root; None for the ends of chains, which are no joints.
    stack: list[int | None] = []
    try:
        for word in words:
            if word in ("ROOT", "JOINT"):
                parent = stack[-1] if stack else -1
                if parent is None or (word == "ROOT") == bool(stack) or len(names) >= _MOST_JOINTS:
                    raise ValueError(word)
                names.append(next(words))
                parents.append(parent)
                offsets.append([0.0, 0.0, 0.0])
                channels.append([])
                stack.append(len(names) - 1)
                _expect(next(words), "{")
            elif word == "End":
                _expect(next(words), "Site")
                _expect(next(words), "{")
                stack.append(None)
            elif word == "OFFSET":
                offset = [float(next(words)) for _ in range(3)]
                if stack[-1] is not None:
                    offsets[stack[-1]] = offset
            elif word == "CHANNELS":
                own = [next(words) for _ in range(int(next(words)))]
                if stack[-1] is None or not set(own) <= set(_CHANNELS):
                    raise ValueError(word)
                channels[stack[-1]] = own
            else:
                _expect(word, "}")
                stack.pop()
    except (ValueError, IndexError, StopIteration) as problem:
        raise BvhError(f"{label} is damaged: its skeleton cannot be read.") from problem
    if stack or not names or not np.isfinite(offsets).all():
        raise BvhError(f"{label} is damaged: its skeleton is not complete.")
    return names, parents, offsets, channels


def _expect(word: str, wanted: str) -> None:
    if word != wanted:
        raise ValueError(word)


def _motion(
    names: list[str], parents: list[int], offsets: list[list[float]], channels: list[list[str]], values: Array,
    interval: float,
) -> Bvh:  # fmt: skip
    rotations = np.broadcast_to(np.eye(3), (len(values), len(names), 3, 3)).copy()
    root = np.tile(np.array(offsets[0]), (len(values), 1))
    column = 0
    for joint, own in enumerate(channels):
        for channel in own:
            axis = "XYZ".index(channel[0])
            if channel.endswith("rotation"):
                # Channels are applied in their order: the first one outermost.
                turn = np.radians(values[:, column, None]) * np.eye(3)[axis]
                rotations[:, joint] = rotations[:, joint] @ matrix_from_axis_angle(turn)
            elif joint == 0:
                root[:, axis] = values[:, column]
            column += 1
    return Bvh(tuple(names), tuple(parents), np.array(offsets), rotations, root, interval)
