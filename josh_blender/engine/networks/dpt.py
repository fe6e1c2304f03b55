"""Dense prediction head on transformer tokens (DPT, Ranftl et al. 2021), in the form that DUSt3R uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn


class _ResidualUnit(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.conv2(functional.relu(self.conv1(functional.relu(image))))) + image


class _Fusion(nn.Module):
    """Adds a finer level to what comes from the coarser ones, and doubles the size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(width, width, 1)
        self.resConfUnit1 = _ResidualUnit(width)
        self.resConfUnit2 = _ResidualUnit(width)

    def forward(self, image: Tensor, skip: Tensor | None = None) -> Tensor:
        if skip is not None:
            image = image + self.resConfUnit1(skip)
        return cast(Tensor, self.out_conv(_double(self.resConfUnit2(image))))


class _Scratch(nn.Module):
    def __init__(self, levels: Sequence[int], width: int) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(level, width, 3, padding=1, bias=False) for level in levels]
        self.layer1_rn, self.layer2_rn, self.layer3_rn, self.layer4_rn = convolutions
        # The public files hold these four under both names.
        self.layer_rn = nn.ModuleList(convolutions)
        self.refinenet1 = _Fusion(width)
        self.refinenet2 = _Fusion(width)
        self.refinenet3 = _Fusion(width)
        self.refinenet4 = _Fusion(width)


class DptHead(nn.Module):
    """Maps (B,out,H,W) from four levels of tokens (B,N,C_k) of an image of H x W px in patches of 16."""

    def __init__(
        self,
        token_widths: Sequence[int],
        level_widths: Sequence[int] = (96, 192, 384, 768),
        width: int = 256,
        last_width: int = 128,
        out: int = 4,
    ) -> None:
        super().__init__()
        self.scratch = _Scratch(level_widths, width)
        first, second, _, fourth = level_widths
        reduce = [nn.Conv2d(tokens, level, 1) for tokens, level in zip(token_widths, level_widths, strict=True)]
        self.act_postprocess = nn.ModuleList(
            [
                nn.Sequential(reduce[0], nn.ConvTranspose2d(first, first, 4, stride=4)),
                nn.Sequential(reduce[1], nn.ConvTranspose2d(second, second, 2, stride=2)),
                nn.Sequential(reduce[2]),
                nn.Sequential(reduce[3], nn.Conv2d(fourth, fourth, 3, stride=2, padding=1)),
            ]
        )
        # Entry 1 doubles the size and entry 3 is the ReLU: they have no weights.
        self.head = nn.ModuleList(
            [
                nn.Conv2d(width, last_width, 3, padding=1),
                nn.Identity(),
                nn.Conv2d(last_width, last_width, 3, padding=1),
                nn.Identity(),
                nn.Conv2d(last_width, out, 1),
            ]
        )

    def forward(self, levels: Sequence[Tensor], rows: int, columns: int) -> Tensor:
        maps = [
            reduce(tokens_to_map(tokens, rows, columns))
            for reduce, tokens in zip(self.act_postprocess, levels, strict=True)
        ]
        scratch = self.scratch
        finest, fine, coarse, coarsest = (
            convolution(image) for convolution, image in zip(scratch.layer_rn, maps, strict=True)
        )
        # An odd number of patches was rounded up when its size was halved.
        path = scratch.refinenet4(coarsest)[..., : coarse.shape[-2], : coarse.shape[-1]]
        path = scratch.refinenet1(scratch.refinenet2(scratch.refinenet3(path, coarse), fine), finest)
        path = functional.relu(self.head[2](_double(self.head[0](path))))
        return cast(Tensor, self.head[4](path))


def tokens_to_map(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """Tokens (B,rows*columns,C), row by row, as (B,C,rows,columns)."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, rows, columns)


def _double(image: Tensor) -> Tensor:
    return functional.interpolate(image, scale_factor=2, mode="bilinear", align_corners=True)


def patches_to_pixels(tokens: Tensor, rows: int, columns: int, patch: int) -> Tensor:
    """(B,N,C*patch*patch) tokens as (B,C,H,W): value c*patch^2 + dy*patch + dx belongs to that pixel of the patch."""
    return torch.pixel_shuffle(tokens_to_map(tokens, rows, columns), patch)
