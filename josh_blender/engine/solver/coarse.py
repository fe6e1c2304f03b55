"""People on a few frames a second, and back to all of them.

Cameras, scale, lens and shapes hardly need every frame of a body: a solve on every fifth finds them in a fifth of the
time, and what it found of the bodies, interpolated, is where the solve of all frames begins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import so3
from .state import Body, interpolation

Array = NDArray[Any]


def coarse_frames(time: Array, spacing: float) -> Array:
    """Rows (N,) of times (T,) s that are about ``spacing`` s apart, the first and the last among them."""
    tick = np.floor((time - time[0]) / spacing + 1e-6)
    chosen = np.append(True, np.diff(tick) > 0)
    chosen[-1] = True
    return np.flatnonzero(chosen)


def on_all_frames(body: Body, rows: Array, solved: Body) -> Body:
    """A body of all T frames with the correction that ``solved`` is on ``rows``, interpolated between them."""
    where = torch.as_tensor(rows)
    turn = so3.log(body.rotation[where].transpose(-1, -2) @ solved.rotation)
    move = torch.cat([(solved.trans - body.trans[where]), turn.flatten(1)], -1)
    left, right, share = interpolation(where, len(body.trans))
    between = (1.0 - share)[:, None] * move[left] + share[:, None] * move[right]
    rotation = body.rotation @ so3.exp(between[:, 3:].reshape(len(between), -1, 3))
    return Body(so3.renormalize(rotation), body.trans + between[:, :3], solved.betas)
