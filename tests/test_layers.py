"""The layers of docs/development.md, checked in the source, and what the repository never names."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from josh_blender.jobs.torch_builds import WHEEL_INDEX

ROOT = Path(__file__).resolve().parents[1]
BLENDER_MODULES = frozenset(
    {"bpy", "bpy_extras", "bmesh", "mathutils", "gpu", "gpu_extras", "blf", "addon_utils", "bl_operators", "bl_ui"}
)
ENGINE_MODULES = frozenset(
    {"numpy", "scipy", "cv2", "av", "pycolmap", "ai_edge_litert", "torch", "safetensors", "accelerate"}
)


@dataclass(frozen=True)
class Layer:
    """What a folder may import beyond the standard library: outside packages, and parts of the project."""

    outside: frozenset[str]
    inside: tuple[str, ...]


LAYERS = {
    "josh_blender/scene4d": Layer(frozenset({"numpy"}), ("josh_blender.scene4d",)),
    "josh_blender/jobs": Layer(frozenset(), ("josh_blender.jobs",)),
    "josh_blender/engine": Layer(
        ENGINE_MODULES,
        (
            "josh_blender.engine",
            "josh_blender.scene4d",
            "josh_blender.jobs.protocol",
            "josh_blender.jobs.environment",
            "josh_blender.jobs.lifeline",
            "josh_blender.jobs.file_lock",
            "josh_blender.jobs.known_weights",
            "josh_blender.__version__",
        ),
    ),
    "josh_blender/blend": Layer(BLENDER_MODULES | {"numpy"}, ("josh_blender.blend", "josh_blender.scene4d")),
    "operators": Layer(
        BLENDER_MODULES, ("operators", "josh_blender.blend", "josh_blender.jobs", "josh_blender.scene4d")
    ),
    "panels": Layer(BLENDER_MODULES, ("panels", "josh_blender.blend", "josh_blender.jobs", "josh_blender.scene4d")),
}


@dataclass(frozen=True)
class Import:
    """An import as written: ``name`` is complete for relative ones too."""

    name: str
    relative: bool
    line: int


def imports_of(source: str, module: str, is_package: bool) -> Iterator[Import]:
    """Every import of a module's source, wherever it stands."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, False, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            if node.level:
                yield from (Import(f"{stem}.{alias.name}".lstrip("."), True, node.lineno) for alias in node.names)
            else:
                yield Import(stem, False, node.lineno)


def problems(source: str, module: str, is_package: bool, layer: Layer) -> list[str]:
    """What a module imports that its layer may not."""
    found = []
    for item in imports_of(source, module, is_package):
        if item.relative:
            allowed = any(item.name == part or item.name.startswith(f"{part}.") for part in layer.inside)
        else:
            top = item.name.split(".")[0]
            allowed = top in layer.outside or top in sys.stdlib_module_names
        if not allowed:
            found.append(f"line {item.line}: {item.name}")
    return found


def modules_of(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", LAYERS)
def test_layer_imports_only_what_it_may(folder: str) -> None:
    found = {}
    for path in modules_of(folder):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        wrong = problems(path.read_text(encoding="utf-8"), module, is_package, LAYERS[folder])
        if wrong:
            found[str(path.relative_to(ROOT))] = wrong
    assert not found


def test_extension_root_imports_without_blender() -> None:
    """The engine and the tests import the folder's packages, so its `__init__` must not need bpy at import."""
    path = ROOT / "__init__.py"
    if not path.exists():
        pytest.skip("the extension's root is not written yet")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert all(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in top)
    assert all(item.relative or item.name == "__future__" for item in imports_of(path.read_text(), "root", True))


@pytest.mark.parametrize(
    "source, wrong",
    [
        ("import bpy", 1),
        ("def f():\n    import torch", 1),
        ("import josh_blender.scene4d", 1),
        ("from josh_blender.scene4d import files", 1),
        ("from ..engine import results", 1),
        ("from .. import engine", 1),
        ("from ...operators import job", 1),
        ("import numpy.linalg\nimport os.path", 0),
        ("from .files import read_scene\nfrom . import camera", 0),
    ],
)
def test_check_notices_a_wrong_import(source: str, wrong: int) -> None:
    layer = LAYERS["josh_blender/scene4d"]
    assert len(problems(source, "josh_blender.scene4d.camera", False, layer)) == wrong


# --- what the repository never names ---------------------------------------------------------------------------------

#: The one place that names an index, and it names only PyTorch's own.
INDEX_FILE = "josh_blender/jobs/torch_builds.py"
PACKAGE_INDEX = re.compile(
    r"(?:https?|file)://[^\s\"'`)>]*(?:/simple\b|/whl\b|pypi\.org/simple|mirror|devpi|/wheels\b)"
)
#: Folders of one person or one machine.
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:home|root|Users|work|opt)/")


def texts_of_the_repository() -> Iterator[tuple[str, str]]:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listed.returncode != 0:
        pytest.skip("this is not a git clone")
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if not name or not path.is_file() or path.stat().st_size > 2_000_000:
            continue
        data = path.read_bytes()
        if b"\0" not in data:
            yield name, data.decode("utf-8", "replace")


def test_no_package_index_and_no_path_of_a_machine() -> None:
    found = []
    for name, text in texts_of_the_repository():
        if name == INDEX_FILE:
            assert {index.split("/")[2] for index in WHEEL_INDEX.values()} == {"download.pytorch.org"}
            for index in WHEEL_INDEX.values():
                text = text.replace(index, "")
        found += [f"{name}: {match.group()}" for match in PACKAGE_INDEX.finditer(text)]
        found += [f"{name}: {match.group()}" for match in MACHINE_PATH.finditer(text) if name != "tests/test_layers.py"]
    assert not found
