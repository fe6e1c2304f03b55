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

#: One array larger than this is refused before memory is taken.
_MOST_ARRAY_BYTES = 2_000_000_000
_MOST_ARRAYS = 64


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
    if count * dtype.itemsize > min(_MOST_ARRAY_BYTES, size) or len(shape) > 5:
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
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > _MOST_ARRAYS:
                raise SceneFormatError(f"{label} holds {len(members)} arrays.")
            for member in members:
                name = member.filename.removesuffix(".npy")
                if names is not None and name not in names:
                    continue
                if member.file_size > _MOST_ARRAY_BYTES:
                    raise SceneFormatError(f"{label} claims an absurd size.")
                with archive.open(member) as file:
                    result[name] = _read_member(file, member.file_size, f"{label}: {name}")
    except FileNotFoundError as error:
        raise SceneFormatError(f"{label} is missing.") from error
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError) as error:
        raise SceneFormatError(f"{label} is damaged.") from error
    return result
