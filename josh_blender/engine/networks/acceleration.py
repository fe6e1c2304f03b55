"""Networks on graphics cards: half precision, compiled code, and batches that fit into the memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch

from ...scene4d.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Items in one pass of a network: pictures or pairs.
_BATCH = {"cuda": 8}


def half_precision(device: str) -> Any:
    """A context in which networks compute in bfloat16 where that is fast, and in float32 elsewhere."""
    return torch.autocast(device.split(":")[0], dtype=torch.bfloat16, enabled=device.startswith("cuda"))


def compiled(function: Callable[..., Result], device: str) -> Callable[..., Result]:
    """The function compiled for a CUDA card; as it is elsewhere, and from the first failure of the compiler on."""
    if not device.startswith("cuda"):
        return function
    fast: Callable[..., Result] | None = torch.compile(function, dynamic=True)

    def call(*arguments: Any) -> Result:
        nonlocal fast
        if fast is not None:
            try:
                return fast(*arguments)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                print(f"torch.compile does not work here ({type(error).__name__}); going on without", file=sys.stderr)
                fast = None
        return function(*arguments)

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
            raise UserError(
                "gpu_memory",
                "The graphics card's memory is too small for this network, even for one pair of pictures at a time.",
                "Close other programs that use the card, or use --device cpu.",
            ) from error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.size = max(1, self.size // 2)
