"""Numeric facts of the public networks, beside the project; tests that use them skip where they are absent."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

from josh_blender.engine.networks.josh3r import Josh3r
from josh_blender.engine.networks.mast3r import Mast3r, Mast3rSizes

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "fixtures"
#: The reduced sizes that the reference numbers were made with.
TINY = Mast3rSizes(
    encoder_width=48, encoder_depth=2, encoder_heads=3, decoder_width=32, decoder_depth=12, decoder_heads=2,
    dpt_levels=(12, 24, 48, 96), dpt_width=32, dpt_last=16,
)  # fmt: skip
TINY_ROI = 24


def read(name: str) -> dict[str, Tensor]:
    """The tensors of a fixture file."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"the numbers of the public networks ({name}) are not here")
    return dict(load_file(path))


def mast3r_weights() -> dict[str, Tensor]:
    return {key: value.float() for key, value in read("mast3r_tiny_weights.safetensors").items()}


def josh3r_weights() -> dict[str, Tensor]:
    own = {
        key: value.float() if value.is_floating_point() else value
        for key, value in read("josh3r_tiny_weights.safetensors").items()
    }
    return own | {f"mast3r.{key}": value for key, value in mast3r_weights().items()}


def tiny_mast3r() -> Mast3r:
    network = Mast3r(TINY).eval().requires_grad_(False)
    network.load_state_dict(mast3r_weights())
    return network


def tiny_josh3r() -> Josh3r:
    network = Josh3r(TINY, TINY_ROI).eval().requires_grad_(False)
    network.load_state_dict(josh3r_weights())
    return network


def normalized(levels: Tensor) -> Tensor:
    """uint8 as the networks take it."""
    return (levels.float() / 255.0 - 0.5) / 0.5


def full_names(name: str) -> dict[str, list[int]]:
    """Name and shape of every parameter of a public network at full size."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"the names of the public parameters ({name}) are not here")
    lines = [line.split("\t") for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {line[0]: [int(side) for side in line[1].strip("[]").split(",") if side.strip()] for line in lines}
