"""What is said where a graphics card's memory is too small."""

from __future__ import annotations

from ..scene4d.errors import UserError


def gpu_memory_error(what: str, first: str = "Close other programs that use the card") -> UserError:
    """The graphics card's memory is too small for ``what``; ``first``: what to try before the CPU."""
    return UserError(
        "gpu_memory", f"The graphics card's memory is too small for {what}.", f"{first}, or use --device cpu."
    )
