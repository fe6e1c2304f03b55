"""Weight files that users bring: which are known, how they are read, and what is said of a wrong one.

Nothing in a file is ever run: safetensors hold numbers only, and torch files are read with ``weights_only``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...jobs.known_weights import known
from ...scene4d.errors import UserError
from .josh3r import ROI_SIZE, Josh3r
from .mast3r import Mast3r, Mast3rSizes
from .pictures import LONG_SIDE

#: Width of an attention head in the public networks; other networks of this layout say theirs in the metadata.
_HEAD_WIDTH = 64
_BACKBONE = "mast3r."
#: Buffers of the body model that the public JOSH3R file carries along; the network does not use them.
_IGNORED = ("smpl.",)
_METADATA = "josh4d"


@dataclass(frozen=True)
class NetworkFile:
    """What a weight file says about the network in it.

    kind: "mast3r" or "josh3r". whole_picture: the network was trained on whole pictures, not on their inner half.
    long_side: of the pictures it was trained on, px. pair_seconds: between the two frames of a pair.
    """

    kind: str
    sizes: Mast3rSizes
    roi_width: int = 256
    whole_picture: bool = False
    long_side: int = LONG_SIDE
    pair_seconds: float = 0.1


def missing_weights(name: str) -> UserError:
    """What to say where weights were not given."""
    entry = known(name)
    return UserError(
        "missing_weights",
        f"{entry.title} weights are needed and not given (licence: {entry.licence}).",
        f"Get them from {entry.page} and name the file with {entry.option}.",
    )


def check_weights_path(name: str, path: Path | None) -> None:
    """Refuse a run that will miss its weights, before anything is computed.

    Raises:
        UserError: ``missing_weights``.
    """
    if path is None:
        raise missing_weights(name)
    if not path.is_file():
        raise UserError("missing_weights", f"There is no file “{path}”.", f"Check the path of {known(name).option}.")


def load_mast3r(path: Path, device: str) -> Mast3r:
    """The network of a MASt3R file, or the backbone of a JOSH3R file, ready to be used.

    Raises:
        UserError: ``missing_weights``, ``wrong_weights``.
    """
    check_weights_path("mast3r", path)
    state, metadata = read_weights(path)
    if any(key.startswith(_BACKBONE) for key in state):
        state = {key.removeprefix(_BACKBONE): value for key, value in state.items() if key.startswith(_BACKBONE)}
    network = _described("mast3r", state, metadata, path)
    return _filled(Mast3r, (network.sizes,), state, path, "mast3r").to(device)


def load_josh3r(path: Path, device: str, backbone: Path | None = None) -> tuple[Josh3r, NetworkFile]:
    """The network of a JOSH3R file. One without the backbone, as `josh4d train` writes, needs the MASt3R file too.

    Raises:
        UserError: ``missing_weights``, ``wrong_weights``.
    """
    check_weights_path("josh3r", path)
    state, metadata = read_weights(path)
    if not any(key.startswith(_BACKBONE) for key in state):
        check_weights_path("mast3r", backbone)
        assert backbone is not None
        below, below_metadata = read_weights(backbone)
        state |= {_BACKBONE + key: value for key, value in below.items()}
        metadata = {**below_metadata, **metadata}
    network = _described("josh3r", state, metadata, path)
    return _filled(Josh3r, (network.sizes, network.roi_width), state, path, "josh3r").to(device), network


def describe_weights(path: Path) -> NetworkFile:
    """Which network a file holds, complete or not.

    Raises:
        UserError: it cannot be read, or holds neither.
    """
    state, metadata = read_weights(path)
    kind = "josh3r" if any(key.startswith("rel_trans_head.") for key in state) else "mast3r"
    if kind == "josh3r" and not any(key.startswith(_BACKBONE) for key in state):
        return _network_of(metadata, {}) or _unknown(path, "josh3r")
    network = _described(kind, state, metadata, path)
    if kind == "josh3r":
        _filled(Josh3r, (network.sizes, network.roi_width), state, path, kind, assign=False)
    else:
        _filled(Mast3r, (network.sizes,), state, path, kind, assign=False)
    return network


def save_josh3r(path: Path, network: Josh3r, about: NetworkFile, with_backbone: bool = False) -> None:
    """Write a JOSH3R network as safetensors, without its backbone unless asked for."""
    state = {key: value for key, value in network.state_dict().items() if with_backbone or _BACKBONE not in key}
    save_network(path, state, about)


def save_network(path: Path, state: Mapping[str, Tensor], about: NetworkFile) -> None:
    """Write a state dict as safetensors with its description; a file under that name is replaced whole."""
    whole = {key: value.detach().cpu().contiguous() for key, value in state.items() if ".scratch.layer_rn." not in key}
    partial = path.with_name(path.name + ".partial")
    save_file(whole, partial, metadata={_METADATA: json.dumps(asdict(about))})
    partial.replace(path)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state dict of a safetensors or torch file, and our own description of it where it carries one.

    Raises:
        UserError: ``missing_weights``, ``wrong_weights``.
    """
    if not path.is_file():
        raise UserError("missing_weights", f"There is no weight file “{path}”.", "Check the path.")
    try:
        state, metadata = _read_safetensors(path) if _is_safetensors(path) else (_read_torch(path), {})
    except (SafetensorError, ValueError, KeyError, RuntimeError, EOFError, OSError, json.JSONDecodeError) as error:
        raise _not_weights(path) from error
    except Exception as error:
        # Unpickling refuses in many ways what is not only numbers.
        if type(error).__module__.split(".")[0] in ("pickle", "_pickle", "torch", "zipfile"):
            raise _not_weights(path) from error
        raise
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
    return state, metadata


