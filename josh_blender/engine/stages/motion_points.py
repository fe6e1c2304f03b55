"""Scene points for a joint solve that begins with JOSH3R's path: corners followed through the key frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results import FramesResult, SceneResult
from ..sfm import motion
from ..sfm.given import triangulate
from ..video.reader import FrameReader
from .scene_shot import read_pictures

Array = NDArray[Any]

#: Width of the pictures in which corners are followed, px.
_WIDTH = 960


def scene_points(frames: FramesResult, scene: SceneResult, people_folder: Path, reader: FrameReader) -> SceneResult:
    """The scene with points that its cameras agree on, and their sightings."""
    keyframe = [int(index) for index in scene.keyframe]
    pictures = read_pictures(reader, frames, people_folder, keyframe, _WIDTH, streamed=True)
    flow = motion.background_flow(pictures.grey, pictures.people, pictures.scale)
    poses = np.asarray(scene.world_from_camera)[keyframe]
    mapping = triangulate(flow, np.array(keyframe), poses, np.asarray(scene.intrinsics)[keyframe], scene.distortion)
    return replace(
        scene,
        points=mapping.points,
        point_color=np.full((len(mapping.points), 3), 128, np.uint8),
        observation_keyframe=mapping.observation_keyframe,
        observation_point=mapping.observation_point,
        observation_pixel=mapping.observation_pixel,
    )
