"""The wheels on their way: fetched one by one with pip, checked, and kept until the environment works."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from .lock import Package
from .pip_program import Pip

_CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Downloads:
    """A folder of complete wheels; what is unfinished lies in a folder of its own beneath it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._incoming = folder / "incoming"
        self.temporary = folder / "temporary"

    def begin(self) -> None:
        """Make the folder, and clear what an earlier set-up left unfinished.

        Raises:
            OSError: the disk.
        """
        for unfinished in (self._incoming, self.temporary):
            shutil.rmtree(unfinished, ignore_errors=True)
        self._incoming.mkdir(parents=True)
        self.temporary.mkdir()

    def kept(self, package: Package) -> Path | None:
        """The wheel of a package that is here already and whole; a damaged one is removed.

        A wheel without a hash in the lock came here only after pip had compared it with the index's.
        """
        for wheel in package.wheels:
            path = self.folder / wheel.name
            if not path.is_file():
                continue
            if wheel.sha256 is None or sha256_of(path) == wheel.sha256:
                return path
            path.unlink()
        return None

    def fetch(
        self, pip: Pip, package: Package, options: Sequence[str], on_progress: Callable[[int, int], None]
    ) -> Path:
        """Download a package's wheel; ``options`` are further ones of ``pip download``.

        Raises:
            PipFailed: pip could not, or the file has another hash.
            OSError: the disk.
        """
        wanted = self.temporary / "wanted.txt"
        hashes = "".join(f" --hash=sha256:{value}" for value in package.hashes)
        wanted.write_text(f"{package.requirement}{hashes}\n", encoding="utf-8")
        check = ["--require-hashes"] if hashes else []
        pip.run(
            ["download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", *check, *options,
             "--dest", str(self._incoming), "--requirement", str(wanted)],
            on_progress,
        )  # fmt: skip
        (arrived,) = self._incoming.iterdir()
        return arrived.replace(self.folder / arrived.name)

    def clear(self) -> None:
        """Everything is installed: nothing is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)
