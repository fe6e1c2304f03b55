"""The published losses of JOSH3R for batches of N persons, and one of ours: which way a person faces in each view.

How far somebody turned is a product of what both views show, of which neither alone says anything: trained on the
published losses only, a small network stays where it began. Once it sees which way people face, turns follow.

Where the release compares the second view's points, which the backbone gives in the first camera, with what the second
camera sees, everything here is taken to the first camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..networks.josh3r import PairMotion, rotation_of_rows

#: Metres added to a length before something is divided by it.
_LEAST_LENGTH = 1e-3
#: Feet and ankles of each side in the order of `labels.FEET`: the feet first.
_SIDES = ((0, 2), (1, 3))


@dataclass(frozen=True)
class LossWeights:
    """What each term counts; published: all the same, and no ``facing``. ``facing``, ``place``, ``contact`` and
    ``points`` are those of both views."""

    translation: float = 1.0
    rotation: float = 1.0
    facing: float = 1.0
    still: float = 1.0
    place: float = 1.0
    contact: float = 1.0
    points: float = 1.0

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of terms named as in `losses`."""
        return torch.stack([getattr(self, name.rstrip("_12")) * value for name, value in terms.items()]).sum()


def losses(motion: PairMotion, facing: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The terms, each a mean over the batch.

    facing: (N,2,6) two rows of the body's rotation in each camera.
    batch: the arrays of `features.person_arrays` and `features.read_features`, stacked.
    """
    terms = {
        "translation": (motion.relative_translation - batch["translation"]).abs().sum(dim=-1).mean(),
        "rotation": functional.mse_loss(motion.relative_rotation, batch["rotation"]),
        "still": still_feet(motion, batch["feet"]),
    }
    for view, (place, log_scale) in enumerate(
        ((motion.translation_1, motion.log_scale_1), (motion.translation_2, motion.log_scale_2))
    ):
        terms[f"facing_{view + 1}"] = functional.mse_loss(facing[:, view], batch["facing"][:, view])
        terms[f"place_{view + 1}"] = relative_error(place, batch["in_camera"][:, view]).mean()
        points = log_scale.exp()[:, None, None] * batch[f"points_{view + 1}"].detach()
        terms[f"contact_{view + 1}"] = torch.cdist(batch["in_first"][:, view], points).amin(dim=-1).mean()
        known = batch[f"known_{view + 1}"]
        seen = torch.isfinite(known).all(dim=-1)
        if bool(seen.any()):
            terms[f"points_{view + 1}"] = relative_error(points[seen], known[seen]).mean()
    return terms


def relative_error(value: Tensor, target: Tensor) -> Tensor:
    """Distance of points (...,3) from where they should be, as a share of how far away that is."""
    return (value - target).norm(dim=-1) / (target.norm(dim=-1) + _LEAST_LENGTH)


def still_feet(motion: PairMotion, feet: Tensor) -> Tensor:
    """How far the stiller foot, and the stiller ankle, moves between the two moments: one leg stands in every pair.

    feet (N,2,4,3): relative to the pelvis in the body's axes, at both moments.
    """
    rotation = rotation_of_rows(motion.relative_rotation)
    later = torch.einsum("nij,nkj->nki", rotation, feet[:, 1]) + motion.relative_translation[:, None]
    moved = (later - feet[:, 0]).norm(dim=-1)
    sides = torch.stack([moved[:, list(side)] for side in _SIDES], dim=1)
    return sides.amin(dim=1).mean()


def errors(motion: PairMotion, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Per person (N,): the motion's error in m, and its turn's error in radians."""
    wrong = rotation_of_rows(motion.relative_rotation) @ rotation_of_rows(batch["rotation"]).mT
    return (motion.relative_translation - batch["translation"]).norm(dim=-1), angle(wrong)


def angle(rotation: Tensor) -> Tensor:
    """Angle (...) of rotations (...,3,3), exact for small ones too."""
    skew = rotation - rotation.mT
    sine = torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], dim=-1).norm(dim=-1) / 2.0
    cosine = (rotation.diagonal(dim1=-2, dim2=-1).sum(dim=-1) - 1.0) / 2.0
    return torch.atan2(sine, cosine)
