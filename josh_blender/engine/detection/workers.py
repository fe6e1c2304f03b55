"""Both models on a few threads: many small tasks at once beat one task on many threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from .detector import Detections, PoseDetector, Tile
from .landmarker import Pose, PoseLandmarker
from .regions import Picture, Region


class Workers:
    """A pool of threads, each with its own detector and landmark model; a context manager."""

    def __init__(self, count: int) -> None:
        self._models = threading.local()
        self._pool = ThreadPoolExecutor(count, initializer=self._open)

    def _open(self) -> None:
        self._models.detector = PoseDetector()
        self._models.landmarker = PoseLandmarker()

    def detect(self, picture: Picture, tiles: Sequence[Tile]) -> list[Detections]:
        """What the detector finds in each tile."""
        return list(self._pool.map(lambda tile: self._models.detector.detect(picture, tile), tiles))

    def locate(self, picture: Picture, regions: Sequence[Region]) -> list[Pose]:
        """The pose in each region."""
        return list(self._pool.map(lambda region: self._models.landmarker.locate(picture, region), regions))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
