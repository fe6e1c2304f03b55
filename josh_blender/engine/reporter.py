"""What a running pipeline tells: through one function that takes the messages of the job protocol."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..jobs.protocol import Done, Message, Preview, Progress, Stage, Start, Warn

#: Progress comes at most so often, s: an artist's window draws it, and ten thousand lines help nobody.
_INTERVAL = 0.1


class Reporter:
    """Turns events of the pipeline into messages; says each warning once."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._last_progress = -_INTERVAL
        self._warned: set[str] = set()

    def start(self, stages: tuple[str, ...], scene: Path, log: Path) -> None:
        """The run begins."""
        self._send(Start(list(stages), str(scene), str(log)))

    def stage(self, name: str, index: int, reused: bool) -> None:
        """A stage begins, or was found finished."""
        self._last_progress = -_INTERVAL
        self._send(Stage(name, index, reused))

    def progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps of the stage are done."""
        now = time.monotonic()
        if done >= total or now - self._last_progress >= _INTERVAL:
            self._last_progress = now
            self._send(Progress(int(done), int(total)))

    def warning(self, message: str) -> None:
        """Something the user should know."""
        if message not in self._warned:
            self._warned.add(message)
            self._send(Warn(message))

    def preview(self, stage: str, path: Path) -> None:
        """A file that can be shown already."""
        self._send(Preview(stage, str(path)))

    def done(self, scene: Path) -> None:
        """The scene is complete."""
        self._send(Done(str(scene)))
