"""The truth of a sequence without rendering it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.sample.shots import Composition, Shot, compose
from bench.sample.truth import TruthSettings, source_of, truth_scene, world_from_place
from josh_blender.scene4d.body import BodyModel, load_default_body
from josh_blender.scene4d.camera import invert_rigid, transform
from josh_blender.scene4d.scene import Scene4D

from .definitions import SEQUENCES, small

Array = NDArray[Any]


@dataclass(frozen=True)
class SequenceTruth:
    """A sequence in numbers: ``composition`` in the axes of its place, ``scene`` in the world of scene4d."""

    shot: Shot
    composition: Composition
    scene: Scene4D
    body: BodyModel

    @property
    def world_from_place(self) -> Array:
        """(4, 4)"""
        return world_from_place(self.composition)

    def ray_cast(self, origins: ArrayLike, directions: ArrayLike) -> Array:
        """Distances (N,) to the place along rays (N, 3) of the scene's world, in units of the direction, else inf."""
        place_from_world = invert_rigid(self.world_from_place)
        rays = np.asarray(directions, float) @ place_from_world[:3, :3].T
        starts = transform(place_from_world, np.broadcast_to(np.asarray(origins, float), rays.shape))
        return self.composition.place.ray_cast(starts, rays)[0]


def names() -> tuple[str, ...]:
    """The sequences of the benchmark."""
    return tuple(SEQUENCES)


def shot_of(name: str, is_small: bool = False) -> Shot:
    """The parameters of a sequence or of its small version.

    Raises:
        KeyError: there is no such sequence.
    """
    sequence = SEQUENCES[name]
    return small(sequence) if is_small else sequence.shot


def truth_of(name: str, small: bool = False) -> SequenceTruth:
    """The truth of a sequence; its scene has no cloud (`ray_cast` gives any point of the place).

    Raises:
        KeyError: there is no such sequence.
    """
    return truth_of_shot(shot_of(name, small))


def truth_of_shot(shot: Shot) -> SequenceTruth:
    """The truth of any shot."""
    body = load_default_body()
    composition = compose(shot, body)
    scene = truth_scene(shot, composition, body, source_of(shot), TruthSettings(points=0))
    return SequenceTruth(shot, composition, scene, body)
