"""Correspondences of two views from their descriptors (MASt3R, Leroy et al. 2024, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]

#: Distance of the pixels that matching starts from, and of the anchors of a depth map.
GRID = 8
#: Rounds of going back and forth after which a pixel that has not settled is given up.
_ROUNDS = 10
#: Similarities held at once.
_MOST_SIMILARITIES = 50_000_000


def nearest(queries: Tensor, among: Tensor) -> Tensor:
    """Row of ``among`` (N,D) with the largest dot product with each of ``queries`` (M,D): (M,)."""
    step = max(1, _MOST_SIMILARITIES // max(1, len(among)))
    parts = [(queries[start : start + step] @ among.T).argmax(dim=1) for start in range(0, len(queries), step)]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.long, device=queries.device)


def reciprocal(first: Tensor, second: Tensor) -> tuple[Array, Array]:
    """Flat pixels of descriptors (H,W,D) that choose one another, found by going back and forth from a grid in
    ``first`` until the pixels stay; unique, in the order of the first's pixels."""
    height, width = first.shape[:2]
    flat1, flat2 = first.flatten(0, 1), second.flatten(0, 1)
    rows = torch.arange(GRID // 2, height, GRID, device=first.device)
    columns = torch.arange(GRID // 2, width, GRID, device=first.device)
    here = (rows[:, None] * width + columns).flatten()
    there = torch.full_like(here, -1)
    found = []
    for _ in range(_ROUNDS):
        if not len(here):
            break
        answer = nearest(flat1[here], flat2)
        settled = answer == there
        found.append(torch.stack([here[settled], answer[settled]]))
        here, there = here[~settled], answer[~settled]
        back = nearest(flat2[there], flat1)
        settled = back == here
        found.append(torch.stack([here[settled], there[settled]]))
        here, there = back[~settled], there[~settled]
    pairs = torch.unique(torch.cat(found, dim=1), dim=1)
    return pairs[0].cpu().numpy(), pairs[1].cpu().numpy()


def correspondences(
    passes: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]],
) -> tuple[Array, Array, Array]:
    """Matches of two pictures from both decoder passes.

    Args:
        passes: per pass the descriptors (H,W,D) of picture 1 and of picture 2, and their confidences (H,W).

    Returns:
        pixels (M,2) x y of picture 1 and of picture 2, integers, and confidences (M,), in the order of the pixels.
        A match found more than once has the confidence of the first time.
    """
    width1, width2 = passes[0][0].shape[1], passes[0][1].shape[1]
    firsts, seconds, confidences = [], [], []
    for descriptor1, descriptor2, confidence1, confidence2 in passes:
        for forward in (True, False):
            if forward:
                one, two = reciprocal(descriptor1, descriptor2)
            else:
                two, one = reciprocal(descriptor2, descriptor1)
            firsts.append(one)
            seconds.append(two)
            value1 = confidence1.flatten().cpu().numpy()[one]
            confidences.append(np.sqrt(value1 * confidence2.flatten().cpu().numpy()[two]))
    pairs = np.stack([np.concatenate(firsts), np.concatenate(seconds)], axis=1)
    unique, first = np.unique(pairs, axis=0, return_index=True)
    pixels1 = np.stack([unique[:, 0] % width1, unique[:, 0] // width1], axis=1)
    pixels2 = np.stack([unique[:, 1] % width2, unique[:, 1] // width2], axis=1)
    return pixels1, pixels2, np.concatenate(confidences)[first]
