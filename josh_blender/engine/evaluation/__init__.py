"""How far a 4D scene is from a known one. docs/evaluation.md defines every figure."""

from .compare import evaluate
from .table import table

__all__ = ["evaluate", "table"]
