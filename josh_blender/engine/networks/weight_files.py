"""Files of network weights: what is in one, without ever running anything in it.

safetensors hold numbers only, and torch files are read with ``weights_only``.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...scene4d.errors import UserError

#: Name of our own description in a file's metadata.
METADATA = "josh4d"
#: Buffers of the body model that the public JOSH3R file carries along; the network does not use them.
_IGNORED = ("smpl.",)


def read_weights(path: Path, header_only: bool = False) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state dict of a safetensors or torch file, and our own description of it where it carries one.

    header_only: the tensors are good for their shapes only; a file that was cut off is told within a second.

    Raises:
        UserError: ``missing_weights``, ``wrong_weights``.
    """
    if not path.is_file():
        raise UserError("missing_weights", f"There is no weight file “{path}”.", "Check the path.")
    try:
        if _is_safetensors(path):
            state, metadata = _read_safetensors(path, header_only)
        else:
            state, metadata = _read_torch(path, header_only), {}
    except (SafetensorError, ValueError, KeyError, RuntimeError, EOFError, OSError, json.JSONDecodeError) as error:
        raise not_weights(path) from error
    except Exception as error:
        # Unpickling refuses in many ways what is not only numbers.
        if type(error).__module__.split(".")[0] in ("pickle", "_pickle", "torch", "zipfile"):
            raise not_weights(path) from error
        raise
    return _public_names(state), metadata


def not_weights(path: Path) -> UserError:
    """What to say of a file that cannot be read."""
    return UserError(
        "wrong_weights",
        f"“{path.name}” is damaged, or not a file of network weights.",
        "Download it again; `josh4d weights` says which file is meant.",
    )


def _public_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every parameter under one name, a second decoder where only one was kept."""
    state = {key: value for key, value in state.items() if not key.startswith(_IGNORED)}
    for key in [key for key in state if ".scratch.layer_rn." in key]:
        # The public torch files hold these tensors under two names, safetensors under the other one only.
        head, _, rest = key.partition(".scratch.layer_rn.")
        number, _, kind = rest.partition(".")
        state.setdefault(f"{head}.scratch.layer{int(number) + 1}_rn.{kind}", state[key])
        del state[key]
    if any(".dec_blocks." in f".{key}" for key in state) and not any(".dec_blocks2." in f".{key}" for key in state):
        state |= {
            key.replace("dec_blocks.", "dec_blocks2."): value for key, value in state.items() if "dec_blocks." in key
        }
    return state


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path, header_only: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, framework="pt") as file:
        metadata = json.loads((file.metadata() or {}).get(METADATA, "{}"))
        names = list(file.keys())
        if header_only:
            return {key: torch.empty(file.get_slice(key).get_shape(), device="meta") for key in names}, metadata
        return {key: file.get_tensor(key) for key in names}, metadata


def _read_torch(path: Path, header_only: bool) -> dict[str, Tensor]:
    # Files of before 2020 are no archives, and can only be read whole.
    mapped = header_only and zipfile.is_zipfile(path)
    # The public MASt3R file keeps its command line in a Namespace, which is inert.
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    for name in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict):
        raise ValueError("no dictionary")
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
