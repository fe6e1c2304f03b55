"""What a scene's folder says about itself, without its arrays: cheap enough to ask while a panel is drawn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from .errors import SceneFormatError
from .files import person_folder, read_description, read_source, resolve_scene_folder
from .ply import count_points
from .scene import Source


@dataclass(frozen=True)
class SceneSummary:
    """``frames`` are the people's frame counts, ``body_bytes`` the sizes of the bodies that travel with them;
    ``digest`` changes when the scene is solved again."""

    folder: Path
    name: str
    source: Source
    frames: tuple[int, ...]
    body_bytes: tuple[int, ...]
    uncertain: tuple[str, ...]
    points: int
    digest: str


def scene_digest(folder: Path) -> str:
    """A fingerprint of the take in a scene's folder; empty where there is none."""
    try:
        return hashlib.sha256((folder / "scene.json").read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def read_summary(path: Path) -> SceneSummary:
    """The summary of a folder, its ``scene.json`` or its pointer file.

    Raises:
        UserError: nothing there, or not a 4D scene.
        SceneFormatError: the description is damaged.
    """
    folder = resolve_scene_folder(path)
    data, _ = read_description(folder)
    frames, sizes, uncertain = [], [], []
    try:
        name = str(data["name"])
        for person in data["people"]:
            first, last = person["frame_range"]
            frames.append(int(last) - int(first) + 1)
            body = person_folder(folder, int(person["id"])) / "body.npz"
            sizes.append(body.stat().st_size if body.is_file() else 0)
            if not person["reliable"]:
                uncertain.append(str(person["label"]))
    except (KeyError, TypeError, ValueError) as error:
        raise SceneFormatError("scene.json: 'people' is not a list of people.") from error
    cloud = folder / "cloud.ply"
    points = count_points(cloud) if cloud.is_file() else 0
    return SceneSummary(
        folder, name, read_source(data), tuple(frames), tuple(sizes), tuple(uncertain), points, scene_digest(folder)
    )
