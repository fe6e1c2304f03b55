"""Robust kernels on squared, sigma-scaled residuals: each gives the cost rho(s) and its slope, the weight of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Kernel(Protocol):
    """rho(s) and rho'(s) of squared norms s (...)."""

    def cost(self, squared: Tensor) -> Tensor: ...

    def weight(self, squared: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Cauchy:
    """c^2 log(1 + s / c^2): residuals beyond c sigmas lose weight, none is ever quite forgotten."""

    width: float = 2.0

    def cost(self, squared: Tensor) -> Tensor:
        return self.width**2 * torch.log1p(squared / self.width**2)

    def weight(self, squared: Tensor) -> Tensor:
        return 1.0 / (1.0 + squared / self.width**2)


@dataclass(frozen=True)
class GemanMcClure:
    """s / (1 + s / c^2): residuals far beyond c sigmas are forgotten (wrong contacts, wrong surfaces)."""

    width: float = 3.0

    def cost(self, squared: Tensor) -> Tensor:
        return squared / (1.0 + squared / self.width**2)

    def weight(self, squared: Tensor) -> Tensor:
        return 1.0 / (1.0 + squared / self.width**2) ** 2
