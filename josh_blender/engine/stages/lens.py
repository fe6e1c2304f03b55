"""JOSH3R's stage 3: the lens, from the user or from what the network's point maps imply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..feedforward.load import FastNetwork, load_network
from ..networks.acceleration import Batches, half_precision
from ..networks.pictures import network_picture
from ..pairs.focal import focal_of_points
from ..results import FramesResult, SceneResult
from ..video.reader import open_frames

Array = NDArray[Any]

#: Pairs that are asked for the focal length, and how far their frames are apart, s.
_PAIRS = 5
_APART = 0.5


@dataclass(frozen=True)
class LensSettings:
    """focal_px: a known focal length in px of the displayed video; None asks the network."""

    focal_px: float | None = None
    device: str = "cpu"


def run_lens(
    frames: FramesResult,
    settings: LensSettings,
    weights: tuple[Path, Path | None],
    progress: Callable[[int, int], None],
) -> SceneResult:
    """A scene that knows its lens only; its camera stands still.

    Raises:
        UserError: weights that are missing or wrong, or a graphics card with too little memory.
    """
    progress(0, 1)
    width, height = frames.source.width, frames.source.height
    focal = settings.focal_px
    if focal is None:
        focal = _ask(frames, load_network(*weights, settings.device, (width, height)), settings.device)
    count = len(frames.frame)
    none, nowhere = np.zeros(0, np.int32), np.zeros((0, 3))
    progress(1, 1)
    return SceneResult(
        camera_kind="moving",
        keyframe=none,
        world_from_camera=np.tile(np.eye(4), (count, 1, 1)),
        intrinsics=np.tile([focal, focal, width / 2.0, height / 2.0], (count, 1)),
        distortion=np.zeros(5),
        points=nowhere,
        point_color=nowhere.astype(np.uint8),
        observation_keyframe=none,
        observation_point=none,
        observation_pixel=np.zeros((0, 2), np.float32),
        depth_index=none,
        ground=np.zeros(0),
    )


def _ask(frames: FramesResult, fast: FastNetwork, device: str) -> float:
    time, count = np.asarray(frames.time), len(frames.frame)
    first = np.unique(np.linspace(0, count - 1, _PAIRS).astype(int))
    second = np.clip(np.searchsorted(time, time[first] + _APART), 0, count - 1)
    pairs = [(int(one), int(other)) for one, other in zip(first, second, strict=True)]
    with open_frames(frames) as reader:
        return focal_of_pairs(pairs, reader.read, fast, device)


@torch.inference_mode()
def focal_of_pairs(
    pairs: Sequence[tuple[int, int]], read: Callable[[int], Array], fast: FastNetwork, device: str
) -> float:
    """The focal length, px of the video, that the network's points of pairs of frames imply.

    Raises:
        UserError: ``gpu_memory``.
    """
    mast3r = fast.network.mast3r

    def focal(some: Sequence[tuple[int, int]]) -> float:
        pictures = [network_picture(read(frame), fast.fit, device)[None] for frame in some[0]]
        with half_precision(device):
            tokens = [mast3r.encode(picture) for picture in pictures]
            levels, _ = mast3r.decode(*tokens)
            points, _ = mast3r.points(1, levels, tokens[0])
        return fast.fit.source_focal(focal_of_points(points[0].cpu().numpy()))

    return float(np.median(list(Batches(device, 1).run(pairs, focal))))
