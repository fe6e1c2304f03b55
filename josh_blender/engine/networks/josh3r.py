"""JOSH3R: the relative motion of a person between two frames, on top of a frozen MASt3R (JOSH, ICLR 2026).

Parameter names are those of the public checkpoint. A person is a token made of the features in the box; a last decoder
block per view relates it to both scenes, and small heads read motion, place and the scale of the point maps from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from .blocks import DecoderBlock, tables_of
from .dpt import tokens_to_map
from .mast3r import PATCH, Mast3r, Mast3rSizes, Tokens

ROI_SIZE = 7
#: Where the person's token stands among the patches: a true rotary position outside the picture.
_PERSON_POSITION = -1
_EPS = 1e-5


@dataclass
class PairMotion:
    """N persons in pairs of views. relative_translation (N,3) m and relative_rotation (N,6) of the body from view 1
    to view 2, in the axes of the body at view 1: t2 = R1 t + t1, R2 = R1 R, where the six numbers are the first two
    rows of R before they are made orthogonal; translation_1, translation_2 (N,3) m, the SMPL translation in each
    view's camera; log_scale_1, log_scale_2 (N,), whose exponential makes each view's own points metric."""

    relative_translation: Tensor
    relative_rotation: Tensor
    translation_1: Tensor
    translation_2: Tensor
    log_scale_1: Tensor
    log_scale_2: Tensor


@dataclass
class PersonTokens:
    """What motion is read from, (N,C) each: the person's token and the scene's strongest features of both views."""

    human_1: Tensor
    human_2: Tensor
    scene_1: Tensor
    scene_2: Tensor


class _RoiRegressor(nn.Module):
    """The features (B,C,7,7) in a box as one token (B,C)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, hidden, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv3 = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(hidden)
        self.fc1 = nn.Linear(hidden * ROI_SIZE * ROI_SIZE, width)
        self.bn_fc1 = nn.BatchNorm1d(width)

    def forward(self, features: Tensor) -> Tensor:
        for convolution, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            features = functional.relu(norm(convolution(features)))
        return cast(Tensor, self.bn_fc1(self.fc1(features.flatten(1))))


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, width)
        self.norm1 = nn.BatchNorm1d(width)
        self.linear2 = nn.Linear(width, width)
        self.norm2 = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(0.5)

    def forward(self, values: Tensor) -> Tensor:
        inner = self.dropout(functional.relu(self.norm1(self.linear1(values))))
        return cast(Tensor, self.dropout(functional.relu(self.norm2(self.linear2(inner)) + values)))


class _Head(nn.Module):
    """values (B,read) to (B,out). Without ``bias`` its last layer starts at zero: no motion, scale 1."""

    def __init__(self, read: int, width: int, out: int, bias: bool = True) -> None:
        super().__init__()
        last = nn.Linear(width, out, bias=bias)
        if not bias:
            nn.init.zeros_(last.weight)
        # Blocks are stored one level deeper than the layers around them.
        self.head_layers = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(read, width), nn.BatchNorm1d(width), nn.ReLU()),
                nn.Sequential(_ResidualBlock(width)),
                nn.Sequential(_ResidualBlock(width)),
                last,
            ]
        )

    def forward(self, values: Tensor) -> Tensor:
        for layer in self.head_layers:
            values = layer(values)
        return values


