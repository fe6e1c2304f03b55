"""What differs on a graphics card, with the card's answers made up: half precision, the compiler, its memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny_networks import LONG_SIDE, tiny_network

from josh_blender.engine.feedforward.load import FastNetwork
from josh_blender.engine.networks import acceleration
from josh_blender.engine.networks.acceleration import compiled, half_precision, half_type
from josh_blender.engine.networks.pictures import squeezed
from josh_blender.engine.stages import lens
from josh_blender.engine.system_failures import explain_system_failure
from josh_blender.engine.training import features
from josh_blender.scene4d.errors import UserError


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "_said", set())


def a_card(monkeypatch: pytest.MonkeyPatch, bfloat: bool, capability: tuple[int, int]) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bfloat or including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)


def no_memory(*_: object, **__: object) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize(
    ("bfloat", "capability", "dtype", "line"),
    [
        (True, (9, 0), torch.bfloat16, ""),
        (False, (7, 5), torch.float16, "float16"),
        (False, (6, 1), None, "float32"),
    ],
)
def test_the_card_says_which_half_precision_it_has(
    bfloat: bool,
    capability: tuple[int, int],
    dtype: torch.dtype | None,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    a_card(monkeypatch, bfloat, capability)
    asked: list[tuple[str, torch.dtype]] = []
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype: asked.append((kind, dtype)))
    assert half_type("cuda:1") == half_type("cuda") == dtype
    half_precision("cuda:1")
    assert asked == ([("cuda", dtype)] if dtype else [])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == bool(line) and all(line in one for one in said)


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_elsewhere_nothing_changes(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", no_memory)
    with half_precision(device):
        assert (torch.ones(2) @ torch.ones(2)).dtype == torch.float32
    assert compiled(abs, device) is abs


def test_the_compiled_function_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def compiler(function: Callable[[int], int], dynamic: bool) -> Callable[[int], int]:
        made.append(function)
        return lambda value: 10 * function(value)

    monkeypatch.setattr(torch, "compile", compiler)
    call = compiled(abs, "cuda")
    assert [call(-1), call(-2)] == [10, 20] and made == [abs]


@pytest.mark.parametrize("when", ["made", "called"])
def test_a_compiler_that_fails_is_said_once_and_not_asked_again(
    when: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []

    def broken(*_: object) -> Any:
        raise RuntimeError("no C compiler")

    def compiler(function: Callable[..., Any], dynamic: bool) -> Callable[..., Any]:
        asked.append(function)
        return broken() if when == "made" else broken

    monkeypatch.setattr(torch, "compile", compiler)
    encode, decode = compiled(abs, "cuda"), compiled(len, "cuda")
    assert [encode(-3), encode(-4), decode("ab")] == [3, 4, 2] and asked == [abs]
    assert capsys.readouterr().err == "torch.compile does not work here (RuntimeError); going on without.\n"


def test_an_error_of_the_function_is_not_the_compilers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    with pytest.raises(TypeError, match="NoneType"):
        compiled(len, "cuda")(None)
    with pytest.raises(torch.OutOfMemoryError):
        compiled(no_memory, "cuda")()
    assert capsys.readouterr().err == ""


def test_the_lens_says_that_the_card_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network()
    monkeypatch.setattr(network.mast3r, "encode", no_memory)
    fast = FastNetwork(network, squeezed(480, 270, long_side=LONG_SIDE), 0.1)
    picture = np.zeros((270, 480, 3), np.uint8)
    with pytest.raises(UserError) as caught:
        lens.focal_of_pairs([(0, 1)], lambda frame: picture, fast, "cpu")
    assert caught.value.kind == "gpu_memory"


def test_features_say_that_the_card_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network()
    monkeypatch.setattr(network.mast3r, "decode", no_memory)
    pictures = [np.zeros((270, 480, 3), np.uint8)] * 2
    with pytest.raises(UserError) as caught:
        features.features_of(network, pictures, squeezed(480, 270, long_side=LONG_SIDE), "cpu")
    assert caught.value.kind == "gpu_memory"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_card_that_is_full_is_told_from_a_computer_that_is(error: Exception) -> None:
    """As wherever a network is moved to the card."""
    known = explain_system_failure(error)
    assert known is not None and known.kind == "gpu_memory" and "--device cpu" in known.remedy
    known = explain_system_failure(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert known is not None and known.kind == "out_of_memory"
