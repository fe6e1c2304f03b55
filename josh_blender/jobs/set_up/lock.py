"""What exactly is installed: versions, hashes and sizes, as ``tools/make_engine_lock.py`` wrote them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .target import Target

LOCK_FILE = Path(__file__).with_name("engine_lock.json")
FORMAT = 1


@dataclass(frozen=True)
class Wheel:
    """A wheel by its file name.

    Attributes:
        sha256: None where only the index that serves it vouches for it.
        download, disk: bytes of the file, and of what it becomes; of another Python's wheel where ``sha256`` is None.
    """

    name: str
    sha256: str | None
    download: int
    disk: int


@dataclass(frozen=True)
class Package:
    """A pinned package with the wheels that suit a target, the one that pip prefers on a recent system first."""

    requirement: str
    wheels: tuple[Wheel, ...]

    @property
    def name(self) -> str:
        """Its name without the version."""
        return self.requirement.split("==")[0]

    @property
    def label(self) -> str:
        """For people: ``torch 2.13.0+cpu``."""
        return self.requirement.replace("==", " ")

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of the wheels; empty where they are not known."""
        return tuple(wheel.sha256 for wheel in self.wheels if wheel.sha256)

    @property
    def download(self) -> int:
        """Bytes to download."""
        return self.wheels[0].download

    @property
    def disk(self) -> int:
        """Bytes on the disk when it is installed."""
        return self.wheels[0].disk


@dataclass(frozen=True)
class Recipe:
    """Everything one environment is made from.

    Attributes:
        pip: what downloads and installs the rest; not part of the environment.
        models: the wheel whose pose models are taken out; not installed either.
        packages: what is installed.
    """

    target: Target
    pip: Package
    models: Package
    packages: tuple[Package, ...]

    @property
    def everything(self) -> tuple[Package, ...]:
        """All that is downloaded, in order."""
        return (self.pip, *self.packages, self.models)

    @property
    def download(self) -> int:
        """Bytes to download."""
        return sum(package.download for package in self.everything)

    @property
    def disk(self) -> int:
        """Bytes of the finished environment."""
        return sum(package.disk for package in self.packages)

    @property
    def room(self) -> int:
        """Bytes needed while it is made: the downloads lie beside it until it works."""
        return self.download + self.disk

    @property
    def hash(self) -> str:
        """Changes exactly when something else would be installed."""
        text = [[package.requirement, sorted(package.hashes)] for package in (self.models, *self.packages)]
        return hashlib.sha256(json.dumps(sorted(text)).encode()).hexdigest()


def recipe(target: Target, path: Path = LOCK_FILE) -> Recipe | None:
    """The recipe of a target; None where the lock has none.

    Raises:
        OSError, ValueError, KeyError: the lock is damaged.
    """
    lock = _read(path)
    names = lock["targets"].get(target.key)
    if names is None:
        return None
    # The models are the same in every system's wheel.
    models = _package(lock, lock["models"], None)
    return Recipe(
        target, _package(lock, lock["pip"], target), models, tuple(_package(lock, name, target) for name in names)
    )


@cache
def _read(path: Path) -> Any:
    lock = json.loads(path.read_text(encoding="utf-8"))
    if lock["format"] != FORMAT:
        raise ValueError("this lock is of another version")
    return lock


def _package(lock: Any, requirement: str, target: Target | None) -> Package:
    wheels = [Wheel(**entry) for entry in lock["packages"][requirement]]
    suited = [wheel for wheel in wheels if target is None or target.suits(wheel.name)]
    if not suited:
        raise ValueError(f"the lock has no wheel of {requirement}")
    return Package(requirement, tuple(sorted(suited, key=lambda wheel: platform_age(wheel.name), reverse=True)))


def platform_age(wheel: str) -> tuple[int, ...]:
    """The version of the system a wheel was built for, (0,) for any: pip prefers the newest that runs."""
    platform = wheel.removesuffix(".whl").split("-")[-1].replace("manylinux2014", "manylinux_2_17")
    versions = re.findall(r"(?:manylinux|macosx)_(\d+)_(\d+)", platform)
    return max((tuple(map(int, version)) for version in versions), default=(0,))