class Josh3r(nn.Module):
    """The network. ``mast3r`` is its frozen backbone."""

    def __init__(self, sizes: Mast3rSizes | None = None, roi_width: int = 256) -> None:
        super().__init__()
        self.mast3r = Mast3r(sizes)
        width, self.heads = self.mast3r.sizes.decoder_width, self.mast3r.sizes.decoder_heads
        self.human_feat_extractor_1 = _RoiRegressor(width, roi_width)
        self.human_feat_extractor_2 = _RoiRegressor(width, roi_width)
        self.decoder_block_1 = DecoderBlock(width, self.heads, eps=_EPS)
        self.decoder_block_2 = DecoderBlock(width, self.heads, eps=_EPS)
        self.dec_norm = nn.LayerNorm(width, eps=_EPS)
        self.human_head_1 = _Head(width, width, 3)
        self.human_head_2 = _Head(width, width, 3)
        self.rel_trans_head = _Head(4 * width, width, 3, bias=False)
        self.rel_rot_head = _Head(4 * width, width, 6)
        self.scene_head_1 = _Head(width, width, 1, bias=False)
        self.scene_head_2 = _Head(width, width, 1, bias=False)

    def motion(self, first: Tokens, second: Tokens, last1: Tensor, last2: Tensor, boxes: Tensor) -> PairMotion:
        """Motion of one person per row; the arguments are those of `look`."""
        return self.read(self.look(first, second, last1, last2, boxes))

    def look(self, first: Tokens, second: Tokens, last1: Tensor, last2: Tensor, boxes: Tensor) -> PersonTokens:
        """One person per row, in both views.

        Args:
            first, second: the encoder's tokens, for sizes and positions (N rows).
            last1, last2: last decoder levels (N,patches,C) of both views.
            boxes: (N,2,4) x0 y0 x1 y1 of the person in view 1 and view 2, px of the network's pictures.
        """
        tokens1 = self._with_person(self.human_feat_extractor_1, last1, first, boxes[:, 0])
        tokens2 = self._with_person(self.human_feat_extractor_2, last2, second, boxes[:, 1])
        tables1, tables2 = self._tables(first), self._tables(second)
        out1 = self.dec_norm(self.decoder_block_1(tokens1, tokens2, tables1, tables2))
        out2 = self.dec_norm(self.decoder_block_2(tokens2, tokens1, tables2, tables1))
        return PersonTokens(out1[:, -1], out2[:, -1], out1[:, :-1].amax(dim=1), out2[:, :-1].amax(dim=1))

    def read(self, tokens: PersonTokens) -> PairMotion:
        """The motion that the tokens tell."""
        joined = torch.cat([tokens.human_1, tokens.human_2, tokens.scene_1, tokens.scene_2], dim=-1)
        return PairMotion(
            self.rel_trans_head(joined),
            self.rel_rot_head(joined),
            self.human_head_1(tokens.human_1),
            self.human_head_2(tokens.human_2),
            self.scene_head_1(tokens.scene_1)[:, 0],
            self.scene_head_2(tokens.scene_2)[:, 0],
        )

    def forward(self, first: Tensor, second: Tensor, boxes: Tensor) -> tuple[PairMotion, Tensor, Tensor]:
        """Motion, and the points (N,H,W,3) of both views in the camera of view 1, unscaled."""
        tokens1, tokens2 = self.mast3r.encode(first), self.mast3r.encode(second)
        levels1, levels2 = self.mast3r.decode(tokens1, tokens2)
        motion = self.motion(tokens1, tokens2, levels1[-1], levels2[-1], boxes)
        points1, _ = self.mast3r.points(1, levels1, tokens1)
        points2, _ = self.mast3r.points(2, levels2, tokens2)
        return motion, points1, points2

    def start_at_rest(self) -> None:
        """Before training: nobody moves and nobody turns, whatever is seen."""
        last = cast(nn.Linear, self.rel_rot_head.head_layers[-1])
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.eye(3)[:2].flatten())

    def _with_person(self, regressor: nn.Module, last: Tensor, tokens: Tokens, boxes: Tensor) -> Tensor:
        features = sample_box(last, tokens.rows, tokens.columns, boxes)
        return torch.cat([last, regressor(features)[:, None].to(last.dtype)], dim=1)

    def _tables(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        person = torch.full_like(tokens.positions[:, :1], _PERSON_POSITION)
        positions = torch.cat([tokens.positions, person], dim=1)
        return tables_of(positions, self.mast3r.sizes.decoder_width, self.heads)


def sample_box(tokens: Tensor, rows: int, columns: int, boxes: Tensor) -> Tensor:
    """Features (N,C,7,7) on a grid over boxes (N,4) px from edge to edge, both ends included.

    Bilinear between patch centres; beyond the picture the features of its border.
    """
    image = tokens_to_map(tokens, rows, columns)
    steps = torch.linspace(0.0, 1.0, ROI_SIZE, device=boxes.device, dtype=boxes.dtype)
    x = boxes[:, 0:1] + (boxes[:, 2:3] - boxes[:, 0:1]) * steps
    y = boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * steps
    x, y = 2.0 * x / (columns * PATCH) - 1.0, 2.0 * y / (rows * PATCH) - 1.0
    grid = torch.stack([x[:, None, :].expand(-1, ROI_SIZE, -1), y[:, :, None].expand(-1, -1, ROI_SIZE)], dim=-1)
    return functional.grid_sample(image, grid.to(image.dtype), padding_mode="border", align_corners=False)


def rotation_of_rows(six: Tensor) -> Tensor:
    """Rotation matrices (...,3,3) whose first two rows are six numbers (...,6) made orthonormal (Zhou et al. 2019)."""
    first = functional.normalize(six[..., :3], dim=-1)
    second = six[..., 3:] - (first * six[..., 3:]).sum(dim=-1, keepdim=True) * first
    second = functional.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-2)
