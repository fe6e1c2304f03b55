"""The objects of a 4D scene in a Blender scene: found by their id properties, made where they are missing."""

from __future__ import annotations

import bpy

from .identity import KIND_KEY, SCENE_KEY, find_part, mark

#: On the root: the parts that were ever made, so that those the artist deleted are told from new ones.
_MADE_KEY = "josh4d_made"


class Parts:
    """The parts of one 4D scene. ``bring_back``: make parts again that the artist deleted."""

    def __init__(
        self, scene: bpy.types.Scene, root: bpy.types.Object | None, identity: str, name: str, bring_back: bool
    ) -> None:
        self._scene = scene
        self._identity = identity
        self._name = name
        self._bring_back = bring_back
        self.is_new = root is None
        self.root = root or self._make_root()

    def _make_root(self) -> bpy.types.Object:
        root = bpy.data.objects.new(self._name, None)
        root.empty_display_type, root.empty_display_size = "ARROWS", 0.5
        mark(root, self._identity, "root")
        self._home("Helpers").objects.link(root)
        return root

    def find(self, kind: str, person: int = 0) -> bpy.types.Object | None:
        """A part, None where it is missing."""
        return find_part(self.root, kind, person)

    def may_make(self, kind: str, person: int = 0) -> bool:
        """Whether a missing part may be made: it never was, or may be brought back."""
        return self._bring_back or f"{kind} {person}" not in self.root.get(_MADE_KEY, "").split(",")

    def add(
        self, item: bpy.types.Object, parent: bpy.types.Object | None, home: str, kind: str, person: int = 0
    ) -> None:
        """Take a new object in: its properties, its parent where one is given, its collection by name."""
        if parent is not None:
            item.parent = parent
        mark(item, self._identity, kind, person)
        made = {*self.root.get(_MADE_KEY, "").split(","), f"{kind} {person}"} - {""}
        self.root[_MADE_KEY] = ",".join(sorted(made))
        self._home(home).objects.link(item)

    def _home(self, name: str) -> bpy.types.Collection:
        top = self._collection(self._scene.collection, "collection", self._name)
        return self._collection(top, name.lower(), name)

    def _collection(self, parent: bpy.types.Collection, kind: str, name: str) -> bpy.types.Collection:
        # The artist may have moved it anywhere in this scene.
        for collection in self._scene.collection.children_recursive:
            if collection.get(SCENE_KEY) == self._identity and collection.get(KIND_KEY) == kind:
                return collection
        collection = bpy.data.collections.new(name)
        mark(collection, self._identity, kind)
        parent.children.link(collection)
        return collection

    def homes(self) -> None:
        """Make all collections of a new scene, so that the artist finds the same structure every time."""
        for name in ("People", "Camera", "Place", "Helpers"):
            self._home(name)
