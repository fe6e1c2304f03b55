"""Weight files: what is read, what is refused, and in which words."""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from josh_blender.engine.networks.josh3r import Josh3r
from josh_blender.engine.networks.mast3r import Mast3r, Mast3rSizes
from josh_blender.engine.networks.weights import (
    NetworkFile,
    check_weights,
    describe_weights,
    load_josh3r,
    load_mast3r,
    save_josh3r,
    save_network,
)
from josh_blender.engine.pipeline import check_before_start
from josh_blender.engine.settings import ReconstructSettings
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
        about, notes = describe_weights(tmp_path / name)
        assert about.kind == "mast3r" and notes == []


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
    assert describe_weights(tmp_path / "own.safetensors") == (about, [])
    with pytest.raises(UserError, match="MASt3R") as caught:
        load_josh3r(tmp_path / "own.safetensors", "cpu")
    assert caught.value.kind == "missing_weights"


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        action()
    assert caught.value.kind == "wrong_weights"
    return str(caught.value)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    state = Mast3r(PUBLIC_LIKE).state_dict()
    del state["dec_norm.bias"], state["enc_blocks.0.attn.qkv.weight"]
    torch.save(state, tmp_path / "holes.pth")
    said = refused(lambda: load_mast3r(tmp_path / "holes.pth", "cpu"))
    count = len(state) + 2 - len([key for key in state if ".layer_rn." in key or key == "mask_token"])
    assert f"“holes.pth” is not a whole MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric file: 2 of {count}" in said
    assert "(enc_blocks.0.attn.qkv.weight, dec_norm.bias)" in said
    assert "huggingface" in said and "--mast3r-weights" in said
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "other.pth")
    said = refused(lambda: load_mast3r(tmp_path / "other.pth", "cpu"))
    assert "“other.pth” is not a whole MASt3R" in said and "1008 of 1008 parameters are missing" in said


@pytest.mark.parametrize("given", [True, False])
def test_a_mast3r_file_in_the_place_of_josh3r_is_named_and_no_backbone_asked_for(tmp_path: Path, given: bool) -> None:
    path = tmp_path / "backbone.pth"
    torch.save(Mast3r(PUBLIC_LIKE).state_dict(), path)
    for action in (load_josh3r, lambda path, device, below: check_weights("josh3r", path, below)):
        said = refused(lambda action=action: action(path, "cpu", path if given else None))
        assert "“backbone.pth” is not a whole JOSH3R file" in said
        assert "285 of 287 parameters are missing (human_feat_extractor_1.conv1.weight, " in said
        assert "it looks like MASt3R" in said and "--josh3r-weights" in said and "--mast3r-weights" not in said


def test_the_file_at_fault_is_named_where_there_are_two(tmp_path: Path) -> None:
    network = Josh3r(PUBLIC_LIKE, roi_width=8)
    own, below = tmp_path / "own.safetensors", tmp_path / "below.pth"
    save_josh3r(own, network, NetworkFile("josh3r", PUBLIC_LIKE, 8))
    state = network.mast3r.state_dict()
    del state["dec_norm.bias"]
    torch.save(state, below)
    said = refused(lambda: load_josh3r(own, "cpu", below))
    assert "“below.pth” is not a whole MASt3R" in said and "(dec_norm.bias)" in said
    assert "looks like JOSH3R" in refused(lambda: load_mast3r(own, "cpu"))
    torch.save(Mast3r(replace(PUBLIC_LIKE, encoder_width=192)).state_dict(), below)
    said = refused(lambda: load_josh3r(own, "cpu", below))
    assert "“below.pth”" in said and "patch_embed.proj.weight is 192 x 3 x 16 x 16, expected 128 x 3 x 16 x 16" in said


def test_a_parameter_of_another_size_is_named_with_both_sizes(tmp_path: Path) -> None:
    state = Josh3r(PUBLIC_LIKE, roi_width=8).state_dict()
    state["rel_rot_head.head_layers.3.bias"] = torch.zeros(4)
    torch.save(state, tmp_path / "other.pth")
    said = refused(lambda: load_josh3r(tmp_path / "other.pth", "cpu"))
    assert "“other.pth”" in said and "1 of " in said and "parameters have another size" in said
    assert "(rel_rot_head.head_layers.3.bias is 4, expected 6)" in said


def test_what_no_network_of_the_kind_has_is_named_and_not_used(tmp_path: Path) -> None:
    path = tmp_path / "more.pth"
    network = Mast3r(PUBLIC_LIKE)
    torch.save(network.state_dict() | {"prediction_head.bias": torch.zeros(2)}, path)
    (note,) = check_weights("mast3r", path)
    assert "“more.pth”" in note and "prediction_head.bias" in note
    assert describe_weights(path)[1] == [note]
    assert equal(load_mast3r(path, "cpu"), network)


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
def test_a_file_that_was_cut_off_is_refused_before_the_run(tmp_path: Path, name: str) -> None:
    path, video = tmp_path / name, tmp_path / "video.mp4"
    state = {key: value.clone() for key, value in Mast3r(PUBLIC_LIKE).state_dict().items() if ".layer_rn." not in key}
    if name.endswith(".pth"):
        torch.save({"model": state}, path)
    else:
        save_file(state, path)
    video.write_bytes(b"any")
    settings = ReconstructSettings(video, tmp_path / "out", preset="mast3r", mast3r_weights=path)
    assert check_before_start(settings) == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    assert f"“{name}” is damaged" in refused(lambda: check_before_start(settings))


def test_the_check_before_the_run_reads_no_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Josh3r(PUBLIC_LIKE, roi_width=8)
    own, below = tmp_path / "own.safetensors", tmp_path / "below.pth"
    save_josh3r(own, network, NetworkFile("josh3r", PUBLIC_LIKE, 8))
    torch.save(network.mast3r.state_dict(), below)
    mapped: list[bool] = []
    real = torch.load

    def load(*arguments: Any, **words: Any) -> Any:
        mapped.append(words["mmap"])
        return real(*arguments, **words)

    monkeypatch.setattr(torch, "load", load)
    assert check_weights("josh3r", own, below) == [] and mapped == [True]
    with pytest.raises(UserError, match="licence") as caught:
        check_weights("josh3r", own)
    assert caught.value.kind == "missing_weights"


def test_a_description_that_is_none_is_refused(tmp_path: Path) -> None:
    state = {key: value.clone() for key, value in Mast3r(PUBLIC_LIKE).state_dict().items() if ".layer_rn." not in key}
    save_file(state, tmp_path / "odd.safetensors", metadata={"josh4d": json.dumps({"sizes": {"width": 3}})})
    assert "damaged" in refused(lambda: load_mast3r(tmp_path / "odd.safetensors", "cpu"))


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
