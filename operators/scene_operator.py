"""What the operators about the active 4D scene share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

from ..josh_blender.blend.identity import active_root
from ..josh_blender.blend.import_options import ImportReport
from ..josh_blender.scene4d.errors import UserError


class ActiveScene:
    """An operator about the 4D scene of the active object."""

    @classmethod
    def poll(cls, context):
        if active_root(context) is None:
            cls.poll_message_set("Select something of a 4D scene")
            return False
        return True


@contextmanager
def refusals(operator: bpy.types.Operator) -> Iterator[None]:
    """Report what is refused inside as one sentence."""
    try:
        yield
    except UserError as error:
        # Any JSON file may be dropped: one that is no scene is no fault.
        operator.report({"WARNING"} if error.kind == "not_a_scene" else {"ERROR"}, str(error))
    except OSError as error:
        operator.report({"ERROR"}, f"The scene cannot be read: {error.strerror}.")


def tell(operator: bpy.types.Operator, report: ImportReport, verb: str) -> None:
    """Say what an import has to say."""
    for warning in report.warnings:
        operator.report({"WARNING"}, warning)
    for label in report.kept:
        operator.report({"WARNING"}, f"{label} has keys of yours, which stay; choose in the panel 4D Scenes.")
    operator.report({"INFO"}, f"{verb} {report.root.name}.")
