"""JOSH3R over the pairs of a clip: every picture is read and encoded once, nothing is kept but the last one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...scene4d.camera import opencv_matrix, rigid
from ..networks.acceleration import Batches, compiled, half_precision
from ..networks.josh3r import Josh3r, rotation_of_rows
from ..networks.mast3r import Tokens
from ..networks.pictures import PictureFit, network_picture
from ..results import Track

Array = NDArray[Any]

#: Pixels that a camera's motion is found from where no person is there; the farthest a point may be off, px.
_PNP_POINTS = 4000
_PNP_ERROR_PX = 4.0
_PNP_LEAST = 50


@dataclass
class PairSeen:
    """What the network says of the frames ``first`` and ``second``.

    motions: by person, the body's motion (4,4) in its own axes. scale: what makes the points metric; nan where nobody
    is in the pair. points (h,w,3) of the first frame's network picture in its camera, unscaled; confidence (h,w) >= 1.
    otherwise: camera_first_from_camera_second (4,4) from the points, unscaled, or None; only where nobody is there.
    """

    first: int
    second: int
    motions: dict[int, Array]
    scale: float
    points: Array
    confidence: Array
    otherwise: Array | None = None


class PairRunner:
    """A network, the way pictures become its own, and the people whose motion is asked for."""

    def __init__(self, network: Josh3r, fit: PictureFit, device: str, batch: int | None = None) -> None:
        self._network, self._fit, self._device = network, fit, device
        self._batches = Batches(device, batch)
        self._encode = compiled(network.mast3r.encode, device)
        self._decode = compiled(network.mast3r.decode, device)
        self._tokens: dict[int, Tokens] = {}

    @torch.inference_mode()
    def run(
        self, steps: Sequence[int], read: Callable[[int], Array], tracks: Sequence[Track], intrinsics: Array
    ) -> Iterator[PairSeen]:
        """The pairs of consecutive ``steps`` in their order.

        Args:
            steps: frame indices, ascending.
            read: gives the picture (H,W,3) uint8 RGB of a frame.
            tracks: the people.
            intrinsics: (4,) of the video.

        Raises:
            UserError: the card's memory is too small.
        """
        pairs = list(itertools.pairwise(steps))
        for seen in self._batches.run(pairs, lambda some: self._look(some, read, tracks, intrinsics)):
            # Only the last picture takes part in what follows.
            self._tokens = {seen[-1].second: self._tokens[seen[-1].second]}
            yield from seen

    def _look(
        self, pairs: Sequence[tuple[int, int]], read: Callable[[int], Array], tracks: Sequence[Track], lens: Array
    ) -> list[PairSeen]:
        self._learn(sorted({frame for pair in pairs for frame in pair}), read)
        rows = [(row, track.id) for row, pair in enumerate(pairs) for track in tracks if _both(track, pair)]
        boxes = np.array(
            [[track.box_on(frame) for frame in pair] for pair in pairs for track in tracks if _both(track, pair)]
        )
        with half_precision(self._device):
            first = self._joined([pair[0] for pair in pairs])
            second = self._joined([pair[1] for pair in pairs])
            levels1, levels2 = self._decode(first, second)
            points, confidence = self._network.mast3r.points(1, levels1, first)
            alone = [row for row in range(len(pairs)) if row not in {number for number, _ in rows}]
            others = None
            if alone:
                others, _ = self._network.mast3r.points(2, [level[alone] for level in levels2], second[alone])
            motions: list[dict[int, Array]] = [{} for _ in pairs]
            scales: list[list[float]] = [[] for _ in pairs]
            if rows:
                chosen = [row for row, _ in rows]
                own = torch.as_tensor(self._fit.boxes(boxes)).to(self._device)
                motion = self._network.motion(
                    first[chosen], second[chosen], levels1[-1][chosen], levels2[-1][chosen], own
                )
                rotation = rotation_of_rows(motion.relative_rotation.float())
                matrices = rigid(_numbers(rotation), _numbers(motion.relative_translation))
                for (row, person), matrix, log_scale in zip(rows, matrices, _numbers(motion.log_scale_1), strict=True):
                    motions[row][person] = matrix
                    scales[row].append(float(log_scale))
        result = []
        for row, pair in enumerate(pairs):
            scale = float(np.exp(np.median(scales[row]))) if scales[row] else float("nan")
            seen = PairSeen(*pair, motions[row], scale, _numbers(points[row]), _numbers(confidence[row]))
            if others is not None and row in alone:
                seen.otherwise = camera_motion(_numbers(others[alone.index(row)]), self._fit.intrinsics(lens))
            result.append(seen)
        return result

    def _learn(self, frames: Sequence[int], read: Callable[[int], Array]) -> None:
        unknown = [frame for frame in frames if frame not in self._tokens]
        if not unknown:
            return
        pictures = torch.stack([network_picture(read(frame), self._fit, self._device) for frame in unknown])
        with half_precision(self._device):
            tokens = self._encode(pictures)
        for row, frame in enumerate(unknown):
            self._tokens[frame] = tokens[row : row + 1]

    def _joined(self, frames: Sequence[int]) -> Tokens:
        parts = [self._tokens[frame] for frame in frames]
        return Tokens(
            torch.cat([part.tokens for part in parts]),
            torch.cat([part.positions for part in parts]),
            parts[0].rows,
            parts[0].columns,
        )


def camera_motion(points: Array, intrinsics: Array) -> Array | None:
    """camera_first_from_camera_second (4,4) from the points (h,w,3) that the second picture's pixels show, in the
    first camera; intrinsics (4,) of the second picture. None where they fit no camera."""
    height, width = points.shape[:2]
    step = max(1, int(np.sqrt(height * width / _PNP_POINTS)))
    rows, columns = np.mgrid[:height:step, :width:step]
    pixel = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float64)
    flat = points[::step, ::step].reshape(-1, 3).astype(np.float64)
    good = np.isfinite(flat).all(axis=1)
    if good.sum() < _PNP_LEAST:
        return None
    solved, turn, shift, inliers = cv2.solvePnPRansac(
        flat[good], pixel[good], opencv_matrix(intrinsics), np.zeros(5), reprojectionError=_PNP_ERROR_PX,
        flags=cv2.SOLVEPNP_SQPNP,
    )  # fmt: skip
    if not solved or inliers is None or len(inliers) < _PNP_LEAST:
        return None
    rotation, _ = cv2.Rodrigues(turn)
    return rigid(rotation.T, -rotation.T @ shift[:, 0])


def _both(track: Track, pair: tuple[int, int]) -> bool:
    return all(track.seen_on(frame) for frame in pair)


def _numbers(values: Tensor) -> Array:
    return values.float().cpu().numpy().astype(np.float64)
