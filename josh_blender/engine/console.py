"""Where a command talks: to a person in sentences, or to a program in JSON lines; everything else goes to the log."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ..jobs.protocol import Done, Error, Message, Preview, Progress, Stage, Start, Warn, encode

_BAR_WIDTH = 24


class Console:
    """The command's own voice, kept apart from what libraries print.

    ``log`` is where everything else goes, None before `divert`.
    """

    def __init__(self, json_lines: bool) -> None:
        self.json_lines = json_lines
        self._out, self._errors = 1, 2
        self._interactive = os.isatty(1)
        self._stages: list[str] = []
        self._stage = ""
        self._open_line = False
        self.log: Path | None = None

    def divert(self, log: Path) -> None:
        """From here on, descriptors 1 and 2 are the log; C++ libraries print there too. Called before their import.

        Raises:
            OSError: the log cannot be written.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        self._out, self._errors = os.dup(1), os.dup(2)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)
        self.log = log

    def value(self, data: dict[str, Any], text: str) -> None:
        """The answer of a command that has one: ``data`` for a program, ``text`` for a person."""
        self._write(json.dumps(data) if self.json_lines else text)

    def fail(self, error: Error) -> None:
        """The end of a command that failed."""
        if not self.json_lines:
            self._out = self._errors
        self.send(error)

    def send(self, message: Message) -> None:
        """A message of the job protocol, for a person in words."""
        if self.json_lines:
            self._write_bytes(encode(message))
            return
        match message:
            case Start():
                self._stages = message.stages
            case Stage():
                self._begin_stage(message)
            case Progress():
                self._show_progress(message)
            case Warn():
                self._write(f"  note: {message.message}")
            case Preview():
                pass
            case Error():
                self._write(f"josh4d: {message.message} {message.remedy}".rstrip())
            case Done():
                self._write(f"{message.scene}")

    def _begin_stage(self, stage: Stage) -> None:
        self._stage = f"[{stage.index + 1}/{len(self._stages)}] {stage.name}"
        self._write(f"{self._stage}: done before" if stage.reused else self._stage)

    def _show_progress(self, progress: Progress) -> None:
        share = min(1.0, progress.done / progress.total) if progress.total > 0 else 1.0
        if self._interactive:
            filled = round(share * _BAR_WIDTH)
            self._write_bytes(f"\r  {'#' * filled}{'.' * (_BAR_WIDTH - filled)} {share:4.0%} ".encode())
            self._open_line = True

    def _write(self, line: str) -> None:
        start = "\r" + " " * (_BAR_WIDTH + 10) + "\r" if self._open_line else ""
        self._open_line = False
        self._write_bytes((start + line + "\n").encode("utf-8", "replace"))

    def _write_bytes(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._out, data) :]
        except BrokenPipeError:
            # Nobody listens any more; the work itself goes on to its end.
            self._out = os.open(os.devnull, os.O_WRONLY)
