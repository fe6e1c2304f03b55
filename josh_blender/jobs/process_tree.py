"""A child process together with everything it starts: a process group on POSIX, a job object on Windows."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

if sys.platform == "win32":
    from . import windows_job

    _CREATION_FLAGS = windows_job.CREATION_FLAGS
else:
    _CREATION_FLAGS = 0

_READ_SIZE = 1 << 16


class ProcessTree:
    """A command that leads a tree of its own, with pipes for input and output; its error output is dropped."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the command.

        Raises:
            OSError: the program cannot be started.
        """
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            bufsize=0,
            start_new_session=sys.platform != "win32",
            creationflags=_CREATION_FLAGS,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        if sys.platform == "win32":
            self._job = windows_job.adopt(self._process)
        else:
            os.set_blocking(self._output, False)

    @property
    def process_id(self) -> int:
        """The process id of the leader."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """The leader's exit code, None while it runs."""
        return self._process.poll()

    def read(self) -> bytes | None:
        """The output that is there; empty at its end, None where there is nothing yet. Never waits."""
        if sys.platform == "win32":
            return windows_job.read_available(self._output, _READ_SIZE)
        try:
            return os.read(self._output, _READ_SIZE)
        except BlockingIOError:
            return None

    def close_input(self) -> None:
        """Close the leader's standard input, at which an engine ends by itself."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def end_politely(self) -> None:
        """Ask every process of the tree to end."""
        if sys.platform == "win32":
            with contextlib.suppress(OSError):
                self._process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End every process of the tree at once; does nothing where all have ended."""
        if sys.platform == "win32":
            windows_job.terminate(self._job)
        else:
            self._signal(signal.SIGKILL)

    def close(self) -> None:
        """End what still lives, wait for the leader and close the pipes."""
        self.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        if sys.platform == "win32":
            windows_job.close(self._job)

    if sys.platform != "win32":

        def _signal(self, number: signal.Signals) -> None:
            # The group keeps its number while any member lives, even after its leader has ended and was waited for.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
