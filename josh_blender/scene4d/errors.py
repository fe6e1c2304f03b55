"""The one error that reaches people: what is wrong, and what to do about it."""

from __future__ import annotations


class UserError(Exception):
    """A problem that the user can understand and act on.

    Attributes:
        kind: a stable identifier in snake_case, for programs (``missing_video``).
        message: one sentence that says what is wrong.
        remedy: one sentence that says what to do; empty where nothing can be done.
    """

    def __init__(self, kind: str, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.kind = kind
        self.message = message
        self.remedy = remedy


class SceneFormatError(UserError):
    """A 4D scene (or a body file) on disk is not what its format says."""

    def __init__(self, message: str, remedy: str = "Reconstruct the video again, or copy the folder anew.") -> None:
        super().__init__("invalid_scene", message, remedy)
