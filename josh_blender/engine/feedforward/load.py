"""A JOSH3R network together with the way its pictures are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..networks.josh3r import Josh3r
from ..networks.pictures import PictureFit, squeezed
from ..networks.weights import load_josh3r


@dataclass(frozen=True)
class FastNetwork:
    """The network, how a video's picture becomes its own, and least seconds between the frames of a pair."""

    network: Josh3r
    fit: PictureFit
    pair_seconds: float


def load_network(weights: Path, backbone: Path | None, device: str, size: tuple[int, int]) -> FastNetwork:
    """The network of a weight file for videos of a size (width, height).

    The public weights see the inner half of pictures, as the release feeds them; a network of `josh4d train` says
    itself what it was trained on.

    Raises:
        UserError: weights that are missing or wrong.
    """
    network, about = load_josh3r(weights, device, backbone)
    fit = squeezed(*size, inner_half=not about.whole_picture, long_side=about.long_side)
    return FastNetwork(network, fit, about.pair_seconds)