def _not_weights(path: Path) -> UserError:
    return UserError(
        "wrong_weights",
        f"“{path.name}” is damaged, or not a file of network weights.",
        "Download it again; `josh4d weights` says which file is meant.",
    )


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get(_METADATA, "{}")
        metadata = json.loads(text)
        return {key: file.get_tensor(key) for key in file.keys()}, metadata  # noqa: SIM118


def _read_torch(path: Path) -> dict[str, Tensor]:
    # The public MASt3R file keeps its command line in a Namespace, which is inert.
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(path, map_location="cpu", weights_only=True)
    for name in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict):
        raise ValueError("no dictionary")
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _described(kind: str, state: Mapping[str, Tensor], metadata: dict[str, Any], path: Path) -> NetworkFile:
    prefix = _BACKBONE if kind == "josh3r" else ""
    network = _network_of(metadata, {"kind": kind})
    if network is not None:
        return network
    try:
        sizes = _sizes_of({key.removeprefix(prefix): value for key, value in state.items()})
        if kind == "mast3r":
            return NetworkFile(kind, sizes)
        hidden = state["human_feat_extractor_1.fc1.weight"].shape[1] // (ROI_SIZE * ROI_SIZE)
    except (KeyError, IndexError) as error:
        _unknown(path, kind, str(error).strip("'"))
    return NetworkFile(kind, sizes, hidden)


def _network_of(metadata: dict[str, Any], changes: dict[str, Any]) -> NetworkFile | None:
    if not metadata:
        return None
    sizes: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in metadata["sizes"].items()
    }
    return replace(NetworkFile(**{**metadata, "sizes": Mast3rSizes(**sizes)}), **changes)


def _unknown(path: Path, kind: str, absent: str = "") -> Any:
    why = f" (“{absent}” is not in it)" if absent else ""
    raise UserError(
        "wrong_weights",
        f"“{path.name}” is not a {known(kind).title} file{why}.",
        f"Get it from {known(kind).page}.",
    )


def _sizes_of(state: Mapping[str, Tensor]) -> Mast3rSizes:
    """Widths and depths of a state dict without a description, whose heads are as wide as the public ones."""
    encoder, decoder = state["patch_embed.proj.weight"].shape[0], state["decoder_embed.weight"].shape[0]
    dpt = "downstream_head1.dpt."
    levels = tuple(state[f"{dpt}act_postprocess.{number}.0.weight"].shape[0] for number in range(4))
    return Mast3rSizes(
        encoder_width=encoder,
        encoder_depth=_depth(state, "enc_blocks"),
        encoder_heads=max(1, encoder // _HEAD_WIDTH),
        decoder_width=decoder,
        decoder_depth=_depth(state, "dec_blocks"),
        decoder_heads=max(1, decoder // _HEAD_WIDTH),
        descriptor=state["downstream_head1.head_local_features.fc2.bias"].shape[0] // 256 - 1,
        dpt_levels=(levels[0], levels[1], levels[2], levels[3]),
        dpt_width=state[f"{dpt}head.0.weight"].shape[1],
        dpt_last=state[f"{dpt}head.0.weight"].shape[0],
    )


def _depth(state: Mapping[str, Tensor], stack: str) -> int:
    numbers = {int(key.split(".")[1]) for key in state if key.startswith(f"{stack}.")}
    return max(numbers) + 1


def _filled(
    maker: Any, arguments: tuple[Any, ...], state: Mapping[str, Tensor], path: Path, kind: str, assign: bool = True
) -> Any:
    with torch.device("meta"):
        network: nn.Module = maker(*arguments)
    expected = {key: value for key, value in network.state_dict().items() if ".scratch.layer_rn." not in key}
    missing = [key for key in expected if key not in state and not key.endswith(("mask_token", "num_batches_tracked"))]
    other = [key for key in expected if key in state and expected[key].shape != state[key].shape]
    if missing or other:
        shown = ", ".join((missing or other)[:3]) + (" ..." if len(missing or other) > 3 else "")
        what = f"{len(missing)} of its parameters are missing" if missing else f"{len(other)} have another size"
        raise UserError(
            "wrong_weights",
            f"“{path.name}” is not a whole {known(kind).title} file: {what} ({shown}).",
            f"Get it from {known(kind).page}.",
        )
    if not assign:
        return network
    network = network.to_empty(device="cpu")
    whole = {key: state[key].to(value.dtype) if key in state else torch.zeros(value.shape, dtype=value.dtype)
             for key, value in expected.items()}  # fmt: skip
    network.load_state_dict(whole, strict=False)
    return network.eval().requires_grad_(False)
