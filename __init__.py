"""JOSH 4D Reconstruction: the Blender extension. Only registration lives here."""


def register() -> None:
    """Register operators, panels and the import menu with Blender."""
    from . import operators, panels

    operators.register()
    panels.register()


def unregister() -> None:
    """Take everything out of Blender again."""
    from . import operators, panels

    panels.unregister()
    operators.unregister()
