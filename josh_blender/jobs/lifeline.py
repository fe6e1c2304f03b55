"""A child that Blender started must not outlive Blender, however Blender ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping

from .protocol import WATCH_STDIN


def end_with_stdin(environment: Mapping[str, str] = os.environ) -> None:
    """End this process, and the group it leads, when standard input closes.

    Only where whoever started it asked for that: on a command line, an input that is closed from the start is normal.
    """
    if environment.get(WATCH_STDIN) == "1":
        threading.Thread(target=_wait_for_end, name="lifeline", daemon=True).start()


def _wait_for_end() -> None:
    # Read from the descriptor: a thread that waits inside sys.stdin holds its lock while Python shuts down.
    while os.read(0, 4096):
        pass
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    # On Windows the job object ends the children.
    os._exit(1)
