"""The strongest tree through all views, by which their first poses are chained."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def strongest_tree(scores: Array) -> tuple[int, list[tuple[int, int]]]:
    """Maximum spanning tree of a symmetric matrix of scores (K,K), 0 where a pair was not looked at.

    Returns:
        the view with the highest sum of scores as root, and edges (parent, child) in the order in which they can be
        walked. Views that nothing connects are not in it.
    """
    root = int(np.argmax(scores.sum(axis=1)))
    best = np.array(scores[root], np.float64)
    parent = np.full(len(scores), root)
    inside = np.zeros(len(scores), bool)
    inside[root] = True
    edges: list[tuple[int, int]] = []
    while True:
        reach = np.where(inside, 0.0, best)
        child = int(np.argmax(reach))
        if reach[child] <= 0.0:
            return root, edges
        edges.append((int(parent[child]), child))
        inside[child] = True
        better = scores[child] > best
        best[better], parent[better] = scores[child][better], child
