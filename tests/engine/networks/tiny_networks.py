"""Networks of the real layout with small random weights, as files a user could have."""

from __future__ import annotations

from pathlib import Path

import torch

from josh_blender.engine.networks.josh3r import Josh3r
from josh_blender.engine.networks.mast3r import Mast3rSizes
from josh_blender.engine.networks.weights import NetworkFile, save_josh3r, save_network

SIZES = Mast3rSizes(
    encoder_width=48, encoder_depth=1, encoder_heads=3, decoder_width=32, decoder_depth=2, decoder_heads=2,
    dpt_levels=(8, 8, 8, 8), dpt_width=8, dpt_last=4,
)  # fmt: skip
LONG_SIDE = 128
ABOUT = NetworkFile("josh3r", SIZES, 16, True, LONG_SIDE)


def tiny_network(seed: int = 0) -> Josh3r:
    """Random, standing still, seeing a place some metres away."""
    torch.manual_seed(seed)
    network = Josh3r(SIZES, ABOUT.roi_width).eval()
    network.start_at_rest()
    for head in (network.mast3r.downstream_head1, network.mast3r.downstream_head2):
        with torch.no_grad():
            head.dpt.head[4].bias.copy_(torch.tensor([0.0, 0.0, 1.5, 1.0]))
    return network


def write_josh3r(path: Path) -> Path:
    save_josh3r(path, tiny_network(), ABOUT, with_backbone=True)
    return path


def write_mast3r(path: Path) -> Path:
    save_network(path, tiny_network().mast3r.state_dict(), NetworkFile("mast3r", SIZES))
    return path
