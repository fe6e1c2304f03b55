"""What an import may do, and what it says about itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import bpy

#: What is kept in the .blend unless the artist says otherwise.
MOST_POINTS = 2_000_000
#: Points a viewport draws smoothly on a modest machine.
VIEWPORT_POINTS = 300_000


@dataclass
class ImportOptions:
    """Settings of an import.

    start_frame: the Blender frame of the first solved frame.
    retime: place keys by time at the scene's frame rate, for a scene that runs at another rate than the video.
    frame_rate, frame_range, resolution, active_camera: take these settings of the Blender scene from the video; None
        does so only in an empty scene (no animation, at most the camera of the start file). The range of a scene at
        work is extended, never shortened.
    scale: size of the root, on top of the scene's unit scale; only where the root is made.
    most_points: points kept in the file; None keeps all, 0 none.
    viewport_points: points shown in the viewport; only where the cloud is made.
    bring_back: make people, camera and cloud again that the artist deleted.
    """

    start_frame: int = 1
    retime: bool = False
    frame_rate: bool | None = None
    frame_range: bool | None = None
    resolution: bool | None = None
    active_camera: bool | None = None
    scale: float = 1.0
    people: bool = True
    camera: bool = True
    plate: bool = True
    most_points: int | None = MOST_POINTS
    viewport_points: int = VIEWPORT_POINTS
    bring_back: bool = True


@dataclass
class ImportReport:
    """The root empty and what the user should hear; kept names the objects whose keys by the artist were left alone."""

    root: bpy.types.Object
    warnings: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
