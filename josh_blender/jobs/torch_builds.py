"""Which build of torch an engine gets: one table for `make` and for Set Up in Blender."""

from __future__ import annotations

import urllib.error
import urllib.request

#: PyTorch's own wheel index by device. Without it, pip's default on Linux is a CUDA build of several GB.
WHEEL_INDEX = {"cpu": "https://download.pytorch.org/whl/cpu"}


def pip_options(device: str, timeout: float = 5.0) -> list[str]:
    """Options for ``pip install torch`` that prefer the build of a device.

    Empty where PyTorch's index cannot be reached: pip then uses the sources it is configured with, instead of trying
    that index again and again for minutes.
    """
    index = WHEEL_INDEX[device]
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=timeout):
            pass
    except (urllib.error.URLError, OSError):
        return []
    return ["--extra-index-url", index]
