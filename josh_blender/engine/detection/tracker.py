"""Follows people from picture to picture by their landmarks, and finds new ones with the detector."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .appearance import clothes_histogram
from .detector import Detections, Tile
from .landmarker import REGION_SCALE, Pose
from .looks import look_twice
from .poses import body_box, body_size, boxes_meet, is_plausible, pose_distance, same_body
from .quality import nearby
from .regions import Picture, Region, region_from_points
from .workers import Workers

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class TrackerSettings:
    """interval: pictures between two searches with the detector. fine_interval: searches between two with the finest
    tiles. birth, death: least presence to begin and to go on. patience: pictures that a track may be lost before it
    ends. memory: bytes of past pictures kept to follow a newly found person back. check: share of the region by which
    it is moved and scaled to see whether the landmarks hold. unsure: pose distance from which they do not: the mask is
    then looked for too with the region moved by ``side`` of its side to the left and right, for bodies above
    ``around`` of the picture's short side."""

    interval: int = 5
    fine_interval: int = 2
    birth: float = 0.8
    death: float = 0.5
    patience: int = 3
    memory: int = 192_000_000
    check: float = 0.08
    unsure: float = 0.025
    around: float = 0.2
    side: float = 0.25


@dataclass(eq=False)
class Tracklet:
    """One person for as long as the landmark model followed; poses by picture index.

    disagreement: how far the landmarks move when their region does, at every search; crowded: the same on the pictures
    between, where somebody else's box reaches into the person's.
    """

    number: int
    poses: dict[int, Pose] = field(default_factory=dict)
    histograms: dict[int, Floats] = field(default_factory=dict)
    disagreement: dict[int, float] = field(default_factory=dict)
    crowded: dict[int, float] = field(default_factory=dict)
    around: dict[int, list[Pose]] = field(default_factory=dict)
    lost: int = 0

    @property
    def first(self) -> int:
        return min(self.poses)

    @property
    def last(self) -> int:
        return max(self.poses)

    def predicted(self, index: int) -> Region:
        """Where to look at ``index``: the last region, moved on by its recent speed."""
        step = 1 if index > self.last else -1
        anchor = self.last if step > 0 else self.first
        region = self.poses[anchor].next_region
        before = [self.poses[k] for k in range(anchor - 3 * step, anchor, step) if k in self.poses]
        if not before:
            return region
        moved = self.poses[anchor].next_region
        start = before[0].next_region
        count = len(before)
        gap = abs(index - anchor)
        return Region(
            region.x + (moved.x - start.x) / count * gap,
            region.y + (moved.y - start.y) / count * gap,
            region.side,
            region.rotation,
        )

    def histogram(self) -> Floats:
        """The mean colours of the clothes."""
        return np.mean(list(self.histograms.values()), axis=0)


