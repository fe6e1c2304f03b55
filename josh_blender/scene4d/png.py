"""Greyscale PNG files (8 and 16 bit) with numpy and zlib alone: the label masks of a 4D scene.

Follows the PNG specification, third edition (W3C). Colour, palettes and interlacing are refused, since masks need none.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import SceneFormatError

Array = NDArray[Any]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Larger images are refused before memory is taken: a scene may come from a stranger.
_MOST_PIXELS = 140_000_000
_MOST_FILE_BYTES = 300_000_000


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encode_png(image: Array) -> bytes:
    """PNG bytes of a (H, W) uint8 or uint16 image.

    Raises:
        ValueError: another shape or type.
    """
    if image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        raise ValueError("a mask is a (H, W) array of uint8 or uint16")
    height, width = image.shape
    depth = 8 * image.dtype.itemsize
    row_bytes = np.ascontiguousarray(image.astype(image.dtype.newbyteorder(">"))).view(np.uint8).reshape(height, -1)
    # Filter "up" (2): label masks repeat from row to row.
    filtered = np.empty((height, row_bytes.shape[1] + 1), dtype=np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = row_bytes[0] if height else 0
    filtered[1:, 1:] = row_bytes[1:] - row_bytes[:-1]
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)),
            _chunk(b"IEND", b""),
        ]
    )


def write_png(path: Path, image: Array) -> None:
    """Write a (H, W) uint8 or uint16 image."""
    Path(path).write_bytes(encode_png(image))


def _chunks(data: bytes, path: Path) -> dict[bytes, bytes]:
    found: dict[bytes, list[bytes]] = {}
    position = len(_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        kind = data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + length]
        check = data[position + 8 + length : position + 12 + length]
        if len(body) < length or len(check) < 4 or struct.unpack(">I", check)[0] != zlib.crc32(kind + body):
            raise SceneFormatError(f"The mask {path.name} is damaged.")
        found.setdefault(kind, []).append(body)
        position += 12 + length
        if kind == b"IEND":
            return {kind: b"".join(parts) for kind, parts in found.items()}
    raise SceneFormatError(f"The mask {path.name} is cut short.")


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    distances = (abs(estimate - left), abs(estimate - up), abs(estimate - corner))
    return (left, up, corner)[distances.index(min(distances))]


def _unfilter(rows: Array, pixel_bytes: int, path: Path) -> Array:
    height, stride = rows.shape[0], rows.shape[1] - 1
    result = np.zeros((height + 1, stride), dtype=np.uint8)
    for i in range(height):
        kind, line, above = int(rows[i, 0]), rows[i, 1:], result[i]
        if kind == 0:
            result[i + 1] = line
        elif kind == 1:
            columns = line.reshape(-1, pixel_bytes)
            result[i + 1] = np.cumsum(columns, axis=0, dtype=np.uint8).reshape(-1)
        elif kind == 2:
            result[i + 1] = line + above
        elif kind in (3, 4):
            # Each byte depends on the one to its left, so these two filters need a loop.
            current = bytearray(stride)
            up_row, raw = bytes(above), bytes(line)
            for j in range(stride):
                left = current[j - pixel_bytes] if j >= pixel_bytes else 0
                corner = up_row[j - pixel_bytes] if j >= pixel_bytes else 0
                guess = (left + up_row[j]) // 2 if kind == 3 else _paeth(left, up_row[j], corner)
                current[j] = (raw[j] + guess) & 255
            result[i + 1] = np.frombuffer(current, dtype=np.uint8)
        else:
            raise SceneFormatError(f"The mask {path.name} is damaged.")
    return result[1:]


def read_png(path: Path) -> Array:
    """A (H, W) uint8 or uint16 image.

    Raises:
        SceneFormatError: not a greyscale PNG, damaged, or absurdly large.
    """
    path = Path(path)
    if path.stat().st_size > _MOST_FILE_BYTES:
        raise SceneFormatError(f"The mask {path.name} is absurdly large.")
    data = path.read_bytes()
    if not data.startswith(_SIGNATURE):
        raise SceneFormatError(f"The mask {path.name} is not a PNG file.")
    chunks = _chunks(data, path)
    if len(chunks.get(b"IHDR", b"")) != 13 or b"IDAT" not in chunks:
        raise SceneFormatError(f"The mask {path.name} is damaged.")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if colour != 0 or depth not in (8, 16) or compression or filtering or interlace:
        raise SceneFormatError(f"The mask {path.name} is not an 8 or 16 bit greyscale PNG.")
    if width * height > _MOST_PIXELS or width == 0 or height == 0:
        raise SceneFormatError(f"The mask {path.name} claims {width} x {height} pixels.")
    pixel_bytes = depth // 8
    size = height * (width * pixel_bytes + 1)
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(chunks[b"IDAT"], size)
    except zlib.error as error:
        raise SceneFormatError(f"The mask {path.name} is damaged.") from error
    if len(raw) != size:
        raise SceneFormatError(f"The mask {path.name} is cut short.")
    rows = np.frombuffer(raw, dtype=np.uint8).reshape(height, -1)
    plain = _unfilter(rows, pixel_bytes, path)
    if depth == 8:
        return plain
    return np.ascontiguousarray(plain).view(">u2").astype(np.uint16)
