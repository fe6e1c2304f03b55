"""Masks as PNG: round trips, other writers' filters, and damaged files."""

import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from josh_blender.scene4d.errors import SceneFormatError
from josh_blender.scene4d.png import encode_png, read_png, write_png


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (64, 48)])
def test_round_trip(tmp_path: Path, dtype: type, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
    write_png(tmp_path / "mask.png", image)
    loaded = read_png(tmp_path / "mask.png")
    assert loaded.dtype == dtype
    np.testing.assert_array_equal(loaded, image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_agrees_with_opencv_both_ways(tmp_path: Path, dtype: type) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is part of the engine's environment only")
    image = np.random.default_rng(1).integers(0, 255, (33, 57)).astype(dtype)
    image = np.cumsum(image, axis=1).astype(dtype)
    write_png(tmp_path / "ours.png", image)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "ours.png"), cv2.IMREAD_UNCHANGED), image)
    for strategy in (cv2.IMWRITE_PNG_STRATEGY_DEFAULT, cv2.IMWRITE_PNG_STRATEGY_FILTERED):
        cv2.imwrite(str(tmp_path / "theirs.png"), image, [cv2.IMWRITE_PNG_STRATEGY, strategy])
        np.testing.assert_array_equal(read_png(tmp_path / "theirs.png"), image)


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
def test_every_filter_of_the_standard(tmp_path: Path, kind: int) -> None:
    """A constant image: after its first pixel each predictor but 'none' predicts exactly."""
    rows = {
        0: [[9, 9, 9], [9, 9, 9]],
        1: [[9, 0, 0], [9, 0, 0]],
        2: [[9, 9, 9], [0, 0, 0]],
        3: [[9, 5, 5], [5, 0, 0]],
        4: [[9, 0, 0], [0, 0, 0]],
    }[kind]
    raw = b"".join(bytes([kind, *row]) for row in rows)
    data = encode_png(np.zeros((2, 3), np.uint8))
    start = data.index(b"IDAT") - 4
    body = zlib.compress(raw)
    chunk = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
    (tmp_path / "mask.png").write_bytes(data[:start] + chunk + encode_png(np.zeros((2, 3), np.uint8))[-12:])
    np.testing.assert_array_equal(read_png(tmp_path / "mask.png"), np.full((2, 3), 9, np.uint8))


def _with_size(width: int, height: int) -> bytes:
    data = encode_png(np.zeros((4, 4), np.uint8))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return data[:16] + header + crc + data[33:]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GIF89a", "not a PNG"),
        (encode_png(np.zeros((9, 9), np.uint8))[:-20], "cut short|damaged"),
        (_with_size(60000, 60000), "claims"),
        (_with_size(4, 5), "cut short"),
        (encode_png(np.zeros((9, 9), np.uint8)).replace(b"IDAT", b"IDAX"), "damaged"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "mask.png").write_bytes(data)
    with pytest.raises(SceneFormatError, match=words):
        read_png(tmp_path / "mask.png")


def test_a_picture_in_a_hundred_thousand_pieces(tmp_path: Path) -> None:
    """Each byte in a chunk of its own: joined at once, not one after the other."""
    image = np.random.default_rng(3).integers(0, 255, (300, 400)).astype(np.uint8)
    data = encode_png(image)
    start = data.index(b"IDAT") - 4
    (length,) = struct.unpack(">I", data[start : start + 4])
    body = data[start + 8 : start + 8 + length]
    pieces = [
        struct.pack(">I", 1) + b"IDAT" + body[i : i + 1] + struct.pack(">I", zlib.crc32(b"IDAT" + body[i : i + 1]))
        for i in range(length)
    ]
    assert length > 100_000
    (tmp_path / "mask.png").write_bytes(data[:start] + b"".join(pieces) + data[start + 12 + length :])
    np.testing.assert_array_equal(read_png(tmp_path / "mask.png"), image)


def test_a_bomb_is_unpacked_no_further_than_its_picture(tmp_path: Path) -> None:
    body = zlib.compress(bytes(200_000_000), 9)
    chunk = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
    data = encode_png(np.zeros((4, 4), np.uint8))
    start = data.index(b"IDAT") - 4
    (tmp_path / "mask.png").write_bytes(data[:start] + chunk + data[-12:])
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(read_png(tmp_path / "mask.png"), np.zeros((4, 4), np.uint8))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000
