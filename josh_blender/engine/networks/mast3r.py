"""MASt3R: point maps, confidences and descriptors of two views (Leroy et al., ECCV 2024), in plain torch.

Parameter names are those of the public checkpoint. Points of both views are metres in the camera of view 1 (x right,
y down, z forward).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from .blocks import DecoderBlock, EncoderBlock, Mlp, tables_of
from .dpt import DptHead, patches_to_pixels
from .rope import grid_positions

PATCH = 16


@dataclass(frozen=True)
class Mast3rSizes:
    """Widths of the network; the defaults are those of the public checkpoint."""

    encoder_width: int = 1024
    encoder_depth: int = 24
    encoder_heads: int = 16
    decoder_width: int = 768
    decoder_depth: int = 12
    decoder_heads: int = 12
    descriptor: int = 24
    dpt_levels: tuple[int, int, int, int] = (96, 192, 384, 768)
    dpt_width: int = 256
    dpt_last: int = 128

    @property
    def levels(self) -> tuple[int, int, int, int]:
        """Decoder levels that the heads read; 0 is the encoder's output."""
        depth = self.decoder_depth
        return 0, depth // 2, 3 * depth // 4, depth


@dataclass
class Tokens:
    """What the encoder says of one size of picture: tokens (B,N,C), positions (B,N,2), and rows, columns of patches."""

    tokens: Tensor
    positions: Tensor
    rows: int
    columns: int

    def __getitem__(self, index: slice | Sequence[int] | Tensor) -> Tokens:
        return Tokens(self.tokens[index], self.positions[index], self.rows, self.columns)


@dataclass
class ViewPrediction:
    """One view of a pair. points (B,H,W,3) m in the camera of view 1; confidence (B,H,W) >= 1; descriptor
    (B,H,W,D) of unit length; descriptor_confidence (B,H,W) > 0."""

    points: Tensor
    confidence: Tensor
    descriptor: Tensor
    descriptor_confidence: Tensor


class _PatchEmbedding(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, stride=PATCH)

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.proj(images).flatten(2).transpose(1, 2))


