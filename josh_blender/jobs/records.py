"""Which jobs were under way: a small file each, locked while its Blender lives, so that a crash can be told from work.

The operating system releases a lock when its process ends, however it ended.
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from .file_lock import lock
from .queue import JobRequest

_LONGEST = 1 << 20


@dataclass(frozen=True)
class LostJob:
    """A job that was under way when its Blender ended, and the record of it."""

    request: JobRequest
    path: Path

    def forget(self) -> None:
        """Remove the record."""
        self.path.unlink(missing_ok=True)


class JobRecord:
    """The record of a job of this process; locked until `close`."""

    def __init__(self, folder: Path, request: JobRequest) -> None:
        """Write the record.

        Raises:
            OSError: the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{uuid.uuid4().hex}.job.json"
        # Locked before it has a text: an empty record is never taken for a lost job.
        self._file = self._path.open("w", encoding="utf-8")
        lock(self._file)
        json.dump(request.as_json(), self._file)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Release the lock; the record stays, for the next start to find."""
        self._file.close()

    def remove(self) -> None:
        """The job has ended: forget it."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def lost_jobs(folder: Path) -> list[LostJob]:
    """The jobs whose Blender ended before them, oldest first; unreadable records are removed."""
    found = []
    for path in sorted(folder.glob("*.job.json"), key=_modified):
        try:
            with path.open("r+", encoding="utf-8") as file:
                lock(file)
                request = JobRequest.from_json(json.loads(file.read(_LONGEST)))
        except OSError:
            # Another Blender holds it, or it is gone.
            continue
        except (ValueError, RecursionError):
            path.unlink(missing_ok=True)
            continue
        found.append(LostJob(request, path))
    return found


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
