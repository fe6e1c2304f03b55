"""Pictures as the networks take them: scaled as Pillow scales, sides multiples of 16, values in [-1,1]."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from .mast3r import PATCH

Array = NDArray[Any]

#: The public networks were trained on pictures whose longer side has so many pixels.
LONG_SIDE = 512
#: Those of this size see squares.
_SQUARE_SIDE = 224


@dataclass(frozen=True)
class PictureFit:
    """How a video's picture becomes the network's: scaled to ``scaled`` (width, height), of which the window ``cut``
    (left, top, width, height) is taken and brought to ``size`` (width, height).

    source: width and height of the video. All in px; coordinates have their origin at the outer corner.
    """

    source: tuple[int, int]
    scaled: tuple[int, int]
    cut: tuple[int, int, int, int]
    size: tuple[int, int]

    def boxes(self, boxes: Array) -> Array:
        """Boxes (...,4) x0 y0 x1 y1 of the video in the network's picture; they may leave it."""
        scale = np.tile(np.divide(self.scaled, self.source), 2)
        inside = np.clip(np.asarray(boxes, np.float64) * scale, 0.0, np.tile(self.scaled, 2))
        offset, enlarged = self._window()
        return np.asarray((inside - offset) * enlarged, np.float32)

    def intrinsics(self, intrinsics: Array) -> Array:
        """fx fy cx cy (4,) of the video as those of the network's picture."""
        value = np.asarray(intrinsics, np.float64) * np.tile(np.divide(self.scaled, self.source), 2)
        offset, enlarged = self._window()
        value[2:] -= offset[2:]
        return np.asarray(value * enlarged)

    def to_source(self, pixels: Array) -> Array:
        """Pixel coordinates (...,2) of the network's picture as those of the video."""
        offset, enlarged = self._window()
        return np.asarray((pixels / enlarged[:2] + offset[:2]) * np.divide(self.source, self.scaled))

    def source_focal(self, focal: float) -> float:
        """The focal length that the network's picture has, in px of the video."""
        return focal * self.cut[2] / self.size[0] * self.source[0] / self.scaled[0]

    def cut_out(self, mask: Array) -> Array:
        """A mask (H,W) of the video as the network's picture sees it, nearest neighbours."""
        width, height = self.size
        step = np.divide(self.cut[2:], self.size)
        across = (self.cut[0] + (np.arange(width) + 0.5) * step[0]) / self.scaled[0] * mask.shape[1]
        down = (self.cut[1] + (np.arange(height) + 0.5) * step[1]) / self.scaled[1] * mask.shape[0]
        return mask[down.astype(int)[:, None], across.astype(int)]

    def _window(self) -> tuple[Array, Array]:
        left, top, width, height = self.cut
        return np.tile([left, top], 2), np.tile(np.divide(self.size, (width, height)), 2)


def squeezed(width: int, height: int, inner_half: bool = False, long_side: int = LONG_SIDE) -> PictureFit:
    """JOSH3R's rule: the longer side scaled to ``long_side``, each side then squeezed to a multiple of 16, nothing cut
    off; with ``inner_half`` the middle half of each side is enlarged to the whole, as for the public weights."""
    scaled = _scaled(width, height, long_side, max(width, height))
    sides = [max(PATCH, side // PATCH * PATCH) for side in scaled]
    size = (sides[0], sides[1])
    cut = (size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2) if inner_half else (0, 0, *size)
    return PictureFit((width, height), size, cut, size)


def cropped(width: int, height: int, long_side: int = LONG_SIDE) -> PictureFit:
    """MASt3R's rule: the longer side scaled to ``long_side``, the middle cut out so that both sides are multiples of
    16; a square becomes 4:3. At 224 px, the size of small networks, the shorter side is scaled and a square cut out."""
    square = long_side == _SQUARE_SIDE
    scaled = _scaled(width, height, long_side, min(width, height) if square else max(width, height))
    if square:
        half = [min(scaled) // 2] * 2
    else:
        half = [max(1, side // 2 * 2 // PATCH) * PATCH // 2 for side in scaled]
        if scaled[0] == scaled[1]:
            half[1] = 3 * half[0] // 4 // (PATCH // 2) * (PATCH // 2)
    left, top = (side // 2 - part for side, part in zip(scaled, half, strict=True))
    size = (2 * half[0], 2 * half[1])
    return PictureFit((width, height), scaled, (left, top, *size), size)


def network_picture(picture: Array | Tensor, fit: PictureFit, device: str = "cpu") -> Tensor:
    """(H,W,3) uint8 RGB of the video as (3,height,width) in [-1,1]."""
    grows = max(fit.scaled) >= max(fit.source)
    values = torch.as_tensor(picture).to(device)
    scaled = resize(values, *fit.scaled, "bicubic" if grows else "lanczos")
    image = (scaled.permute(2, 0, 1).float() / 255.0 - 0.5) / 0.5
    left, top, width, height = fit.cut
    inner = image[None, :, top : top + height, left : left + width]
    if (width, height) == fit.size:
        return inner[0]
    return functional.interpolate(inner, (fit.size[1], fit.size[0]), mode="bilinear", align_corners=False)[0]


def _scaled(width: int, height: int, wanted: int, side: int) -> tuple[int, int]:
    """Both sides, scaled so that ``side`` becomes ``wanted``."""
    return round(width * wanted / side), round(height * wanted / side)


def resize(picture: Tensor, width: int, height: int, kernel: str) -> Tensor:
    """(H,W,C) uint8 at another size, with Pillow's "lanczos" or "bicubic": rows first, rounded after each direction."""
    across = _weights(picture.shape[1], width, kernel).to(picture.device)
    down = _weights(picture.shape[0], height, kernel).to(picture.device)
    image = _levels(torch.einsum("ow,hwc->hoc", across, picture.float()))
    return _levels(torch.einsum("oh,hwc->owc", down, image)).to(torch.uint8)


def _levels(image: Tensor) -> Tensor:
    return (image + 0.5).floor().clamp(0.0, 255.0)


@lru_cache(maxsize=16)
def _weights(before: int, after: int, kernel: str) -> Tensor:
    """Share (after, before) of each pixel before in each pixel after; the kernel grows as the picture shrinks."""
    ratio = before / after
    stretch = max(ratio, 1.0)
    centre = (torch.arange(after, dtype=torch.float64) + 0.5) * ratio
    distance = (torch.arange(before, dtype=torch.float64) + 0.5 - centre[:, None]) / stretch
    if kernel == "lanczos":
        weight = torch.where(distance.abs() < 3.0, torch.sinc(distance) * torch.sinc(distance / 3.0), 0.0)
    else:
        # Keys' cubic with a = -1/2.
        far, near = distance.abs(), distance.abs() ** 2
        inner = (1.5 * far - 2.5) * near + 1.0
        outer = ((-0.5 * far + 2.5) * far - 4.0) * far + 2.0
        weight = torch.where(far < 1.0, inner, torch.where(far < 2.0, outer, 0.0))
    return (weight / weight.sum(dim=1, keepdim=True)).float()
