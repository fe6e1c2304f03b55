"""Messages survive the pipe, whatever else is in it and wherever it is cut."""

from __future__ import annotations

import random

import pytest

from josh_blender.jobs.protocol import (
    Done,
    Error,
    LineReader,
    Message,
    Preview,
    Progress,
    Stage,
    Start,
    Warn,
    decode,
    encode,
)

MESSAGES: list[Message] = [
    Start(["frames", "people"], "/tmp/a b/é.scene4d", "/tmp/log"),
    Stage("people", 1, True),
    Progress(3, 10),
    Warn("Überlappung: „zwei“ people\nin one line 你好"),
    Preview("scene", "C:\\a\\preview.ply"),
    Error("no_room", "The disk is full.", "Free 1 GB."),
    Done("/tmp/é.scene4d"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_message_is_one_ascii_line_and_comes_back(message: Message) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1 and line.endswith(b"\n") and line.isascii()
    assert decode(line) == message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"torch: warning",
        b"[]",
        b"3",
        b'{"type": "launch"}',
        b'{"type": []}',
        b'{"type": "progress", "done": 1}',
        b'{"type": "progress", "done": "1", "total": 2}',
        b'{"type": "progress", "done": true, "total": 2}',
        b'{"type": "start", "stages": [1], "scene": "", "log": ""}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_other_lines_are_none(line: bytes) -> None:
    assert decode(line) is None


def test_keys_of_a_newer_version_are_ignored() -> None:
    assert decode(b'{"type": "done", "scene": "x", "minutes": 3}') == Done("x")


def test_stream_cut_anywhere_gives_the_same_messages() -> None:
    noise = b"\n[mpegts @ 0x1] garbage \xff\n\n"
    stream = b"".join(encode(message) + noise for message in MESSAGES * 3)
    generator = random.Random(5)
    for _ in range(50):
        reader = LineReader()
        found: list[Message] = []
        position = 0
        while position < len(stream):
            step = generator.randint(1, 40)
            found += reader.feed(stream[position : position + step])
            position += step
        assert found == MESSAGES * 3


def test_endless_line_is_dropped_and_the_next_message_found() -> None:
    reader = LineReader()
    for _ in range(40):
        assert reader.feed(b"x" * 100_000) == []
    assert len(reader._rest) < 1 << 21
    assert reader.feed(b"\n" + encode(Done("x"))) == [Done("x")]
