"""Which build of torch an engine gets: one table for `make` and for Set Up in Blender."""

from __future__ import annotations

import urllib.error
import urllib.request

#: Where PyTorch's own wheel indices are.
PYTORCH_SITE = "download.pytorch.org"
#: PyTorch's own wheel indices. Without them, pip's default on Linux is a CUDA build of several GB.
WHEEL_INDEX = {
    "cpu": "https://download.pytorch.org/whl/cpu",
    "cu130": "https://download.pytorch.org/whl/cu130",
}


#: By system and device (`josh_blender.jobs.set_up.target`): the index that has the build, empty where pip's configured
#: sources have it. The general index has one build per system: CUDA for Linux, CPU for Windows, CPU and MPS for macOS.
TORCH_BUILDS = {
    ("linux-x86_64", "cpu"): "cpu",
    ("linux-x86_64", "cuda"): "",
    ("windows-amd64", "cpu"): "",
    ("windows-amd64", "cuda"): "cu130",
    ("macos-arm64", "cpu"): "",
}


def version_label(index: str) -> str:
    """What an index of PyTorch adds to torch's version: ``+cpu``; nothing for the general one."""
    return f"+{index}" if index else ""


def pip_options(index: str, timeout: float = 5.0) -> list[str]:
    """Options for ``pip install torch`` that add one of PyTorch's indices; ``index`` is a key of `WHEEL_INDEX`.

    Empty where PyTorch's index cannot be reached: pip then uses the sources it is configured with, instead of trying
    that index again and again for minutes.
    """
    address = WHEEL_INDEX[index]
    try:
        with urllib.request.urlopen(f"{address}/torch/", timeout=timeout):
            pass
    except (urllib.error.URLError, OSError):
        return []
    return ["--extra-index-url", address]
