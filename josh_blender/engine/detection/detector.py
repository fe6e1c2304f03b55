"""MediaPipe's pose detector: anchors, decoding and non-maximum suppression.

The network (BlazePose, Bazarevsky et al. 2020) sees 224x224 and answers for 2254 anchors with a face box and four
points: middle of the hips, a point that says size and rotation of the whole body, middle of the shoulders, and one
that says those of the upper body. Only the points are used here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .models import POSE_DETECTION, open_model

SIZE = 224
#: Stride of each grid of anchors and the anchors in each of its cells.
_GRIDS = ((8, 2), (16, 2), (32, 6))
_MIN_SCORE = 0.5
_SAME_IOU = 0.3

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Detections:
    """box (N,4) x0 y0 x1 y1 of the face; points (N,4,2): hips, body size, shoulders, upper body size; score (N,)."""

    box: Floats
    points: Floats
    score: Floats

    def __len__(self) -> int:
        return len(self.score)


def make_anchors() -> NDArray[np.float32]:
    """(2254,2) anchor centres in the unit square, in the network's order."""
    grids = []
    for stride, count in _GRIDS:
        cells = SIZE // stride
        centres = (np.arange(cells) + 0.5) / cells
        x, y = np.meshgrid(centres, centres)
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), count, axis=0))
    return np.concatenate(grids).astype(np.float32)


def decode(raw: Floats, logits: Floats, anchors: Floats, min_score: float = _MIN_SCORE) -> Detections:
    """The network's answer (2254,12), (2254,) above ``min_score``, in the unit square of its picture."""
    score = 1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0)))
    keep = score >= min_score
    raw, anchors, score = raw[keep] / SIZE, anchors[keep], score[keep]
    centre, half = raw[:, 0:2] + anchors, raw[:, 2:4] / 2
    points = raw[:, 4:12].reshape(-1, 4, 2) + anchors[:, None]
    return Detections(np.concatenate([centre - half, centre + half], axis=1), points, score)


def box_iou(boxes: Floats, others: Floats) -> NDArray[np.float64]:
    """(N,M) intersection over union of boxes (N,4) and (M,4)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    inside = np.prod(np.clip(high - low, 0, None), axis=2)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)[:, None] + np.prod(others[:, 2:] - others[:, :2], axis=1)[None]
    return inside / np.maximum(area - inside, 1e-9)


def suppress(found: Detections) -> Detections:
    """Weighted non-maximum suppression: overlapping answers become their mean, weighted by score."""
    order = np.argsort(-found.score, kind="stable")
    boxes, points, scores = [], [], []
    while len(order):
        best = order[0]
        same = box_iou(found.box[best : best + 1], found.box[order])[0] > _SAME_IOU
        same[0] = True
        group, order = order[same], order[~same]
        weight = found.score[group] / found.score[group].sum()
        boxes.append(weight @ found.box[group])
        points.append(np.tensordot(weight, found.points[group], axes=1))
        scores.append(found.score[best])
    if not boxes:
        return Detections(np.zeros((0, 4)), np.zeros((0, 4, 2)), np.zeros(0))
    return Detections(np.array(boxes), np.array(points), np.array(scores))


@dataclass(frozen=True)
class Tile:
    """A square part of the plate, px."""

    x: int
    y: int
    side: int


class PoseDetector:
    """The network on one thread; each thread needs its own."""

    def __init__(self) -> None:
        self._model = open_model(POSE_DETECTION)
        self._input = self._model.get_input_details()[0]["index"]
        outputs = self._model.get_output_details()
        self._boxes = next(o["index"] for o in outputs if o["shape"][-1] == 12)
        self._logits = next(o["index"] for o in outputs if o["shape"][-1] == 1)
        self._anchors = make_anchors()

    def detect(self, picture: NDArray[np.uint8], tile: Tile, min_score: float = _MIN_SCORE) -> Detections:
        """People in a tile of an RGB picture, in px of the picture. The tile may reach beyond the picture."""
        height, width = picture.shape[:2]
        scale = SIZE / tile.side
        x0, y0 = max(tile.x, 0), max(tile.y, 0)
        x1, y1 = min(tile.x + tile.side, width), min(tile.y + tile.side, height)
        part = picture[y0:y1, x0:x1]
        inside = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
        left, top = round((x0 - tile.x) * scale), round((y0 - tile.y) * scale)
        inside = (min(inside[0], SIZE - left), min(inside[1], SIZE - top))
        small = np.zeros((SIZE, SIZE, 3), np.uint8)
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small[top : top + inside[1], left : left + inside[0]] = cv2.resize(part, inside, interpolation=interpolation)
        found = self.detect_square(small, min_score)
        corner = np.array([tile.x, tile.y], np.float64)
        return Detections(found.box * tile.side + np.tile(corner, 2), found.points * tile.side + corner, found.score)

    def detect_square(self, picture: NDArray[np.uint8], min_score: float = _MIN_SCORE) -> Detections:
        """People in a (224,224,3) RGB picture, in its unit square."""
        self._model.set_tensor(self._input, (picture.astype(np.float32) / 127.5 - 1.0)[None])
        self._model.invoke()
        raw, logits = self._model.get_tensor(self._boxes)[0], self._model.get_tensor(self._logits)[0, :, 0]
        return suppress(decode(raw, logits, self._anchors, min_score))