class _Head(nn.Module):
    def __init__(self, sizes: Mast3rSizes) -> None:
        super().__init__()
        encoder, decoder = sizes.encoder_width, sizes.decoder_width
        self.dpt = DptHead([encoder, decoder, decoder, decoder], sizes.dpt_levels, sizes.dpt_width, sizes.dpt_last)
        joined = encoder + decoder
        self.head_local_features = Mlp(joined, 4 * joined, (sizes.descriptor + 1) * PATCH * PATCH)

    def points(self, levels: Sequence[Tensor], rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Points (B,H,W,3) and their confidence (B,H,W)."""
        raw = self.dpt(levels, rows, columns).permute(0, 2, 3, 1)
        distance = raw[..., :3].norm(dim=-1, keepdim=True)
        return raw[..., :3] / distance.clamp(min=1e-8) * torch.expm1(distance), 1.0 + raw[..., 3].exp()

    def descriptors(self, levels: Sequence[Tensor], rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Descriptors (B,H,W,D) and their confidence (B,H,W)."""
        features = self.head_local_features(torch.cat([levels[0], levels[-1]], dim=-1))
        raw = patches_to_pixels(features, rows, columns, PATCH).permute(0, 2, 3, 1)
        descriptor = raw[..., :-1]
        return descriptor / descriptor.norm(dim=-1, keepdim=True), raw[..., -1].exp()


class Mast3r(nn.Module):
    """The network; images are (B,3,H,W) in [-1,1], H and W multiples of 16, portrait as it is."""

    def __init__(self, sizes: Mast3rSizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes = sizes or Mast3rSizes()
        encoder, decoder = sizes.encoder_width, sizes.decoder_width
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder))
        self.patch_embed = _PatchEmbedding(encoder)
        self.enc_blocks = nn.ModuleList(EncoderBlock(encoder, sizes.encoder_heads) for _ in range(sizes.encoder_depth))
        self.enc_norm = nn.LayerNorm(encoder, eps=1e-6)
        self.decoder_embed = nn.Linear(encoder, decoder)
        stacks = [
            nn.ModuleList(DecoderBlock(decoder, sizes.decoder_heads) for _ in range(sizes.decoder_depth))
            for _ in range(2)
        ]
        self.dec_blocks, self.dec_blocks2 = stacks
        self.dec_norm = nn.LayerNorm(decoder, eps=1e-6)
        self.downstream_head1 = _Head(sizes)
        self.downstream_head2 = _Head(sizes)

    def encode(self, images: Tensor) -> Tokens:
        """Tokens of pictures of one size.

        Raises:
            ValueError: a side is no multiple of 16.
        """
        height, width = images.shape[-2:]
        if height % PATCH or width % PATCH:
            raise ValueError(f"the sides {width} x {height} are not multiples of {PATCH}")
        rows, columns = height // PATCH, width // PATCH
        positions = grid_positions(rows, columns, images.device).expand(len(images), -1, -1)
        tables = tables_of(positions, self.sizes.encoder_width, self.sizes.encoder_heads)
        tokens = self.patch_embed(images)
        for block in self.enc_blocks:
            tokens = block(tokens, tables)
        return Tokens(self.enc_norm(tokens), positions, rows, columns)

    def decode(self, first: Tokens, second: Tokens) -> tuple[list[Tensor], list[Tensor]]:
        """Levels of both views: level 0 is the encoder's output, level k the output of block k, the last normalised."""
        sizes = self.sizes
        tables1 = tables_of(first.positions, sizes.decoder_width, sizes.decoder_heads)
        tables2 = tables_of(second.positions, sizes.decoder_width, sizes.decoder_heads)
        tokens1, tokens2 = self.decoder_embed(first.tokens), self.decoder_embed(second.tokens)
        levels1, levels2 = [first.tokens], [second.tokens]
        for block1, block2 in zip(self.dec_blocks, self.dec_blocks2, strict=True):
            # Both read what the level before said of both views.
            tokens1, tokens2 = (
                block1(tokens1, tokens2, tables1, tables2),
                block2(tokens2, tokens1, tables2, tables1),
            )
            levels1.append(tokens1)
            levels2.append(tokens2)
        levels1[-1], levels2[-1] = self.dec_norm(tokens1), self.dec_norm(tokens2)
        return levels1, levels2

    def points(self, view: int, levels: Sequence[Tensor], tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Points (B,H,W,3) of view 1 or 2 in the camera of view 1, and their confidence (B,H,W), in float32."""
        head = self.downstream_head1 if view == 1 else self.downstream_head2
        with torch.autocast(levels[0].device.type, enabled=False):
            return head.points(self._read(levels), tokens.rows, tokens.columns)

    def predict(self, view: int, levels: Sequence[Tensor], tokens: Tokens) -> ViewPrediction:
        """Everything about view 1 or 2 of a pair, in float32."""
        head = self.downstream_head1 if view == 1 else self.downstream_head2
        with torch.autocast(levels[0].device.type, enabled=False):
            read = self._read(levels)
            points, confidence = head.points(read, tokens.rows, tokens.columns)
            return ViewPrediction(points, confidence, *head.descriptors(read, tokens.rows, tokens.columns))

    def forward(self, first: Tensor, second: Tensor) -> tuple[ViewPrediction, ViewPrediction]:
        """Both views of pairs of pictures (B,3,H,W), which may differ in size."""
        tokens1, tokens2 = self.encode(first), self.encode(second)
        levels1, levels2 = self.decode(tokens1, tokens2)
        return self.predict(1, levels1, tokens1), self.predict(2, levels2, tokens2)

    def _read(self, levels: Sequence[Tensor]) -> list[Tensor]:
        return [levels[number].float() for number in self.sizes.levels]
