"""Stage 2: who is in the pictures, where, and which pixels are theirs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from ...scene4d.conventions import MASK_UNTRACKED
from ..detection.landmarker import Pose
from ..detection.legs import BLENDED, LEGS, exchanged, leg_states
from ..detection.linking import LinkSettings, is_person, link_tracklets
from ..detection.masks import Labelled, label_mask
from ..detection.poses import body_box, body_size
from ..detection.quality import QualitySettings, judge, unsure_frames
from ..detection.smoothing import fill_gaps, smooth
from ..detection.tiles import make_tiles
from ..detection.tracker import Tracker, TrackerSettings, Tracklet
from ..detection.workers import Workers
from ..results import FramesResult, PeopleResult, Track
from ..video.reader import open_frames

Progress = Callable[[int, int], None]

#: People are looked for in pictures of at most this long side; landmarks and masks are scaled back.
_LONG_SIDE = 1920
#: Each thread holds models of its own; more than a few gain nothing.
_MOST_THREADS = 4
#: Mask values that are left for tracked people.
_MOST_PEOPLE = MASK_UNTRACKED - 1


@dataclass(frozen=True)
class PeopleSettings:
    """people: keep at most so many, the largest and longest seen. smoothing: standard deviation in seconds of the
    Gaussian over the landmarks."""

    people: int | None = None
    backend: str = "mediapipe"
    smoothing: float = 0.02
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    link: LinkSettings = field(default_factory=LinkSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)


def run_people(frames: FramesResult, settings: PeopleSettings, folder: Path, progress: Progress) -> PeopleResult:
    """Detect and follow everybody, and write ``masks/FFFFFF.png`` into ``folder``.

    Raises:
        UserError: ``missing_models`` and the errors of ``open_frames``.
    """
    size = work_size(frames.source.width, frames.source.height)
    count = len(frames.frame)
    with open_frames(frames) as reader, Workers(min(_MOST_THREADS, os.cpu_count() or 1)) as workers:
        tracker = Tracker(workers, make_tiles(*size), size, settings.tracker)
        scaled = None if size == (frames.source.width, frames.source.height) else size
        for index, picture in reader.iterate(size=scaled):
            tracker.step(index, picture)
            progress(index + 1, count)
    rate = frame_rate(frames)
    pieces = link_tracklets(tracker.finish(), rate, settings.link)
    # A short clip cannot show anybody for long.
    half = 0.5 * count / rate
    link = replace(
        settings.link,
        shortest=min(settings.link.shortest, half),
        shortest_unsteady=min(settings.link.shortest_unsteady, half),
    )
    kept = sorted((p for p in pieces if is_person(p, rate, min(size), link)), key=_prominence, reverse=True)
    kept = kept[: min(settings.people or _MOST_PEOPLE, _MOST_PEOPLE)]
    kept.sort(key=lambda piece: (piece.first, piece.number))
    rest = [piece for piece in pieces if piece not in kept]
    scale = frames.source.width / size[0]
    sigma = settings.smoothing * rate
    time = np.asarray(frames.time, np.float64)

    def track_of(number: int, piece: Tracklet) -> Track:
        return make_track(number, piece, time, size, scale, sigma)

    tracks = [track_of(number, piece) for number, piece in enumerate(kept, 1)]
    set_overlaps(tracks)
    for row, (track, piece) in enumerate(zip(tracks, kept, strict=True)):
        reason = judge(piece, settings.quality)
        if reason:
            track.reliable, track.reason = False, reason
        else:
            tracks[row] = track_of(track.id, _without_mixed_poses(track, piece, settings.quality))
    set_overlaps(tracks)
    _write_masks(frames, kept, rest, size, folder / "masks")
    warnings = [] if tracks else ["No people were found: the scene has a camera and a place only."]
    return PeopleResult(tracks=tracks, mask_folder="masks", warnings=warnings)


def work_size(width: int, height: int) -> tuple[int, int]:
    """The size of the pictures in which people are looked for."""
    scale = min(1.0, _LONG_SIDE / max(width, height))
    return round(width * scale), round(height * scale)


def frame_rate(frames: FramesResult) -> float:
    """Pictures per second of the solved range."""
    return frames.source.fps_num / frames.source.fps_den


def _prominence(piece: Tracklet) -> float:
    """How much of the video a person fills."""
    return float(sum(body_size(pose) for pose in piece.poses.values()))


def make_track(
    number: int, piece: Tracklet, time: np.ndarray, size: tuple[int, int], scale: float, sigma: float
) -> Track:
    """The track of a person, in px of the plate; time (F,) s of all pictures; ``scale`` = plate px per px of the
    pictures searched; sigma: of the smoothing, in pictures."""
    index = np.arange(piece.first, piece.last + 1, dtype=np.int32)
    detected = np.array([int(k) in piece.poses for k in index])
    poses: list[Pose] = [piece.poses[int(k)] for k in index[detected]]
    sizes = np.zeros(len(index))
    sizes[detected] = [body_size(pose) for pose in poses]
    seen_points = np.array([pose.points for pose in poses])
    seen_visibility = np.array([pose.visibility for pose in poses], np.float64)
    legs = leg_states(seen_points, seen_visibility, sizes[detected], time[index[detected]])
    clear = detected.copy()
    clear[detected] = legs != BLENDED

    def over_time(rows: np.ndarray) -> np.ndarray:
        values = np.zeros((len(index), *rows.shape[1:]))
        values[detected] = exchanged(rows, legs)
        filled = fill_gaps(values, detected)
        filled[:, LEGS] = fill_gaps(values[:, LEGS], clear)
        return smooth(filled, sigma)

    points = over_time(seen_points)
    world = over_time(np.array([pose.world for pose in poses]))
    visibility = np.zeros((len(index), 33))
    visibility[detected] = exchanged(seen_visibility, legs)
    visibility[np.flatnonzero(~clear)[:, None], LEGS] = 0.0
    boxes = [body_box(p, s, size) for p, s in zip(points, fill_gaps(sizes, detected), strict=True)]
    return Track(
        id=number,
        mask_value=number,
        index=index,
        box=(np.array(boxes) * scale).astype(np.float32),
        landmarks=(points * scale).astype(np.float32),
        visibility=visibility.astype(np.float32),
        world_landmarks=world.astype(np.float32),
        detected=detected,
        overlap=np.zeros(len(index), np.float32),
    )


def _without_mixed_poses(track: Track, piece: Tracklet, settings: QualitySettings) -> Tracklet:
    """The tracklet with the poses dropped that are unsure while somebody else is in the way: gaps are filled instead.

    The first and last pose stay, so that the track keeps its length.
    """
    covered = {int(k) for k, share in zip(track.index, track.overlap, strict=True) if share > settings.overlap}
    drop = (unsure_frames(piece, settings) & covered) - {piece.first, piece.last}
    return replace(piece, poses={k: pose for k, pose in piece.poses.items() if k not in drop})


def set_overlaps(tracks: list[Track]) -> None:
    """Fill ``overlap`` of every track: the share of its box that the boxes of others cover, at most 1."""
    for track in tracks:
        covered = np.zeros(len(track.index), np.float64)
        for other in tracks:
            if other.id == track.id:
                continue
            common, rows, others = np.intersect1d(track.index, other.index, return_indices=True)
            if len(common) == 0:
                continue
            a, b = track.box[rows], other.box[others]
            inside = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(axis=1)
            covered[rows] += inside / np.maximum((a[:, 2:] - a[:, :2]).prod(axis=1), 1.0)
        track.overlap[:] = np.minimum(covered, 1.0)


def _write_masks(
    frames: FramesResult, kept: list[Tracklet], rest: list[Tracklet], size: tuple[int, int], folder: Path
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    full = (frames.source.width, frames.source.height)
    for index, number in enumerate(frames.frame):
        people = [Labelled(p.poses[index], value) for value, p in enumerate(kept, 1) if index in p.poses]
        people += [Labelled(p.poses[index], MASK_UNTRACKED) for p in rest if index in p.poses]
        people += [Labelled(pose, MASK_UNTRACKED) for p in kept for pose in p.around.get(index, [])]
        label = label_mask(people, *size, MASK_UNTRACKED)
        if full != size:
            label = cv2.resize(label, full, interpolation=cv2.INTER_NEAREST)
        data = cv2.imencode(".png", label, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
        (folder / f"{int(number):06d}.png").write_bytes(data.tobytes())
