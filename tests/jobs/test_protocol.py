"""Messages survive the pipe, whatever else is in it and wherever it is cut."""

from __future__ import annotations

import random
import tracemalloc

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
from josh_blender.jobs.queue import Entry, JobRequest

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
        b'{"type": "progress", "done": NaN, "total": 2}',
        b'{"type": "progress", "done": 1e999, "total": 2}',
        b'{"type": "progress", "done": 1%s, "total": 2}' % (b"0" * 400),
        b'{"type": "progress", "done": 1%s, "total": 2}' % (b"0" * 9000),
        b'{"type": "stage", "name": "people", "index": -4294967297}',
        b'{"type": "done", "scene": null}',
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


_STRANGE = [
    "", "0", "-1", "7", "2147483647", "-2147483647", "9" * 400, "9" * 5000, "1e308", "-1e999", "NaN", "Infinity",
    "null", "true", "{}", "[]", "[[]]", '["a", 1]', '["frames"]', '["a", "a"]', '""', '"\\u0000"', '"\\ud800"',
    '"../../x"', '"a\\nb"', '"%s"' % ("x" * 5000), "[" * 5000, '{"a":' * 5000,
]  # fmt: skip
_KEYS = {
    "start": ("stages", "scene", "log"),
    "stage": ("name", "index", "reused"),
    "progress": ("done", "total", "detail"),
    "warning": ("message",),
    "preview": ("stage", "path"),
    "error": ("kind", "message", "remedy"),
    "done": ("scene",),
    "launch": (),
}


def test_whatever_a_child_says_is_read_without_an_error() -> None:
    """Lines of absurd values, in any order: nothing raises, and what a window draws stays within its bounds."""
    generator = random.Random(9)
    entry = Entry(1, JobRequest("job", ("none",)))
    reader = LineReader()
    taken = 0
    for number in range(6000):
        kind = generator.choice(list(_KEYS))
        values = [f'"{key}": {generator.choice(_STRANGE)}' for key in _KEYS[kind] if generator.random() < 0.95]
        # Every other line makes sense in part, so that strange values come at any state of the job.
        if number % 2:
            sensible = {"stages": '["frames", "people"]', "index": str(generator.randint(-1, 3)), "total": "3",
                        "done": "2", "reused": "true"}  # fmt: skip
            values = [
                f'"{key}": {sensible[key]}' if key in sensible and generator.random() < 0.8 else value
                for key, value in ((value.split('"')[1], value) for value in values)
            ]
        line = "{" + ", ".join([f'"type": "{kind}"', *values]) + "}\n"
        for message in reader.feed(line.encode("utf-8", "surrogatepass")):
            taken += 1
            entry.take(message, 0.01 * number)
            for now in (0.01 * number, 1e9):
                left = entry.meter.seconds_left(now)
                assert left is None or left >= 0.0
                assert 0.0 <= entry.meter.share_at(now) <= 1.0
            assert 0.0 <= entry.meter.stage_share <= 1.0 and 0.0 <= entry.meter.share <= 1.0
    assert taken > 200
    assert len(entry.warnings) <= 50


def test_a_line_of_100_mb_takes_little_memory() -> None:
    reader = LineReader()
    tracemalloc.start()
    try:
        for _ in range(400):
            assert reader.feed(b'{"type":"warning"' + b" " * 262_144) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
    assert reader.feed(b"}\n" + encode(Warn("next"))) == [Warn("next")]


def test_endless_line_is_dropped_and_the_next_message_found() -> None:
    reader = LineReader()
    for _ in range(40):
        assert reader.feed(b"x" * 100_000) == []
    assert len(reader._rest) < 1 << 21
    assert reader.feed(b"\n" + encode(Done("x"))) == [Done("x")]
