"""How far a job is and how long it still takes: from measured shares of the stages and this run's own speed."""

from __future__ import annotations

from collections.abc import Sequence

#: Share of the time of each stage, measured: of a reconstruction on the clips of the benchmark, and of a set-up.
_WEIGHTS = {
    "frames": 3.0,
    "people": 32.0,
    "scene": 36.0,
    "bodies": 8.0,
    "lens": 3.0,
    "motion": 30.0,
    "contact": 1.0,
    "joint": 14.0,
    "world": 6.0,
    "prepare": 1.0,
    "download": 55.0,
    "install": 30.0,
    "models": 4.0,
    "check": 10.0,
}
_DEFAULT_WEIGHT = 10.0
#: Nothing is said about the time left before so many seconds and such a share of the work.
_FIRST_SECONDS = 3.0
_FIRST_SHARE = 0.02
#: A stage is never called further than this: by its time alone, and by its own report before it has ended.
_MOST_BY_TIME, _MOST_REPORTED = 0.85, 0.97


class ProgressMeter:
    """Fed with the stages and the progress of one run; times are in seconds of any one clock."""

    def __init__(self, stages: Sequence[str]) -> None:
        self._weights = [_WEIGHTS.get(stage, _DEFAULT_WEIGHT) for stage in stages]
        self._reused: set[int] = set()
        self._index = -1
        self._share = 0.0
        self._begun: float | None = None
        self._stage_begun = 0.0

    def stage(self, index: int, reused: bool, now: float) -> None:
        """A stage begins, or was found finished."""
        if not 0 <= index < len(self._weights):
            return
        self._index = index
        self._share = 0.0
        if reused:
            self._reused.add(index)
            return
        self._stage_begun = now
        if self._begun is None:
            self._begun = now

    def progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps of the stage."""
        if total > 0:
            self._share = min(1.0, max(self._share, done / total))

    @property
    def stage_share(self) -> float:
        """0..1 of the current stage."""
        return self._share

    @property
    def share(self) -> float:
        """0..1 of the whole run, by what was reported; stages found finished count as done."""
        return self._whole(1.0 if self._index in self._reused else self._share)

    def share_at(self, now: float) -> float:
        """0..1 of the whole run at ``now``, which moves on within a stage that reports seldom."""
        return self._whole(self._stage_share_at(now))

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the end at this run's own speed; None while too little of it has been seen."""
        if self._begun is None:
            return None
        elapsed = now - self._begun
        current = 0.0 if self._index in self._reused else self._weights[self._index] * self._stage_share_at(now)
        worked = current + self._worked_before()
        left = self._weight(self._index) - current + sum(self._weights[self._index + 1 :])
        if elapsed < _FIRST_SECONDS or worked <= _FIRST_SHARE * (worked + left):
            return None
        return elapsed * left / worked

    def _whole(self, current: float) -> float:
        total = sum(self._weights)
        if total == 0.0 or self._index < 0:
            return 0.0
        return (sum(self._weights[: self._index]) + self._weights[self._index] * current) / total

    def _stage_share_at(self, now: float) -> float:
        """0..1 of the current stage: what it reported, or what its time says at the speed of the stages before."""
        if self._index in self._reused:
            return 1.0
        expected = 0.0
        worked = self._worked_before()
        if self._begun is not None and worked > 0.0:
            expected = self._weights[self._index] * (self._stage_begun - self._begun) / worked
        by_time = min(_MOST_BY_TIME, (now - self._stage_begun) / expected) if expected > 0.0 else 0.0
        # A stage that reports its last step may still have files to write.
        return min(_MOST_REPORTED, max(self._share, by_time))

    def _worked_before(self) -> float:
        """Weight of the stages that this run has finished itself."""
        return sum(self._weight(index) for index in range(self._index))

    def _weight(self, index: int) -> float:
        return 0.0 if index in self._reused else self._weights[index]
