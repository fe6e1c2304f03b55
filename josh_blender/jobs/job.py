"""The engine as a child process: started, polled without ever waiting, and ended with everything it started."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .process_tree import ProcessTree
from .protocol import WATCH_STDIN, Done, Error, LineReader, Message

#: Seconds between the polite request to end and the end.
_PATIENCE = 1.0


class Job:
    """A running engine. A timer calls `poll`, which only reads what is there.

    Attributes:
        running: False once the process has ended and everything was read.
        cancelled: whether `cancel` or `kill` ended it.
        behind: whether the last `poll` left something that could be read at once.
        result: the scene's folder after a run that ended well, else None.
        error: why there is no result; None while the job runs and after it ended well.
    """

    def __init__(self, tree: ProcessTree, log: Path | None) -> None:
        self._tree = tree
        self._reader = LineReader()
        self._log = log
        self._kill_at: float | None = None
        self._done: Done | None = None
        self._said: Error | None = None
        self.running = True
        self.cancelled = False
        self.behind = False
        self.result: Path | None = None
        self.error: Error | None = None

    @classmethod
    def start(
        cls, command: Sequence[str], environment: Mapping[str, str] | None = None, log: Path | None = None
    ) -> Job:
        """Start a command that speaks the protocol on its standard output.

        ``log`` is named to the user when the process ends without a word of its own.

        Raises:
            OSError: the program cannot be started.
        """
        variables = {**os.environ, **(environment or {}), WATCH_STDIN: "1"}
        return cls(ProcessTree(command, variables), log)

    @property
    def process_id(self) -> int:
        """The process id of the child."""
        return self._tree.process_id

    def poll(self, budget: float = math.inf) -> list[Message]:
        """The messages since the last call; never waits, and reads for about ``budget`` seconds at most."""
        if not self.running:
            return []
        exit_code = self._tree.exit_code()
        messages, drained = self._read(time.perf_counter() + budget)
        self.behind = not drained
        if exit_code is not None or (self._kill_at is not None and time.monotonic() > self._kill_at):
            # Also what the engine left behind: it could write for ever, and the end of its output would never come.
            self._tree.kill()
        if exit_code is not None and drained:
            self._finish(exit_code)
        return messages

    def cancel(self) -> None:
        """Ask the whole tree to end; `poll` ends it by force after a few seconds. Finished stages stay."""
        if self.running and not self.cancelled:
            self.cancelled = True
            self._kill_at = time.monotonic() + _PATIENCE
            self._tree.end_politely()

    def kill(self) -> None:
        """End the whole tree at once; for a Blender that is closing."""
        if self.running:
            self.cancelled = True
            self._finish(-1)

    def _read(self, deadline: float) -> tuple[list[Message], bool]:
        """The messages that are there, and whether nothing is left to read."""
        messages: list[Message] = []
        while True:
            messages += self._reader.messages(deadline)
            if self._reader.waiting:
                return self._note(messages), False
            data = self._tree.read()
            if not data:
                return self._note(messages), True
            self._reader.add(data)

    def _note(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            if isinstance(message, Done):
                self._done = message
            elif isinstance(message, Error):
                self._said = message
        return messages

    def _finish(self, exit_code: int) -> None:
        # What the child started must not outlive it, whatever way it ended.
        self._tree.close()
        self.running = False
        if self.cancelled:
            self.error = Error("cancelled", "The job was cancelled.", "Start it again to continue it.")
        elif exit_code == 0 and self._done is not None:
            self.result = Path(self._done.scene)
        else:
            where = f" The log is {self._log}." if self._log is not None else ""
            message = f"The engine stopped without a result (exit code {exit_code}).{where}"
            self.error = self._said or Error("engine_stopped", message, "Start the job again to continue it.")


def engine_command(python: Path, arguments: Sequence[str]) -> list[str]:
    """The command line of an engine job: a ``josh4d`` command with JSON lines."""
    return [str(python), "-m", "josh_blender.engine", *arguments, "--json"]


def engine_environment() -> dict[str, str]:
    """Environment variables with which the engine of this very installation is found.

    The engine runs from the folder that also holds the add-on, so the two can never be of different versions.
    """
    root = str(Path(__file__).resolve().parents[2])
    rest = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([root, rest]) if rest else root, "PYTHONUTF8": "1"}
