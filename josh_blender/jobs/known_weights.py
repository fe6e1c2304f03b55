"""Network weights that users bring: whose they are, where they are found, and what may be done with them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownWeights:
    """A public file. short: its name in a panel; title: that of the file; option: of the command line."""

    name: str
    short: str
    title: str
    page: str
    licence: str
    used_for: str

    @property
    def option(self) -> str:
        """The option of the command line that takes the file."""
        return f"--{self.name}-weights"


KNOWN = (
    KnownWeights(
        "josh3r",
        "JOSH3R",
        "JOSH3R",
        "https://github.com/genforce/JOSH (the JOSH3R checkpoint named in its README)",
        "no licence of its own; it contains MASt3R: CC BY-NC-SA 4.0, not for commercial use",
        "modes “josh3r” and “josh3r+”",
    ),
    KnownWeights(
        "mast3r",
        "MASt3R",
        "MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric",
        "https://huggingface.co/naver/MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric (model.safetensors), or "
        "https://github.com/naver/mast3r (the .pth file)",
        "CC BY-NC-SA 4.0: not for commercial use",
        "scene backend “mast3r”, training, and JOSH3R files that you trained yourself",
    ),
)

_OF_MODE = {"josh3r": "josh3r", "josh3r+": "josh3r"}
_OF_PRESET = {"mast3r": "mast3r"}


def known(name: str) -> KnownWeights:
    """The entry of `KNOWN` with that name."""
    return next(weights for weights in KNOWN if weights.name == name)


def needed_weights(mode: str, preset: str) -> str:
    """Name of the weights that a mode cannot run without; empty where it needs none. JOSH3R finds the scene itself,
    whatever the preset names for it."""
    return _OF_MODE.get(mode) or (_OF_PRESET.get(preset, "") if mode == "josh" else "")
