"""Which part of time the unknowns lie in: pieces of equal length, each eliminated before the next (`arrowhead.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .arrowhead import Cut, row_of
from .problem import Problem

#: Frames of a piece. Shorter ones have more heads, longer ones touch more cameras.
_PIECE = 96


def piece_of_frames(frames: int, device: torch.device) -> Tensor:
    """Number (F,) of the piece of each frame of the video."""
    count = max(1, round(frames / _PIECE))
    return torch.arange(frames, device=device) * count // max(frames, 1)


def piece_of_columns(problem: Problem) -> Tensor:
    """Number (Z,) of the piece of each border column; scale, the one focal and shapes come after all pieces."""
    layout = problem.layout
    keyframe = problem.keyframe
    piece = piece_of_frames(len(problem.initial.cameras.rotation), keyframe.device)
    result = torch.full((layout.size,), int(piece[-1]) + 1, device=keyframe.device)
    if layout.lenses > 1:
        result[layout.FOCAL : layout.camera_start] = piece[keyframe]
    result[layout.camera_start : layout.depth_start] = piece[keyframe].repeat_interleave(6)
    result[layout.depth_start : layout.depth_start + layout.depths] = piece[problem.depth_frame]
    return result


def cut_of(index: Tensor, piece: Tensor, touched: Sequence[tuple[Tensor, Tensor]], columns: int) -> Cut:
    """Cuts somebody's frames, at positions index (T,) of the video's, where its pieces (F,) begin.

    touched: frames (N,) of the chain with the border columns (N,C) that they couple to, of ``columns`` in all.
    """
    own = piece[index]
    start, number = [0], [int(own[0])]
    for first in (torch.nonzero(own[1:] != own[:-1])[:, 0] + 1).tolist():
        even = first + first % 2
        if even < len(own):
            start.append(even)
            number.append(int(own[even]))
    used = torch.zeros(len(start), columns, dtype=torch.bool, device=piece.device)
    for frame, column in touched:
        used[row_of(start, frame)[:, None], column] = True
    slot = torch.where(used, used.cumsum(1) - 1, -1)
    return Cut(start, number, slot)
