"""Problems and states from one device to another."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TypeVar, cast

import torch
from torch import Tensor

Kept = TypeVar("Kept")


def on_device(value: Kept, device: torch.device) -> Kept:
    """The same dataclass, tuple or tensor with every tensor in it on a device; all else as it is."""
    return cast(Kept, _moved(value, device))


def _moved(value: object, device: torch.device) -> object:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, tuple):
        return tuple(_moved(part, device) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _moved(getattr(value, each.name), device) for each in fields(value)})
    return value
