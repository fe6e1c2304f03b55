"""Networks from the weight files that users bring: which are known, and what is said of a wrong one."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ...jobs.known_weights import known
from ...scene4d.errors import UserError
from .josh3r import ROI_SIZE, Josh3r
from .mast3r import Mast3r, Mast3rSizes
from .pictures import LONG_SIDE
from .weight_files import METADATA, not_weights, read_weights

Network = TypeVar("Network", bound=nn.Module)

#: Width of an attention head in the public networks; other networks of this layout say theirs in the metadata.
_HEAD_WIDTH = 64
_BACKBONE = "mast3r."
#: Ends of names that a file may lack: nothing is computed with them.
_UNUSED = ("mask_token", "num_batches_tracked")
#: Names that stand in a message.
_NAMED = 3


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


@dataclass(frozen=True)
class _Read:
    """What was read for a network: its description, the tensors by the network's names, and what is odd about them."""

    about: NetworkFile
    state: dict[str, Tensor]
    notes: list[str]


def missing_weights(name: str) -> UserError:
    """What to say where weights were not given."""
    entry = known(name)
    return UserError(
        "missing_weights",
        f"{entry.title} weights are needed and not given (licence: {entry.licence}).",
        f"Get them from {entry.page} and name the file with {entry.option}.",
    )


def check_weights(name: str, path: Path | None, backbone: Path | None = None) -> list[str]:
    """Refuse weights that are absent, damaged or another network's, before anything is computed with them.

    Only names and sizes are read. Returns what is odd about files that can be used, in sentences.

    Raises:
        UserError: ``missing_weights``, ``wrong_weights``.
    """
    if name == "mast3r":
        return _read_mast3r(_present(name, path), header_only=True).notes
    return _read_josh3r(_present(name, path), backbone, header_only=True).notes


def load_mast3r(path: Path, device: str) -> Mast3r:
    """The network of a MASt3R file, or the backbone of a JOSH3R file, ready to be used.

    Raises:
        UserError: ``missing_weights``, ``wrong_weights``.
    """
    read = _read_mast3r(_present("mast3r", path))
    return _filled(_empty_mast3r(read.about), read.state).to(device)


def load_josh3r(path: Path, device: str, backbone: Path | None = None) -> tuple[Josh3r, NetworkFile]:
    """The network of a JOSH3R file. One without the backbone, as `josh4d train` writes, needs the MASt3R file too.

    Raises:
        UserError: ``missing_weights``, ``wrong_weights``.
    """
    read = _read_josh3r(_present("josh3r", path), backbone)
    return _filled(_empty_josh3r(read.about), read.state).to(device), read.about


def describe_weights(path: Path) -> tuple[NetworkFile, list[str]]:
    """Which network a file holds, and what is odd about it; JOSH3R's own part needs no backbone to be told.

    Raises:
        UserError: it cannot be read, or holds neither.
    """
    state, metadata = read_weights(path)
    if _looks_like(state) != "josh3r":
        read = _mast3r_of(path, state, metadata)
    else:
        _refuse_missing(path, "josh3r", state, _own_names())
        read = _josh3r_of(path, state, metadata, None)
    return read.about, read.notes


def save_josh3r(path: Path, network: Josh3r, about: NetworkFile, with_backbone: bool = False) -> None:
    """Write a JOSH3R network as safetensors, without its backbone unless asked for."""
    state = {key: value for key, value in network.state_dict().items() if with_backbone or _BACKBONE not in key}
    save_network(path, state, about)


def save_network(path: Path, state: Mapping[str, Tensor], about: NetworkFile) -> None:
    """Write a state dict as safetensors with its description; a file under that name is replaced whole."""
    whole = {key: value.detach().cpu().contiguous() for key, value in state.items() if ".scratch.layer_rn." not in key}
    partial = path.with_name(path.name + ".partial")
    save_file(whole, partial, metadata={METADATA: json.dumps(asdict(about))})
    partial.replace(path)


def _present(name: str, path: Path | None) -> Path:
    if path is None:
        raise missing_weights(name)
    if not path.is_file():
        raise UserError("missing_weights", f"There is no file “{path}”.", f"Check the path of {known(name).option}.")
    return path


def _read_mast3r(path: Path, header_only: bool = False) -> _Read:
    return _mast3r_of(path, *read_weights(path, header_only))


def _read_josh3r(path: Path, backbone: Path | None, header_only: bool = False) -> _Read:
    state, metadata = read_weights(path, header_only)
    # A file that is no JOSH3R at all is no reason to ask for another one.
    _refuse_missing(path, "josh3r", state, _own_names())
    if _has_backbone(state):
        return _josh3r_of(path, state, metadata, None)
    below_path = _present("mast3r", backbone)
    below = _read_mast3r(below_path, header_only)
    own = _josh3r_of(path, state, metadata, below.about.sizes)
    # The file says which sizes it was trained on.
    _check(below_path, "mast3r", below.state, _parameters(_empty_mast3r(own.about)))
    return _Read(own.about, own.state | _prefixed(below.state), [*own.notes, *below.notes])


def _mast3r_of(path: Path, state: Mapping[str, Tensor], metadata: dict[str, Any]) -> _Read:
    if _has_backbone(state):
        state = _backbone_of(state)
    about = _described(path, "mast3r", metadata) or NetworkFile("mast3r", _sizes_of(state))
    notes = _check(path, "mast3r", state, _parameters(_empty_mast3r(about)))
    return _Read(about, dict(state), notes)


