"""The numbers in a pickle, read without running anything that is in it.

A pickle can call any function, so this reader imports nothing: a handful of names is known, each stands for an inert
record of ours, and any other name ends the reading. numpy's own unpickling is not used either, because its state can
describe memory that is not there; arrays are made from their bytes after their type and shape have been checked.

The layouts are those of numpy's and scipy's pickles and of chumpy (github.com/mattloper/chumpy): an array `Ch` keeps
its values in `x`, and `Select` is `a.ravel()[idxs].reshape(preferred_shape)`.
"""

from __future__ import annotations

import math
import pickle
import re
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_NUMERIC = re.compile(r"[<>|=]?(?:f[248]|[iu][1248])")
_MOST_ROWS, _MOST_COLUMNS = 10_000, 100_000


class _Record:
    """Stand-in for an object of a class that is never imported: keeps its arguments and its state."""

    arguments: tuple[Any, ...]
    state: Any

    # Unpickling makes objects without calling __init__.
    def __new__(cls, *arguments: Any) -> _Record:
        record = super().__new__(cls)
        record.arguments, record.state = arguments, None
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def named(self, name: str) -> Any:
        """A value of an object whose state is a dictionary; None where there is none."""
        return self.state.get(name) if isinstance(self.state, dict) else None


class _Dtype(_Record):
    pass


class _Array(_Record):
    """State: version, shape, dtype, Fortran order, bytes."""


class _FlatArray(_Record):
    """Arguments: bytes, dtype, shape, order."""


class _Chumpy(_Record):
    pass


class _Select(_Record):
    pass


class _Sparse(_Record):
    pass


def _empty_array(*_: Any) -> _Record:
    return _Array()


def _new_record(kind: Any, *_: Any) -> _Record:
    if not (isinstance(kind, type) and issubclass(kind, _Record)):
        raise pickle.UnpicklingError("an object of an unknown class")
    return kind()


def _latin_bytes(text: Any, *_: Any) -> bytes:
    return str(text).encode("latin1")


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin_bytes,
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _empty_array),
            ("multiarray", "scalar", _Record),
            ("numeric", "_frombuffer", _FlatArray),
        )
    },
    **{(module, "_reconstructor"): _new_record for module in ("copy_reg", "copyreg")},
    # Every chumpy array carries an empty set.
    **{(module, name): _Record for module in ("__builtin__", "builtins") for name in ("object", "set", "frozenset")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "chumpy":
            return _Select if name == "Select" else _Chumpy
        if module.startswith("scipy.sparse") and re.fullmatch(r"cs[cr]_(matrix|array)", name):
            return _Sparse
        found = _KNOWN.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"{module}.{name} is not known")
        return found


def _from_bytes(data: Any, dtype: Any, shape: Any, fortran: bool) -> Array | None:
    if not isinstance(dtype, _Dtype) or not dtype.arguments or not _NUMERIC.fullmatch(str(dtype.arguments[0])):
        return None
    kind = np.dtype(str(dtype.arguments[0]))
    # State: version, byte order, and what only records and strings need.
    if isinstance(dtype.state, tuple) and len(dtype.state) > 1 and dtype.state[1] in ("<", ">"):
        kind = kind.newbyteorder(dtype.state[1])
    raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
    sides = (shape,) if isinstance(shape, int) else tuple(int(side) for side in shape)
    if any(side < 0 for side in sides) or math.prod(sides) * kind.itemsize != len(raw):
        raise ValueError("an array whose bytes do not fit its shape")
    values = np.frombuffer(raw, kind).reshape(sides, order="F" if fortran else "C")
    return values.astype(kind.newbyteorder("="))


def _numbers(value: Any) -> Array | None:
    """The values of an array, a chumpy array or a sparse matrix; None for anything else."""
    if isinstance(value, _Array) and isinstance(value.state, tuple) and len(value.state) == 5:
        _, shape, dtype, fortran, data = value.state
        return _from_bytes(data, dtype, shape, bool(fortran)) if isinstance(data, (bytes, str)) else None
    if isinstance(value, _FlatArray) and len(value.arguments) == 4:
        data, dtype, shape, order = value.arguments
        return _from_bytes(data, dtype, shape, order == "F") if isinstance(data, (bytes, bytearray)) else None
    if isinstance(value, _Chumpy):
        return _numbers(value.named("x"))
    if isinstance(value, _Select):
        source, chosen, shape = (
            _numbers(value.named("a")),
            _numbers(value.named("idxs")),
            value.named("preferred_shape"),
        )
        if source is None or chosen is None or not isinstance(shape, tuple):
            return None
        return source.ravel()[chosen.astype(np.int64)].reshape([int(side) for side in shape])
    if isinstance(value, _Sparse):
        return _dense(value)
    return None


def _dense(matrix: _Sparse) -> Array | None:
    shape = matrix.named("_shape") or matrix.named("shape")
    data, indices, pointers = (_numbers(matrix.named(name)) for name in ("data", "indices", "indptr"))
    if not isinstance(shape, tuple) or len(shape) != 2 or data is None or indices is None or pointers is None:
        return None
    rows, columns = (int(side) for side in shape)
    # Whether it was stored by columns or by rows follows from the number of pointers: no matrix here is square.
    by_column = len(pointers) == columns + 1
    if (
        not (0 < rows <= _MOST_ROWS and 0 < columns <= _MOST_COLUMNS)
        or len(pointers) != (columns if by_column else rows) + 1
    ):
        return None
    pointers = pointers.astype(np.int64)  # unsigned ones would wrap around
    counts = pointers[1:] - pointers[:-1]
    if counts.min() < 0 or counts.sum() != len(data) or len(data) != len(indices):
        return None
    outer = np.repeat(np.arange(len(counts)), counts)
    row, column = (indices, outer) if by_column else (outer, indices)
    if len(indices) and (indices.min() < 0 or indices.max() >= (rows if by_column else columns)):
        return None
    result = np.zeros((rows, columns))
    np.add.at(result, (row, column), data)
    return result


def read_numbers(file: IO[bytes]) -> dict[str, Array]:
    """The arrays with names of a pickled dictionary; whatever is not numbers is left out.

    Raises:
        ValueError: it is damaged, holds a class that is not known, or is no dictionary.
    """
    try:
        data = _Unpickler(file, encoding="latin1").load()
        if not isinstance(data, dict):
            raise ValueError("no arrays with names")
        found = {str(key): _numbers(value) for key, value in data.items()}
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise ValueError("not a pickle of arrays with names") from error
    return {name: array for name, array in found.items() if array is not None}
