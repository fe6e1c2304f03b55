"""Results of stages on disk: written without pickle, found again by the content of everything they were made from.

A finished stage is a folder ``NAME-<key>`` with ``result.json``, ``arrays.npz`` and the stage's own files. It is built
as ``NAME-<key>.partial`` and renamed, so a folder under its final name is always whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

Result = TypeVar("Result")

_PACKAGE = Path(__file__).resolve().parents[1]
_KEY_LENGTH = 16


class DamagedResultError(Exception):
    """A stored result cannot be read: it is treated as absent, and the stage runs again."""


# --- one result ------------------------------------------------------------------------------------------------------


def save_result(folder: Path, result: object) -> None:
    """Write a dataclass of numbers, texts, arrays, lists and further dataclasses as ``result.json`` and ``arrays.npz``.

    Raises:
        TypeError: a value is none of these.
        OSError: the disk is full or the folder cannot be written.
    """
    arrays: dict[str, Any] = {}
    tree = _encode(result, "", arrays)
    # The arrays come first: result.json under its final name means that both files are whole.
    _replace(folder / "arrays.npz", lambda path: _write_arrays(path, arrays))
    _replace(folder / "result.json", lambda path: _write_text(path, json.dumps(tree, indent=1)))


def load_result(folder: Path, result_type: type[Result]) -> Result:
    """The result that `save_result` wrote, bit for bit.

    Raises:
        DamagedResultError: missing, damaged, or of another type.
    """
    try:
        tree = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        with np.load(folder / "arrays.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        result: Result = _decode(tree, result_type, arrays)
    except Exception as error:
        raise DamagedResultError(f"{folder.name}: {error}") from error
    return result


def _write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    partial = path.with_name(path.name + ".partial")
    write(partial)
    partial.replace(path)


def _encode(value: Any, name: str, arrays: dict[str, Any]) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _encode(getattr(value, field.name), f"{name}.{field.name}".lstrip("."), arrays)
            for field in fields(value)
        }
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError(f"{name} is an array of Python objects")
        arrays[name] = value
        return {"array": name}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_encode(item, f"{name}.{index}", arrays) for index, item in enumerate(value)]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"{name} has keys that are not texts")
        return {key: _encode(item, f"{name}.{key}", arrays) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name} is a {type(value).__name__}, which a result cannot hold")


def _decode(tree: Any, kind: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(tree, dict) and set(tree) == {"array"}:
        return arrays[tree["array"]]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        return kind(**{name: _decode(item, hints[name], arrays) for name, item in tree.items()})
    if origin in (typing.Union, types.UnionType):
        if tree is None:
            return None
        return _decode(tree, next(option for option in arguments if option is not type(None)), arrays)
    if isinstance(tree, list):
        if origin is tuple:
            items = arguments[:1] * len(tree) if arguments[1:] == (...,) else arguments
            return tuple(_decode(item, item_kind, arrays) for item, item_kind in zip(tree, items, strict=True))
        return [_decode(item, arguments[0] if arguments else Any, arrays) for item in tree]
    if isinstance(tree, dict):
        return {key: _decode(item, arguments[1] if arguments else Any, arrays) for key, item in tree.items()}
    return Path(tree) if kind is Path and tree is not None else tree


# --- keys ------------------------------------------------------------------------------------------------------------


def content_key(*parts: Any) -> str:
    """A short hash of settings dataclasses, texts, numbers, lists and dictionaries.

    A `Path` counts by what is in the file, so that a moved file keeps its key and an edited one loses it.
    """
    digest = hashlib.sha256(json.dumps([_describe(part) for part in parts], sort_keys=True).encode())
    return digest.hexdigest()[:_KEY_LENGTH]


def _describe(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _describe(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Path):
        return _file_hash(value) if value.is_file() else str(value)
    if isinstance(value, list | tuple):
        return [_describe(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _describe(item) for key, item in value.items()}
    return value


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_version(*sources: str) -> str:
    """Hash of the program text that a stage is made of: files or folders relative to the package ``josh_blender``."""
    digest = hashlib.sha256()
    for source in sources:
        path = _PACKAGE / source
        for file in [path] if path.suffix == ".py" else sorted(path.rglob("*.py")):
            digest.update(file.relative_to(_PACKAGE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:_KEY_LENGTH]


# --- the cache -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StageOutcome(Generic[Result]):
    """A stage's result, the folder with its files, and whether it was there already."""

    result: Result
    folder: Path
    reused: bool


class StageCache:
    """Finished stages in a work folder."""

    def __init__(self, work_folder: Path) -> None:
        self.work_folder = Path(work_folder)

    def run(
        self, stage: str, key: str, result_type: type[Result], function: Callable[[Path], Result]
    ) -> StageOutcome[Result]:
        """The stage's result: read where it was finished before, else made by ``function(folder)`` in a fresh folder.

        A stage that was killed leaves only a ``.partial`` folder, which the next run replaces.

        Raises:
            OSError: the disk is full or the work folder cannot be written.
            Exception: whatever ``function`` raises.
        """
        folder = self.work_folder / f"{stage}-{key}"
        try:
            return StageOutcome(load_result(folder, result_type), folder, True)
        except DamagedResultError:
            shutil.rmtree(folder, ignore_errors=True)
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            save_result(partial, function(partial))
        except BaseException:
            # On a full disk, a half stage only takes the room that the user needs to go on.
            shutil.rmtree(partial, ignore_errors=True)
            raise
        partial.replace(folder)
        # Read back: the rest of the run sees exactly what a continued run would see.
        return StageOutcome(load_result(folder, result_type), folder, False)
