"""Depth maps of a long clip for what needs little of each: some points, or the depth at some rays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results import FramesResult, SceneResult
from ..solver.surfaces import DepthCloud, read_depth_clouds

Array = NDArray[Any]

#: Points of all maps together: ten times as many as a ground is found from.
_POINTS_OF_ALL = 60_000


@dataclass(frozen=True)
class CloudOnDisk(DepthCloud):
    """A depth map of which some points are in memory; ``depth`` (0,0) is not: ``read`` fetches it when depths are asked
    for."""

    read: Callable[[], list[DepthCloud]]

    def depths_at(self, rays: Array) -> Array:
        """As `DepthCloud.depths_at`."""
        return self.read()[0].depths_at(rays)


def clouds_on_disk(
    frames: FramesResult, scene: SceneResult, folder: Path, lens: Array | None = None
) -> list[DepthCloud]:
    """What `read_depth_clouds` gives, with few points each and the maps left on disk: memory does not grow with them.

    lens (F,): how many times as long the focal length is now as when the maps were made.
    """
    most = max(1, _POINTS_OF_ALL // max(len(scene.depth_index), 1))
    nothing = np.zeros((0, 0), np.float32)
    clouds: list[DepthCloud] = []
    for position in np.asarray(scene.depth_index, dtype=int):
        read = partial(read_depth_clouds, frames, replace(scene, depth_index=np.array([position])), folder, lens)
        for cloud in read():
            # A copy: a slice would keep all points alive.
            local = cloud.local[:: max(1, len(cloud.local) // most)].copy()
            clouds.append(
                CloudOnDisk(cloud.frame, cloud.rotation, cloud.centre, local, nothing, cloud.intrinsics, read)
            )
    return clouds