class Tracker:
    """Feed the pictures in order with ``step``; ``finish`` gives the tracklets."""

    def __init__(self, workers: Workers, tiles: list[list[Tile]], size: tuple[int, int], settings: TrackerSettings):
        self._workers = workers
        self._tiles = tiles
        self._size = size
        self._settings = settings
        self._active: list[Tracklet] = []
        self._ended: list[Tracklet] = []
        self._recent: deque[tuple[int, Picture]] = deque(
            maxlen=max(settings.interval, settings.memory // (3 * size[0] * size[1]))
        )
        self._searches = 0
        self._born = 0

    def step(self, index: int, picture: Picture) -> None:
        """The next picture."""
        self._follow(index, picture)
        self._part_merged(index)
        searched = index % self._settings.interval == 0
        if searched:
            self._search(index, picture)
        checked = self._seen(index) if searched else self._in_a_crowd(index, self._seen(index))
        for tracklet, moved in self._moved_landmarks(index, picture, checked):
            (tracklet.disagreement if searched else tracklet.crowded)[index] = moved
        self._look_around(index, picture)
        self._recent.append((index, picture))

    def finish(self) -> list[Tracklet]:
        """All tracklets, in order of birth."""
        return sorted(self._ended + self._active, key=lambda tracklet: tracklet.number)

    def _accept(self, tracklet: Tracklet, index: int, picture: Picture, pose: Pose) -> bool:
        """Add a pose that continues the tracklet; False when it does not."""
        if pose.presence < self._settings.death or not is_plausible(pose, self._size):
            return False
        tracklet.poses[index] = pose
        if index % self._settings.interval == 0 or not tracklet.histograms:
            tracklet.histograms[index] = clothes_histogram(picture, pose)
        return True

    def _look(self, picture: Picture, regions: list[Region]) -> list[Pose]:
        return look_twice(self._workers, picture, regions, self._settings.death)

    def _follow(self, index: int, picture: Picture) -> None:
        poses = self._look(picture, [tracklet.predicted(index) for tracklet in self._active])
        for tracklet, pose in zip(list(self._active), poses, strict=True):
            if self._accept(tracklet, index, picture, pose):
                tracklet.lost = 0
                continue
            tracklet.lost += 1
            if tracklet.lost > self._settings.patience:
                self._end(tracklet)

    def _seen(self, index: int) -> list[Tracklet]:
        return [tracklet for tracklet in self._active if index in tracklet.poses]

    def _in_a_crowd(self, index: int, tracklets: list[Tracklet]) -> list[Tracklet]:
        """Those into whose box the box of somebody else reaches."""

        def box(tracklet: Tracklet) -> Floats:
            pose = tracklet.poses[index]
            return body_box(pose.points, body_size(pose), self._size)

        boxes = [(t, box(t)) for t in self._active + self._ended if index in t.poses]

        def is_reached(tracklet: Tracklet) -> bool:
            own = box(tracklet)
            return any(other is not tracklet and boxes_meet(own, reach) for other, reach in boxes)

        return [tracklet for tracklet in tracklets if is_reached(tracklet)]

    def _moved_landmarks(
        self, index: int, picture: Picture, tracklets: list[Tracklet]
    ) -> Iterator[tuple[Tracklet, float]]:
        """How far the landmarks of each move when their region does: on mixed bodies they move much."""
        regions = [
            near for tracklet in tracklets for near in nearby(tracklet.poses[index].region, self._settings.check)
        ]
        poses = self._workers.locate(picture, regions)
        per_person = len(poses) // max(1, len(tracklets))
        for number, tracklet in enumerate(tracklets):
            others = poses[number * per_person : (number + 1) * per_person]
            yield tracklet, max(pose_distance(tracklet.poses[index], other) for other in others)

    def _look_around(self, index: int, picture: Picture) -> None:
        """Where the last check found mixed bodies, keep what the model takes for a person on either side."""
        least = self._settings.around * min(self._size)
        for tracklet in self._active:
            checks = tracklet.disagreement
            if index in tracklet.poses and checks and checks[max(checks)] > self._settings.unsure:
                if body_size(tracklet.poses[index]) < least:
                    continue
                sides = nearby(tracklet.poses[index].region, self._settings.side)[:2]
                found = self._workers.locate(picture, sides)
                tracklet.around[index] = [pose for pose in found if pose.presence >= self._settings.death]

    def _end(self, tracklet: Tracklet) -> None:
        self._active.remove(tracklet)
        self._ended.append(tracklet)

    def _part_merged(self, index: int) -> None:
        """Where two tracks have come to follow one person, end the one whose clothes fit worse."""
        seen = self._seen(index)
        for i, a in enumerate(seen):
            for b in seen[i + 1 :]:
                if a not in self._active or b not in self._active:
                    continue
                if not same_body(a.poses[index], b.poses[index]):
                    continue
                loser = self._stranger(a, b, index)
                for k in [k for k in loser.poses if k >= index]:
                    del loser.poses[k]
                self._end(loser)
                if not loser.poses:
                    self._ended.remove(loser)

    def _stranger(self, a: Tracklet, b: Tracklet, index: int) -> Tracklet:
        """Which of two tracks on one person does not belong to it."""
        jump = []
        for tracklet in (a, b):
            before = [k for k in tracklet.poses if k < index]
            if len(before) < 3:
                jump.append(np.inf)
                continue
            last = tracklet.poses[max(before)]
            jump.append(pose_distance(last, tracklet.poses[index]) + 1.0 / len(before))
        return a if jump[0] > jump[1] else b

    def _search(self, index: int, picture: Picture) -> None:
        fine = self._searches % self._settings.fine_interval == 0
        self._searches += 1
        levels = self._tiles if fine else self._tiles[:-1]
        # The detector sees or misses small people by where they lie in a tile: never the same place twice in a row.
        shift = _SHIFTS[self._searches % len(_SHIFTS)]
        found = self._workers.detect(picture, [_moved(tile, shift, self._size) for level in levels for tile in level])
        regions = self._new_regions(index, found)
        first = self._workers.locate(picture, regions)
        poses = self._look(picture, [p.next_region for p in first if p.presence >= self._settings.death])
        for pose in sorted(poses, key=lambda p: -p.presence * float(p.visibility.mean())):
            if pose.presence < self._settings.birth or not is_plausible(pose, self._size):
                continue
            others = [t.poses[index] for t in self._seen(index)]
            if any(same_body(pose, other) for other in others):
                continue
            tracklet = Tracklet(self._born)
            self._born += 1
            self._accept(tracklet, index, picture, pose)
            self._extend_back(tracklet, index)
            self._active.append(tracklet)

    def _new_regions(self, index: int, found: list[Detections]) -> list[Region]:
        """Regions of detections that are not yet followed, doubles left out."""
        known = [t.poses[index].next_region for t in self._seen(index)]
        regions: list[Region] = []
        points = np.concatenate([f.points for f in found]) if found else np.zeros((0, 4, 2))
        scores = np.concatenate([f.score for f in found]) if found else np.zeros(0)
        for row in np.argsort(-scores, kind="stable"):
            region = region_from_points(points[row, 0], points[row, 1], REGION_SCALE)
            if not any(_same_place(region, other) for other in known + regions):
                regions.append(region)
        return regions

    def _extend_back(self, tracklet: Tracklet, index: int) -> None:
        """Follow a newly found person back to when it was missed."""
        for earlier, picture in reversed(self._recent):
            if earlier >= index:
                continue
            pose = self._look(picture, [tracklet.predicted(earlier)])[0]
            others = [t.poses[earlier] for t in self._active + self._ended if earlier in t.poses]
            if any(same_body(pose, other) for other in others):
                return
            if pose.presence < self._settings.birth or not self._accept(tracklet, earlier, picture, pose):
                return
            for _, moved in self._moved_landmarks(earlier, picture, self._in_a_crowd(earlier, [tracklet])):
                tracklet.crowded[earlier] = moved


#: How far the tiles are moved in one search after another, as a share of their side.
_SHIFTS = (0.0, 0.0, 0.16, -0.16, -0.08, 0.08)


def _moved(tile: Tile, shift: float, size: tuple[int, int]) -> Tile:
    """The tile moved sideways and half as much down, where it does not cover the whole picture anyway."""
    if tile.side >= min(size):
        return tile
    return Tile(round(tile.x + shift * tile.side), round(tile.y + 0.5 * shift * tile.side), tile.side)


def _same_place(a: Region, b: Region) -> bool:
    """Whether two regions hold the same body: near centres and like sizes."""
    small = min(a.side, b.side)
    return np.hypot(a.x - b.x, a.y - b.y) < 0.1 * small and max(a.side, b.side) < 1.6 * small
