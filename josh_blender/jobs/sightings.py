"""Who is seen in a video, as the engine lists it after ``--only-people``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LONGEST = 1 << 20


@dataclass(frozen=True)
class Sighting:
    """A person: source frames, whether the track can be trusted and why not, and a picture, None where it is gone."""

    id: int
    first_frame: int
    last_frame: int
    reliable: bool
    reason: str
    picture: Path | None


def read_sightings(path: Path) -> list[Sighting]:
    """The people of a ``people.json``.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such list.
    """
    try:
        with path.open(encoding="utf-8") as file:
            data = json.loads(file.read(_LONGEST))
        return [_sighting(entry, path.parent) for entry in data["people"]]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path.name} does not list people: {error}") from error


def _sighting(entry: dict[str, Any], folder: Path) -> Sighting:
    # A name with folders in it would lead out of the list's own.
    picture = folder / Path(str(entry["picture"])).name
    return Sighting(
        id=int(entry["id"]),
        first_frame=int(entry["first_frame"]),
        last_frame=int(entry["last_frame"]),
        reliable=bool(entry["reliable"]),
        reason=str(entry["reason"]),
        picture=picture if picture.is_file() else None,
    )
