"""Weight files: what is read, what is refused, and in which words."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from josh_blender.engine.networks.josh3r import Josh3r
from josh_blender.engine.networks.mast3r import Mast3r, Mast3rSizes
from josh_blender.engine.networks.weights import (
    NetworkFile,
    describe_weights,
    load_josh3r,
    load_mast3r,
    save_josh3r,
    save_network,
)
from josh_blender.scene4d.errors import UserError

#: Heads as wide as the public ones, so that sizes follow from shapes alone.
PUBLIC_LIKE = Mast3rSizes(
    encoder_width=128, encoder_depth=1, encoder_heads=2, decoder_width=64, decoder_depth=4, decoder_heads=1,
    dpt_levels=(8, 8, 8, 8), dpt_width=8, dpt_last=4,
)  # fmt: skip


def equal(ours: nn.Module, theirs: nn.Module) -> bool:
    a, b = ours.state_dict(), theirs.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_the_public_layouts_are_read(tmp_path: Path) -> None:
    """The torch file with its namespace, and the safetensors file without the second names."""
    network = Mast3r(PUBLIC_LIKE)
    state = network.state_dict()
    torch.save({"args": argparse.Namespace(model="AsymmetricMASt3R"), "model": state}, tmp_path / "a.pth")
    kept = {key: value.clone() for key, value in state.items() if ".layer_rn." not in key}
    save_file(kept, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        loaded = load_mast3r(tmp_path / name, "cpu")
        assert equal(loaded, network)
        assert loaded.sizes == PUBLIC_LIKE and not loaded.training
        assert describe_weights(tmp_path / name).kind == "mast3r"


def test_a_file_without_a_second_decoder_uses_the_first_twice(tmp_path: Path) -> None:
    state = {key: value for key, value in Mast3r(PUBLIC_LIKE).state_dict().items() if "dec_blocks2" not in key}
    torch.save({"model": state}, tmp_path / "one.pth")
    loaded = load_mast3r(tmp_path / "one.pth", "cpu").state_dict()
    assert torch.equal(loaded["dec_blocks2.1.mlp.fc1.weight"], state["dec_blocks.1.mlp.fc1.weight"])


def test_a_public_josh3r_file_brings_its_backbone_and_its_body_is_left_alone(tmp_path: Path) -> None:
    network = Josh3r(PUBLIC_LIKE, roi_width=8)
    state = network.state_dict() | {"smpl.v_template": torch.zeros(6890, 3)}
    torch.save({"state_dict": state}, tmp_path / "josh3r.pth")
    loaded, about = load_josh3r(tmp_path / "josh3r.pth", "cpu")
    assert equal(loaded, network)
    assert not about.whole_picture and about.roi_width == 8
    assert equal(load_mast3r(tmp_path / "josh3r.pth", "cpu"), network.mast3r)


def test_our_own_file_leaves_the_backbone_out(tmp_path: Path) -> None:
    sizes = Mast3rSizes(**{**vars(PUBLIC_LIKE), "encoder_heads": 8, "decoder_heads": 4})
    network = Josh3r(sizes, roi_width=8)
    about = NetworkFile("josh3r", sizes, 8, whole_picture=True)
    save_network(tmp_path / "below.safetensors", network.mast3r.state_dict(), NetworkFile("mast3r", sizes))
    save_josh3r(tmp_path / "own.safetensors", network, about)
    loaded, said = load_josh3r(tmp_path / "own.safetensors", "cpu", tmp_path / "below.safetensors")
    assert equal(loaded, network) and said == about
    assert describe_weights(tmp_path / "own.safetensors") == about
    with pytest.raises(UserError, match="MASt3R") as caught:
        load_josh3r(tmp_path / "own.safetensors", "cpu")
    assert caught.value.kind == "missing_weights"


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    state = Mast3r(PUBLIC_LIKE).state_dict()
    del state["dec_norm.bias"], state["enc_blocks.0.attn.qkv.weight"]
    torch.save(state, tmp_path / "holes.pth")
    with pytest.raises(UserError, match="2 of its parameters are missing") as caught:
        load_mast3r(tmp_path / "holes.pth", "cpu")
    assert "enc_blocks.0.attn.qkv.weight" in str(caught.value) and "huggingface" in str(caught.value)
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="is not a MASt3R"):
        load_mast3r(tmp_path / "other.pth", "cpu")
    torch.save(Mast3r(PUBLIC_LIKE).state_dict(), tmp_path / "mast3r.pth")
    with pytest.raises(UserError, match=r"MASt3R|JOSH3R"):
        load_josh3r(tmp_path / "mast3r.pth", "cpu", None)


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this ran",)


@pytest.mark.parametrize("content", [b"", b"not weights at all", pickle.dumps({"model": _Evil()})])
def test_a_file_that_is_no_weights_is_refused_and_nothing_in_it_runs(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UserError, match="damaged, or not"):
        load_mast3r(tmp_path / "w.pth", "cpu")
    assert "this ran" not in capsys.readouterr().out


def test_a_call_inside_a_torch_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": _Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="damaged, or not"):
        load_mast3r(tmp_path / "evil.pth", "cpu")
    assert "this ran" not in capsys.readouterr().out


def test_no_file() -> None:
    with pytest.raises(UserError, match="There is no file"):
        load_mast3r(Path("nowhere.pth"), "cpu")
