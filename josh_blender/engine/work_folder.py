"""Where a scene's unfinished work lies: beside it while the pipeline runs, inside it (``stages/``) afterwards."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..jobs.file_lock import lock
from ..scene4d.errors import UserError

#: How systems say that another process holds a lock.
_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@dataclass(frozen=True)
class WorkFolder:
    """The places that belong to ``NAME.scene4d`` while it is made."""

    scene: Path

    @property
    def stages(self) -> Path:
        """The stage cache during a run."""
        return self.scene.with_name(self.scene.name + ".work")

    @property
    def sightings(self) -> Path:
        """The list of who is seen, with a picture of each beside it."""
        return self.stages / "seen" / "people.json"

    @property
    def log(self) -> Path:
        """The log during a run. Beside the work, because Windows cannot move a folder with an open file."""
        return self.scene.with_name(self.scene.name + ".log")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside, no other process works on this scene; a lock goes with its process, however that ends.

        Raises:
            UserError: another one does.
            OSError: the folder cannot be written.
        """
        path = self.scene.with_name(self.scene.name + ".lock")
        with path.open("a") as file:
            try:
                lock(file)
                # Whoever had it before may have removed the file between our opening and our locking it.
                held = not (path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()))
            except OSError as error:
                # A disk that knows no locks cannot tell, and must not keep anybody from working.
                held = error.errno in _HELD
            if held:
                raise UserError(
                    "scene_in_use",
                    f"“{self.scene.name}” is being made by another program already.",
                    "Wait for it or cancel it there, or choose another folder with --output.",
                )
            try:
                yield
            finally:
                # Windows does not remove what is open: the empty file stays there, and does no harm.
                with suppress(PermissionError):
                    path.unlink(missing_ok=True)

    def open(self) -> None:
        """Bring back the finished stages of an earlier scene; the scene itself stays as it is.

        Raises:
            OSError: the folder cannot be written.
        """
        finished = self.scene / "stages"
        if finished.is_dir() and not self.stages.exists():
            finished.replace(self.stages)
        self.stages.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Move the stages and the log into the complete scene."""
        finished = self.scene / "stages"
        shutil.rmtree(finished, ignore_errors=True)
        self.stages.replace(finished)
        if self.log.is_file():
            try:
                self.log.replace(self.scene / "run.log")
            except PermissionError:
                # Windows does not move a file that is open.
                shutil.copyfile(self.log, self.scene / "run.log")
