"""Reading and writing npz files without pickle and without trusting what they claim."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from .errors import SceneFormatError

Array = NDArray[Any]

#: More than this is refused before memory is taken.
_MOST_BYTES = 2_000_000_000
_MOST_ARRAYS = 64
#: Small files may be packed as tightly as they like; larger ones are bombs beyond this ratio, which no motion reaches.
_FREE_BYTES = 100_000_000
_MOST_RATIO = 50
_PLAIN_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays compressed; object arrays are a programming error and raise ValueError."""
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"array {name!r} would need pickle")
    with Path(path).open("wb") as file:
        np.savez_compressed(file, **cast("dict[str, Any]", dict(arrays)))


def _read_member(file: IO[bytes], size: int, label: str) -> Array:
    version = npy_format.read_magic(file)
    read_header = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}.get(version)
    if read_header is None:
        raise SceneFormatError(f"{label} has an unknown array format.")
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise SceneFormatError(f"{label} holds Python objects, which are never read.")
    count = 1
    for side in shape:
        count *= side
    # Of items without a size, any number would fit into no bytes at all.
    if dtype.itemsize == 0 or count < 0 or count * dtype.itemsize > size or len(shape) > 5:
        raise SceneFormatError(f"{label} claims an absurd size {shape}.")
    file.seek(0)
    return npy_format.read_array(file, allow_pickle=False)


def read_npz(path: Path, names: tuple[str, ...] | None = None) -> dict[str, Array]:
    """All arrays of an npz file, or those of ``names`` that it holds.

    Raises:
        SceneFormatError: missing, damaged, absurdly large, or with arrays that would need pickle.
    """
    path = Path(path)
    label = f"{path.parent.name}/{path.name}"
    result: dict[str, Array] = {}
    # A pipe or a device would be waited for, or read for ever.
    if not path.is_file():
        raise SceneFormatError(f"{label} is missing.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, label)
            chosen = {name: member for name, member in members.items() if names is None or name in names}
            total = sum(member.file_size for member in chosen.values())
            if total > min(_MOST_BYTES, _FREE_BYTES + _MOST_RATIO * path.stat().st_size):
                raise SceneFormatError(f"{label} claims an absurd size.")
            for name, member in chosen.items():
                with archive.open(member) as file:
                    result[name] = _read_member(file, member.file_size, f"{label}: {name}")
    except SceneFormatError:
        raise
    except Exception as error:
        # A file made to harm can raise anything in the parsers of zip archives and array headers.
        raise SceneFormatError(f"{label} is damaged.") from error
    return result


def _members(archive: zipfile.ZipFile, label: str) -> dict[str, zipfile.ZipInfo]:
    """The arrays of an archive by name."""
    members = archive.infolist()
    if len(members) > _MOST_ARRAYS:
        raise SceneFormatError(f"{label} holds {len(members)} arrays.")
    if any(member.compress_type not in _PLAIN_METHODS or member.flag_bits & _ENCRYPTED for member in members):
        raise SceneFormatError(f"{label} is packed in a way that npz files are not.")
    return {member.filename.removesuffix(".npy"): member for member in members}