def _josh3r_of(path: Path, state: dict[str, Tensor], metadata: dict[str, Any], below: Mast3rSizes | None) -> _Read:
    """A JOSH3R file, with its backbone or without; ``below``: sizes of a backbone in another file."""
    about = _described(path, "josh3r", metadata)
    alone = not _has_backbone(state) and bool(about or below)
    if about is None:
        about = NetworkFile("josh3r", below or _sizes_of(_backbone_of(state)), _roi_width_of(state))
    expected = _parameters(_empty_josh3r(about))
    if alone:
        expected = {key: value for key, value in expected.items() if not key.startswith(_BACKBONE)}
    return _Read(about, state, _check(path, "josh3r", state, expected))


def _check(path: Path, kind: str, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """What is odd about a file that holds everything.

    Raises:
        UserError: ``wrong_weights``.
    """
    _refuse_missing(path, kind, state, expected)
    other = [key for key in expected if key in state and expected[key].shape != state[key].shape]
    if other:
        sizes = [f"{key} is {_sides(state[key])}, expected {_sides(expected[key])}" for key in other]
        raise _wrong(path, kind, f"{len(other)} of {len(expected)} parameters have another size ({_some(sizes, '; ')})")
    unknown = [key for key in state if key not in expected]
    if not unknown:
        return []
    return [f"“{path.name}” holds what {known(kind).title} does not have and is not used: {_some(unknown)}."]


def _refuse_missing(path: Path, kind: str, state: Mapping[str, Tensor], expected: Collection[str]) -> None:
    needed = [key for key in expected if not key.endswith(_UNUSED)]
    missing = [key for key in needed if key not in state]
    if not missing:
        return
    holds = _looks_like(state)
    instead = f"; it looks like {known(holds).short}" if holds not in ("", kind) else ""
    raise _wrong(path, kind, f"{len(missing)} of {len(needed)} parameters are missing ({_some(missing)}){instead}")


def _wrong(path: Path, kind: str, why: str) -> UserError:
    entry = known(kind)
    return UserError(
        "wrong_weights",
        f"“{path.name}” is not a whole {entry.title} file: {why}.",
        f"Get it from {entry.page}, and name it with {entry.option}.",
    )


def _some(texts: Sequence[str], between: str = ", ") -> str:
    return between.join(texts[:_NAMED]) + (f"{between}..." if len(texts) > _NAMED else "")


def _sides(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"


def _looks_like(state: Mapping[str, Tensor]) -> str:
    """The name of the network that a file is of, whole or not; empty where it is neither."""
    if any(key.startswith("rel_trans_head.") for key in state):
        return "josh3r"
    return "mast3r" if any(key.startswith("downstream_head1.") for key in state) else ""


def _has_backbone(state: Mapping[str, Tensor]) -> bool:
    return any(key.startswith(_BACKBONE) for key in state)


def _backbone_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(_BACKBONE): value for key, value in state.items() if key.startswith(_BACKBONE)}


def _prefixed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {_BACKBONE + key: value for key, value in state.items()}


def _described(path: Path, kind: str, metadata: dict[str, Any]) -> NetworkFile | None:
    """What the file says of itself; None where it says nothing."""
    if not metadata:
        return None
    try:
        sizes: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in metadata["sizes"].items()
        }
        return replace(NetworkFile(**{**metadata, "sizes": Mast3rSizes(**sizes)}), kind=kind)
    except (KeyError, TypeError, AttributeError) as error:
        raise not_weights(path) from error


def _sizes_of(state: Mapping[str, Tensor]) -> Mast3rSizes:
    """Widths and depths of a state dict without a description, whose heads are as wide as the public ones; where they
    cannot be told, the public ones, which it will lack something of."""
    try:
        return _told_sizes(state)
    except (KeyError, IndexError, ValueError):
        return Mast3rSizes()


def _told_sizes(state: Mapping[str, Tensor]) -> Mast3rSizes:
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


def _roi_width_of(state: Mapping[str, Tensor]) -> int:
    return max(1, state["human_feat_extractor_1.fc1.weight"].shape[-1:].numel() // (ROI_SIZE * ROI_SIZE))


def _empty_mast3r(about: NetworkFile) -> Mast3r:
    with torch.device("meta"):
        return Mast3r(about.sizes)


def _empty_josh3r(about: NetworkFile) -> Josh3r:
    with torch.device("meta"):
        return Josh3r(about.sizes, about.roi_width)


def _own_names() -> list[str]:
    """Names of what JOSH3R has beside its backbone; they are the same at every size."""
    network = _empty_josh3r(NetworkFile("josh3r", Mast3rSizes(encoder_depth=1, decoder_depth=1)))
    return [key for key in network.state_dict() if not key.startswith(_BACKBONE)]


def _parameters(network: nn.Module) -> dict[str, Tensor]:
    return {key: value for key, value in network.state_dict().items() if ".scratch.layer_rn." not in key}


def _filled(network: Network, state: Mapping[str, Tensor]) -> Network:
    """An empty network with the tensors of a state dict, ready to be used."""
    expected = _parameters(network)
    whole = {key: state[key].to(value.dtype) if key in state else torch.zeros(value.shape, dtype=value.dtype)
             for key, value in expected.items()}  # fmt: skip
    network = network.to_empty(device="cpu")
    network.load_state_dict(whole, strict=False)
    return network.eval().requires_grad_(False)
