"""The messages between the engine and whoever started it, one JSON object per line (docs/job_protocol.md)."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from dataclasses import asdict, dataclass, fields
from typing import Any

#: With this environment variable set, the engine ends by itself when its standard input closes.
WATCH_STDIN = "JOSH4D_WATCH_STDIN"


@dataclass(frozen=True)
class Start:
    """The run begins: the planned stages in order, the folder the scene will have, and the log."""

    stages: list[str]
    scene: str
    log: str


@dataclass(frozen=True)
class Stage:
    """A stage begins; ``index`` counts from 0. ``reused`` stages were finished by an earlier run."""

    name: str
    index: int
    reused: bool = False


@dataclass(frozen=True)
class Progress:
    """Within the current stage: ``done`` of ``total`` steps; ``detail`` says what is being worked on, for people."""

    done: int
    total: int
    detail: str = ""


@dataclass(frozen=True)
class Warn:
    """Something the user should know; the run goes on."""

    message: str


@dataclass(frozen=True)
class Preview:
    """A file that can be shown already."""

    stage: str
    path: str


@dataclass(frozen=True)
class Error:
    """The run ends without a result: what is wrong and what to do about it."""

    kind: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Done:
    """The run ends; the scene is complete."""

    scene: str


Message = Start | Stage | Progress | Warn | Preview | Error | Done

_TYPES: dict[str, type[Any]] = {
    "start": Start,
    "stage": Stage,
    "progress": Progress,
    "warning": Warn,
    "preview": Preview,
    "error": Error,
    "done": Done,
}
_NAMES = {kind: name for name, kind in _TYPES.items()}
_PLAIN = {"str": str, "int": int, "bool": bool, "list[str]": list}
#: Per message, the type of each field; looked up once, for messages may come by the thousand.
_FIELDS: dict[type[Any], dict[str, type[Any]]] = {
    kind: {field.name: _PLAIN[str(field.type)] for field in fields(kind)} for kind in _NAMES
}
_LARGEST = 1 << 31
#: How `encode` begins a progress line.
_PROGRESS = b'{"type": "progress"'


def encode(message: Message) -> bytes:
    """One line with its line break, ASCII only, so that no console's encoding can damage it."""
    return json.dumps({"type": _NAMES[type(message)], **asdict(message)}).encode("ascii") + b"\n"


def decode(line: bytes) -> Message | None:
    """The message of a line; None where it is not one. Unknown keys are ignored."""
    try:
        data = json.loads(line)
        kind = _TYPES[data.pop("type")]
        known: dict[str, Any] = {name: data[name] for name in _FIELDS[kind] if name in data}
        message: Message = kind(**known)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    for name, value in known.items():
        wanted = _FIELDS[kind][name]
        if type(value) is not wanted or (wanted is list and not all(isinstance(item, str) for item in value)):
            return None
        # No count is so large, and Python's own integers would not fit where Blender puts them.
        if wanted is int and not -_LARGEST < value < _LARGEST:
            return None
    return message


class LineReader:
    """Messages of a stream of bytes that arrives in pieces cut anywhere."""

    #: A line longer than this is no message of ours; it is dropped instead of filling the memory.
    _LONGEST_LINE = 1 << 20

    def __init__(self) -> None:
        self._rest = b""
        self._lines: deque[bytes] = deque()

    @property
    def waiting(self) -> bool:
        """Whether complete lines wait to be decoded."""
        return bool(self._lines)

    def add(self, data: bytes) -> None:
        """Take a piece of the stream."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._lines.extend(lines)
        if len(self._rest) > self._LONGEST_LINE:
            self._rest = b"\0"

    def messages(self, deadline: float = math.inf) -> list[Message]:
        """The messages of the complete lines, decoded until ``deadline`` on ``time.perf_counter``.

        Lines that are no messages are skipped, and so is progress that the next line already replaces.
        """
        found: list[Message] = []
        while self._lines and time.perf_counter() < deadline:
            line = self._lines.popleft()
            if not line.startswith(b"{"):
                continue
            if line.startswith(_PROGRESS) and self._lines and self._lines[0].startswith(_PROGRESS):
                continue
            message = decode(line)
            if message is not None:
                found.append(message)
        return found

    def feed(self, data: bytes) -> list[Message]:
        """The messages completed by ``data``."""
        self.add(data)
        return self.messages()
