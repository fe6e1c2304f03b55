"""Clothes for a naked body: a colour for every triangle, from the bone that moves it and where it lies at rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from josh_blender.scene4d.body import BodyModel
from josh_blender.scene4d.conventions import JOINT_NAMES

Array = NDArray[Any]
Color = tuple[int, int, int]


@dataclass(frozen=True)
class Outfit:
    """sRGB colours; ``stripe`` crosses the shirt every ``stripe_every`` metres (0 for none)."""

    shirt: Color
    trousers: Color
    shoes: Color
    hair: Color
    skin: Color
    stripe: Color = (240, 240, 240)
    stripe_every: float = 0.0
    long_sleeves: bool = False


OUTFITS: dict[str, Outfit] = {
    "blue": Outfit((36, 84, 170), (52, 54, 62), (236, 234, 228), (62, 40, 26), (214, 160, 128), (235, 200, 60), 0.11),
    "red": Outfit((196, 38, 44), (38, 62, 118), (40, 36, 34), (28, 22, 20), (166, 112, 82), long_sleeves=True),
    "green": Outfit((30, 128, 84), (150, 126, 92), (90, 50, 32), (150, 104, 52), (226, 176, 146), (20, 70, 50), 0.09),
    "yellow": Outfit((236, 186, 40), (60, 60, 66), (200, 60, 50), (48, 34, 26), (196, 140, 106)),
}

#: Names of what a triangle may show, in the order of `triangle_parts`.
PARTS = ("skin", "shirt", "stripe", "trousers", "shoes", "sole", "hair", "brow", "white", "eye", "lips", "belt")
_FIXED: dict[str, Color] = {
    "sole": (60, 58, 56),
    "white": (238, 236, 232),
    "eye": (40, 30, 24),
    "lips": (168, 74, 72),
    "belt": (40, 28, 22),
}


def part_color(outfit: Outfit, part: str) -> Color:
    """The sRGB colour of a part."""
    if part == "brow":
        return outfit.hair
    return _FIXED[part] if part in _FIXED else getattr(outfit, part)


def triangle_parts(body: BodyModel, betas: Array, outfit: Outfit) -> Array:
    """Index into ``PARTS`` (F,) of each triangle."""
    rest, joints = body.rest_vertices(betas), body.joints(betas)
    centre = rest[body.f].mean(axis=1)
    bone = np.argmax(body.weights[body.f].sum(axis=1), axis=1)
    at = {name: joints[number] for number, name in enumerate(JOINT_NAMES)}

    def moved_by(*names: str) -> Array:
        return np.isin(bone, [JOINT_NAMES.index(name) for name in names])

    def both(*parts: str) -> list[str]:
        return [f"{side}_{part}" for side in ("left", "right") for part in parts]

    parts = np.full(len(body.f), PARTS.index("skin"))
    waist = at["spine1"][1] + 0.01
    collar = at["neck"][1] + 0.005
    arm = moved_by(*both("elbow", "wrist", "hand"))
    torso = moved_by("pelvis", "spine1", "spine2", "spine3", "neck", *both("collar", "shoulder"))
    torso &= centre[:, 1] < collar
    sleeve = at["left_wrist"][0] - 0.01 if outfit.long_sleeves else at["left_elbow"][0] - 0.05
    torso &= np.abs(centre[:, 0]) < sleeve
    if outfit.long_sleeves:
        torso |= arm & (np.abs(centre[:, 0]) < sleeve)
    parts[torso] = PARTS.index("shirt")
    if outfit.stripe_every:
        banded = np.abs(centre[:, 0]) < at["left_shoulder"][0]
        parts[torso & banded & ((centre[:, 1] / outfit.stripe_every) % 1.0 < 0.28)] = PARTS.index("stripe")
    legs = moved_by("pelvis", *both("hip", "knee")) | (torso & (centre[:, 1] < waist))
    parts[legs & (centre[:, 1] < waist)] = PARTS.index("trousers")
    parts[legs & (np.abs(centre[:, 1] - waist + 0.015) < 0.018)] = PARTS.index("belt")
    ground = rest[:, 1].min()
    shoes = moved_by(*both("ankle", "foot", "knee")) & (centre[:, 1] < ground + 0.095)
    parts[shoes] = PARTS.index("shoes")
    parts[shoes & (centre[:, 1] < ground + 0.018)] = PARTS.index("sole")
    _paint_head(parts, centre - at["head"], moved_by("head", "neck"))
    _paint_eyes(parts, body, rest)
    return parts


def _paint_head(parts: Array, place: Array, head: Array) -> None:
    x, y, z = place.T
    scalp = (y > 0.105) | ((z < 0.005) & (y > -0.02)) | ((z < 0.035) & (y > 0.055))
    parts[head & scalp] = PARTS.index("hair")
    front = head & (z > 0.06)
    parts[front & (np.abs(y - 0.064) < 0.0045) & (np.abs(np.abs(x) - 0.03) < 0.018)] = PARTS.index("brow")
    parts[front & (np.abs(y + 0.032) < 0.009) & (np.abs(x) < 0.024) & (z > 0.088)] = PARTS.index("lips")


def _paint_eyes(parts: Array, body: BodyModel, rest: Array) -> None:
    """The eyeballs are small closed pieces of the mesh in the head; their front shows the iris."""
    label = _pieces(body.f, len(rest))
    for piece in np.unique(label):
        members = label == piece
        if members.sum() > 200:
            continue
        triangles = members[body.f[:, 0]]
        centre = rest[body.f[triangles]].mean(axis=1)
        middle = (rest[members].min(axis=0) + rest[members].max(axis=0)) / 2
        iris = np.linalg.norm((centre - middle)[:, :2], axis=-1) < 0.0085
        parts[triangles] = np.where(iris & (centre[:, 2] > middle[2]), PARTS.index("eye"), PARTS.index("white"))


def _pieces(triangles: Array, count: int) -> Array:
    """Connected pieces (V,) of a mesh, each named by its lowest vertex."""
    label = np.arange(count)
    while True:
        lowest = label[triangles].min(axis=1)
        new = label.copy()
        for corner in range(3):
            np.minimum.at(new, triangles[:, corner], lowest)
        if np.array_equal(new, label):
            return label
        label = new
