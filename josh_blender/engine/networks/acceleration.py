"""Networks on graphics cards: half precision, compiled code, and batches that fit into the memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch

from ..gpu_memory import gpu_memory_error

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Items in one pass of a network: pictures or pairs.
_BATCH = {"cuda": 8}
#: CUDA cards from here on compute faster in float16 than in float32.
_FAST_HALF = (7, 0)
#: What this process has said already. Where the compiler failed once, nothing else is given to it.
_said: set[str] = set()


def half_type(device: str) -> torch.dtype | None:
    """What networks compute in on a device where float32 is slow: bfloat16 where the card has it, else float16, which
    the heads of MASt3R leave again; None where float32 is as fast."""
    if not device.startswith("cuda"):
        return None
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    if torch.cuda.get_device_capability() >= _FAST_HALF:
        _say_once("half", "This card has no bfloat16; the networks compute in float16.")
        return torch.float16
    _say_once("half", "This card is not faster in half precision; the networks compute in float32.")
    return None


def half_precision(device: str) -> AbstractContextManager[object]:
    """A context in which networks compute in half precision where that is fast, and in float32 elsewhere."""
    dtype = half_type(device)
    return nullcontext() if dtype is None else torch.autocast(device.split(":")[0], dtype=dtype)


def compiled(function: Callable[..., Result], device: str) -> Callable[..., Result]:
    """The function compiled for a CUDA card; as it is elsewhere, and from the first failure of the compiler on."""
    if not device.startswith("cuda"):
        return function
    fast: Callable[..., Result] | None = None

    def call(*arguments: object) -> Result:
        nonlocal fast
        if "compiler" in _said:
            return function(*arguments)
        try:
            fast = fast or torch.compile(function, dynamic=True)
            return fast(*arguments)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            # What fails without the compiler too is not the compiler's fault.
            result = function(*arguments)
            _say_once("compiler", f"torch.compile does not work here ({type(error).__name__}); going on without.")
            return result

    return call


class Batches:
    """Passes items through a network in batches that become smaller where the card's memory is too small."""

    def __init__(self, device: str, size: int | None = None) -> None:
        self.size = size or _BATCH.get(device.split(":")[0], 1)

    def run(self, items: Sequence[Item], function: Callable[[Sequence[Item]], Result]) -> Iterator[Result]:
        """The results of consecutive batches of ``items``.

        Raises:
            UserError: ``gpu_memory``, where not even one item fits.
        """
        done = 0
        while done < len(items):
            try:
                result = function(items[done : done + self.size])
            except torch.OutOfMemoryError as error:
                self._smaller(error)
                continue
            done += self.size
            yield result

    def _smaller(self, error: Exception) -> None:
        if self.size == 1:
            raise gpu_memory_error("this network, even for one pair of pictures at a time") from error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.size = max(1, self.size // 2)


def _say_once(topic: str, line: str) -> None:
    if topic not in _said:
        _said.add(topic)
        print(line, file=sys.stderr)
