"""A device that is not the CPU, for tests without one: its tensors hold their numbers elsewhere, may not meet those of
the CPU, and NumPy cannot see them.

It goes by the name of torch's ``meta``, which no code here uses for anything else.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "meta"


class Elsewhere(torch.Tensor):
    """A tensor of the other device, with its numbers in ``inside``."""

    inside: torch.Tensor

    @staticmethod
    def __new__(cls, inside: torch.Tensor) -> Elsewhere:
        made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, inside.size(), strides=inside.stride(), storage_offset=inside.storage_offset(), dtype=inside.dtype,
            device=NAME,
        )  # fmt: skip
        made.inside = inside
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class OtherDevice:
    """While it is entered, tensors can be made on and moved to the other device."""

    def __enter__(self) -> OtherDevice:
        self._modes = ExitStack()
        self._modes.enter_context(_Operations())
        self._modes.enter_context(_Numbers())
        return self

    def __exit__(self, *error: object) -> None:
        self._modes.close()


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Numbers(TorchFunctionMode):
    """torch gives ``meta`` tensors from Python's numbers no contents, and lists none of a subclass."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.tolist:
            return args[0].to("cpu").tolist()
        if func is torch.Tensor.new_tensor:
            kwargs = {"dtype": args[0].dtype, "device": args[0].device, **kwargs}
            func, args = torch.tensor, args[1:]
        if func is torch.tensor:
            device = kwargs.pop("device", None) or "cpu"
            return torch.tensor(*args, **kwargs).to(device)
        return func(*args, **kwargs)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    elsewhere = [leaf for leaf in leaves if isinstance(leaf, Elsewhere)]
    moves = func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
    device = kwargs.get("device")
    asked = device is not None and torch.device(device).type == NAME
    if elsewhere and not moves and any(leaf.dim() > 0 for leaf in leaves if not isinstance(leaf, Elsewhere)):
        raise RuntimeError(f"{func}: tensors on different devices")
    if device is not None and not moves and elsewhere and not asked:
        raise RuntimeError(f"{func}: made on the CPU from a tensor elsewhere")
    if asked:
        kwargs = {**kwargs, "device": "cpu"}
    stays = asked or (bool(elsewhere) and (not moves or device is None))
    result = func(*tree_map(_inside, args), **tree_map(_inside, kwargs))
    if func._schema.is_mutable and func._schema.arguments[0].alias_info is not None:
        return args[0]
    if not stays:
        return result
    return tree_map(lambda leaf: Elsewhere(leaf) if isinstance(leaf, torch.Tensor) else leaf, result)


def _inside(leaf: Any) -> Any:
    return leaf.inside if isinstance(leaf, Elsewhere) else leaf
