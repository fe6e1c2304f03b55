"""Pre-norm transformer blocks with rotary positions, of encoder and decoder (CroCo v2)."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as functional
from torch import Tensor, nn

from .rope import rotary_tables, rotate

Tables = tuple[Tensor, Tensor]


class Attention(nn.Module):
    """Self-attention over tokens (B,N,C)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, tables: Tables) -> Tensor:
        query, key, value = self.qkv(tokens).reshape(*tokens.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(rotate(query, tables), rotate(key, tables), value)
        return cast(Tensor, self.proj(mixed.transpose(1, 2).flatten(2)))


class CrossAttention(nn.Module):
    """Attention of tokens (B,N,C) to a memory (B,M,C)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projq = nn.Linear(width, width)
        self.projk = nn.Linear(width, width)
        self.projv = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, memory: Tensor, tables: Tables, memory_tables: Tables) -> Tensor:
        query = rotate(self._split(self.projq(tokens)), tables)
        key = rotate(self._split(self.projk(memory)), memory_tables)
        mixed = functional.scaled_dot_product_attention(query, key, self._split(self.projv(memory)))
        return cast(Tensor, self.proj(mixed.transpose(1, 2).flatten(2)))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.reshape(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


class Mlp(nn.Module):
    """Two linear layers with the exact GELU between them."""

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, out)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.fc2(functional.gelu(self.fc1(tokens))))


class EncoderBlock(nn.Module):
    """x += attention(norm1(x)); x += mlp(norm2(x))."""

    def __init__(self, width: int, heads: int, ratio: int = 4, eps: float = 1e-6) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, ratio * width, width)

    def forward(self, tokens: Tensor, tables: Tables) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens), tables)
        return cast(Tensor, tokens + self.mlp(self.norm2(tokens)))


class DecoderBlock(nn.Module):
    """Self-attention, attention to the other view's tokens, MLP; each added to what came in."""

    def __init__(self, width: int, heads: int, ratio: int = 4, eps: float = 1e-6) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads)
        self.cross_attn = CrossAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.norm3 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, ratio * width, width)
        self.norm_y = nn.LayerNorm(width, eps=eps)

    def forward(self, tokens: Tensor, memory: Tensor, tables: Tables, memory_tables: Tables) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens), tables)
        tokens = tokens + self.cross_attn(self.norm2(tokens), self.norm_y(memory), tables, memory_tables)
        return cast(Tensor, tokens + self.mlp(self.norm3(tokens)))


def tables_of(positions: Tensor, width: int, heads: int) -> Tables:
    """Rotary tables for blocks of that width and number of heads."""
    return rotary_tables(positions, width // heads)
