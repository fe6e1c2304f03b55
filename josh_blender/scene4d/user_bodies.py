"""Bodies that a scene does not carry: the shipped one, and users' own, converted once and kept in their data folder."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from .body import BodyModel, load_body, load_default_body


def user_bodies_folder() -> Path:
    """Where converted bodies are kept: in the user's data folder, or where ``JOSH4D_BODIES`` says."""
    chosen = os.environ.get("JOSH4D_BODIES")
    if chosen:
        return Path(chosen)
    homes: dict[str, Callable[[], Path]] = {
        "win32": lambda: Path(os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData" / "Local"))),
        "darwin": lambda: Path.home() / "Library" / "Application Support",
    }
    fallback = Path(os.environ.get("XDG_DATA_HOME", str(Path.home() / ".local" / "share")))
    return homes.get(sys.platform, lambda: fallback)() / "josh4d" / "bodies"


def find_body(body_id: str) -> BodyModel | None:
    """The shipped body or the user's of an id, None where there is none.

    Raises:
        SceneFormatError: the file is damaged.
    """
    shipped = load_default_body()
    if body_id == shipped.body_id:
        return shipped
    # The id comes from a scene, and a scene may come from a stranger.
    if re.fullmatch(r"[a-z0-9][a-z0-9-]*", body_id) is None:
        return None
    path = user_bodies_folder() / f"{body_id}.npz"
    return load_body(path) if path.is_file() else None
