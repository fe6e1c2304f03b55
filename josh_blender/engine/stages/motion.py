"""JOSH3R: the camera's path and everybody in it from network passes over pairs of frames, while the video is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene4d.arrays import write_npz
from ...scene4d.body import BodyModel, load_body, load_default_body
from ..depth.surface_clouds import clouds_on_disk
from ..feedforward.depth_maps import keep_depth
from ..feedforward.load import load_network
from ..feedforward.placement import placed
from ..feedforward.runner import PairRunner, PairSeen
from ..feedforward.trajectory import Trajectory, body_path, pair_steps
from ..preview import people_preview
from ..results import BodiesResult, FramesResult, JointResult, MotionResult, PeopleResult, PersonFit, SceneResult
from ..video.reader import open_frames
from ..video.recent import RecentPictures
from .joint_lens import ground_of
from .motion_points import scene_points
from .scene_shot import read_mask

Array = NDArray[Any]

#: What is shown while the video is still being read, and how often it is written anew, s.
STREAM_NAME = "stream.npz"
_SHOW_EVERY = 2.0
_SHOWN_POINTS = 20_000
#: Relative standard deviation of the size of a result that only the network vouches for (published drift: 13 % of the
#: way).
_SCALE_SIGMA = 0.1


@dataclass(frozen=True)
class MotionSettings:
    """depth_seconds: time between depth maps. refine: find scene points as well, for a joint solve that begins here."""

    device: str = "cpu"
    body: Path | None = None
    depth_seconds: float = 0.2
    refine: bool = False


def run_motion(
    frames: FramesResult,
    people: PeopleResult,
    people_folder: Path,
    scene: SceneResult,
    bodies: BodiesResult,
    settings: MotionSettings,
    weights: tuple[Path, Path | None],
    folder: Path,
    progress: Callable[[int, int], None],
    show: Callable[[Path], None],
) -> MotionResult:
    """The path of a clip whose lens (``scene``) and bodies are known.

    Memory does not grow with the clip beyond poses: pictures and point maps are forgotten once they were used.

    Raises:
        UserError: weights that are missing or wrong, or a graphics card with too little memory.
    """
    model = load_body(settings.body) if settings.body is not None else load_default_body()
    size = (frames.source.width, frames.source.height)
    fast = load_network(*weights, settings.device, size)
    reliable = {track.id: track.reliable for track in people.tracks}
    trusted = {fit.track_id: fit.reliable and reliable[fit.track_id] for fit in bodies.people}
    seconds = np.asarray(frames.time, np.float64)
    trajectory = Trajectory(
        {fit.track_id: body_path(fit, model, trusted[fit.track_id]) for fit in bodies.people}, seconds
    )
    # A single picture is a pair with itself: it has a place, if no path.
    steps = pair_steps(seconds, fast.pair_seconds)
    steps = steps if len(steps) > 1 else [0, 0]
    mapped: list[int] = []
    log_scales: list[float] = []
    scale = 1.0
    stream = _Stream(folder / STREAM_NAME, frames, scene, bodies, model, show)
    lens = fast.fit.intrinsics(np.asarray(scene.intrinsics[0], np.float64))
    progress(0, len(steps) - 1)
    with open_frames(frames) as reader:
        # A pair's first frame is asked for again when its points get their colours.
        pictures = RecentPictures(reader)
        runner = PairRunner(fast.network, fast.fit, settings.device)
        for done, seen in enumerate(runner.run(steps, pictures.read, people.tracks, scene.intrinsics[0])):
            if np.isfinite(seen.scale):
                scale = seen.scale
                log_scales.append(np.log(scale))
            if not mapped or seconds[seen.first] - seconds[mapped[-1]] >= settings.depth_seconds * (1.0 - 1e-2):
                mapped.append(seen.first)
                mask = fast.fit.cut_out(read_mask(people_folder, int(frames.frame[seen.first]), size))
                keep_depth(folder / "depth", frames, seen.first, scale * seen.points, seen.confidence, mask, lens)
                pose = trajectory.world_from_camera[seen.first]
                stream.add(seen, scale, mask, fast.fit.cut_out(pictures.read(seen.first)), pose)
            trajectory.advance(seen.second, seen.motions, _metric(seen.otherwise, scale))
            stream.write(trajectory)
            progress(done + 1, len(steps) - 1)
        result = replace(
            scene,
            keyframe=np.array(mapped, np.int32),
            depth_index=np.array(mapped, np.int32),
            world_from_camera=trajectory.world_from_camera,
        )
        if settings.refine:
            result = scene_points(frames, result, people_folder, reader)
    (folder / STREAM_NAME).unlink(missing_ok=True)
    result = replace(result, ground=ground_of(result, people, clouds_on_disk(frames, result, folder)))
    joint = JointResult(
        world_from_camera=trajectory.world_from_camera,
        intrinsics=np.asarray(scene.intrinsics),
        distortion=np.asarray(scene.distortion),
        scale=1.0,
        scale_sigma=_SCALE_SIGMA,
        scale_source="network",
        people=[
            placed(fit, model, trajectory.world_from_camera, trusted[fit.track_id], fit.reason) for fit in bodies.people
        ],
        ground=np.asarray(result.ground),
        report={"scale_of_points": float(np.exp(np.median(log_scales))) if log_scales else 1.0},
    )
    warnings = []
    if trajectory.guessed:
        warnings.append(
            f"In {trajectory.guessed} of {len(seconds)} frames nobody was seen and the place could not be matched: the "
            "camera is held still there."
        )
    return MotionResult(result, joint, len(steps) - 1, trajectory.guessed, warnings)


def _metric(pose: Array | None, scale: float) -> Array | None:
    if pose is None:
        return None
    result = pose.copy()
    result[:3, 3] *= scale
    return result


class _Stream:
    """What is known so far, as a file that Blender can show."""

    def __init__(
        self,
        path: Path,
        frames: FramesResult,
        scene: SceneResult,
        bodies: BodiesResult,
        model: BodyModel,
        show: Callable[[Path], None],
    ) -> None:
        self._path, self._frames, self._scene, self._bodies = path, frames, scene, bodies
        self._model, self._show = model, show
        self._points: list[Array] = []
        self._colors: list[Array] = []
        self._last = time.monotonic()

    def add(self, seen: PairSeen, scale: float, mask: Array, picture: Array, pose: Array) -> None:
        """Some points of a depth map, coloured; ``mask`` and ``picture`` are of the network's size."""
        good = (seen.confidence > 2.0) & (mask == 0) & np.isfinite(seen.points).all(axis=-1)
        rows, columns = np.nonzero(good)
        step = max(1, len(rows) // 400)
        rows, columns = rows[::step], columns[::step]
        self._points.append(scale * seen.points[rows, columns] @ pose[:3, :3].T + pose[:3, 3])
        self._colors.append(picture[rows, columns])
        if sum(len(part) for part in self._points) > _SHOWN_POINTS:
            self._points = [np.concatenate(self._points)[::2]]
            self._colors = [np.concatenate(self._colors)[::2]]

    def write(self, trajectory: Trajectory) -> None:
        """The newest state, unless the last is recent."""
        if time.monotonic() - self._last < _SHOW_EVERY:
            return
        self._last = time.monotonic()
        count = trajectory.known + 1
        frames = replace(self._frames, frame=self._frames.frame[:count], time=self._frames.time[:count])
        scene = replace(
            self._scene,
            world_from_camera=trajectory.world_from_camera[:count],
            intrinsics=self._scene.intrinsics[:count],
            points=np.concatenate(self._points) if self._points else np.zeros((0, 3)),
            point_color=np.concatenate(self._colors) if self._colors else np.zeros((0, 3), np.uint8),
            metric=True,
        )
        seen = [part for fit in self._bodies.people if (part := _until(fit, count)) is not None]
        bodies = replace(self._bodies, people=seen)
        partial = self._path.with_name(self._path.name + ".partial")
        write_npz(partial, people_preview(frames, scene, bodies, self._model))
        partial.replace(self._path)
        self._show(self._path)


def _until(fit: PersonFit, count: int) -> PersonFit | None:
    """The part of a fit on the first ``count`` frames, None where there is none."""
    rows = int(np.searchsorted(fit.index, count))
    if rows == 0:
        return None
    return replace(fit, index=fit.index[:rows], poses=fit.poses[:rows], trans=fit.trans[:rows])
