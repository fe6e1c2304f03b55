"""The 4D scenes of the file: a list with their plates and states, and what can be done with them."""

from __future__ import annotations

import time

import bpy
import bpy.utils.previews

from ..josh_blender.blend.clip_files import clip_exists, clip_path
from ..josh_blender.blend.identity import (
    KIND_KEY,
    SCENE_KEY,
    active_root,
    find_parts,
    is_local,
    roots,
    select_only,
)
from ..josh_blender.blend.plate import find_clip
from ..josh_blender.blend.scene_folder import SceneState, state_of
from ..josh_blender.blend.takes import new_take
from ..josh_blender.scene4d.sequence import is_image

#: Seconds for which a state is taken as it was: panels are drawn at every move of the mouse, disks may be far.
_STATE_HOLDS = 2.0


class _Look:
    """Pictures and states of scenes, while the panels are registered."""

    def __init__(self) -> None:
        self.pictures = bpy.utils.previews.new()
        self._states: dict[int, tuple[float, SceneState]] = {}

    def close(self) -> None:
        """Free the pictures."""
        bpy.utils.previews.remove(self.pictures)

    def state(self, root: bpy.types.Object) -> SceneState:
        """The state of a scene, at most two seconds old."""
        now = time.monotonic()
        known = self._states.get(root.session_uid)
        if known is None or now - known[0] > _STATE_HOLDS:
            self._states[root.session_uid] = known = (now, state_of(root))
        return known[1]

    def forget(self) -> None:
        """Look at the disk again."""
        self._states.clear()

    def picture(self, root: bpy.types.Object) -> int:
        """The icon of a scene's plate; 0 where there is none."""
        clip = find_clip(root[SCENE_KEY], "undistorted") or find_clip(root[SCENE_KEY], "plate")
        if not clip_exists(clip):
            return 0
        path = str(clip_path(clip))
        if path not in self.pictures:
            self.pictures.load(path, path, "IMAGE" if is_image(clip_path(clip)) else "MOVIE")
        return int(self.pictures[path].icon_id)


def _sentences(root: bpy.types.Object, state: SceneState) -> list[str]:
    found = []
    if not is_local(root):
        found.append("Linked from another file")
    if state.folder is None:
        found.append("Scene folder missing")
    if state.plate_missing:
        found.append("Plate missing")
    if state.newer_take:
        found.append("A newer take is there")
    if state.uncertain:
        found.append(f"Uncertain: {', '.join(state.uncertain)}")
    return found


class JOSH4D_UL_scenes(bpy.types.UIList):
    """4D scenes among the objects of a Blender scene"""

    bl_idname = "JOSH4D_UL_scenes"

    def filter_items(self, context, data, propname):
        items = getattr(data, propname)
        shown = [self.bitflag_filter_item if item.get(KIND_KEY) == "root" else 0 for item in items]
        return shown, []

    def draw_item(self, context, layout, data, item, icon, active_data, active_propname, index=0, flt_flag=0):
        look = JOSH4D_PT_scenes.look
        state = look.state(item)
        row = layout.row(align=True)
        picture = look.picture(item)
        row.prop(item, "name", text="", emboss=False, icon_value=picture or layout.icon(item), translate=False)
        if state.newer_take:
            row.label(text="", icon="FILE_REFRESH")
        if state.folder is None or state.plate_missing:
            row.label(text="", icon="ERROR")
        if state.uncertain:
            row.label(text="", icon="QUESTION")
        row.operator("josh4d.select_scene", text="", icon="RESTRICT_SELECT_OFF", emboss=False).identity = item[
            SCENE_KEY
        ]


class JOSH4D_PT_scenes(bpy.types.Panel):
    """The 4D scenes of this file"""

    bl_idname = "JOSH4D_PT_scenes"
    bl_label = "4D Scenes"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "JOSH 4D"
    bl_order = 0

    #: Made and freed with the panel's registration.
    look = None

    def draw(self, context):
        layout = self.layout
        root = active_root(context)
        if roots(context.scene):
            layout.template_list(
                "JOSH4D_UL_scenes", "", context.scene, "objects", context.scene, "josh4d_scene", rows=2
            )
        if root is not None:
            _draw_state(layout, root, self.look)
        row = layout.row(align=True)
        # Its settings are the next panel; from there the button starts at once.
        row.operator("josh4d.reconstruct", text="Reconstruct", icon="PLAY")
        row.operator("josh4d.import_scene", text="Import", icon="IMPORT")
        if root is None:
            return
        row = layout.row(align=True)
        row.operator("josh4d.update_scene", icon="FILE_REFRESH")
        row.operator("josh4d.remove_scene", icon="X")


def _draw_state(layout: bpy.types.UILayout, root: bpy.types.Object, look: _Look) -> None:
    state = look.state(root)
    picture = look.picture(root)
    row = layout.row()
    if picture:
        row.template_icon(icon_value=picture, scale=4.0)
    column = row.column(align=True)
    for sentence in _sentences(root, state) or ["Up to date"]:
        column.label(text=sentence)
    if state.plate_missing:
        layout.operator("josh4d.find_plate", icon="FILE_MOVIE")
    if state.folder is None:
        layout.operator("josh4d.find_scene", icon="FILE_FOLDER")
    for item in find_parts(root, ("armature", "camera")):
        if new_take(item) is None and (item.type != "CAMERA" or new_take(item.data) is None):
            continue
        box = layout.box()
        box.label(text=f"{item.name}: your keys, or the new take?", icon="QUESTION", translate=False)
        row = box.row(align=True)
        for choice, text in (("MINE", "Keep Mine"), ("NEW", "Use New Take")):
            button = row.operator("josh4d.choose_take", text=text)
            button.owner, button.choice = item.name, choice


class JOSH4D_PT_people(bpy.types.Panel):
    """The people of the active 4D scene"""

    bl_idname = "JOSH4D_PT_people"
    bl_label = "People"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "JOSH 4D"
    bl_order = 2

    @classmethod
    def poll(cls, context):
        return active_root(context) is not None

    def draw(self, context):
        layout = self.layout
        column = layout.column(align=True)
        for armature in find_parts(active_root(context), ("armature",)):
            row = column.row()
            row.label(text=armature.name, icon="ARMATURE_DATA", translate=False)
            row.label(text=f"{armature.get('josh4d_height', 0.0):.2f} m", translate=False)
            if not armature.get("josh4d_reliable", True):
                column.label(text=armature.get("josh4d_reason") or "Uncertain", icon="ERROR")
        layout.operator("josh4d.fit_skeleton")


def _shown_index(scene: bpy.types.Scene) -> int:
    root = active_root(bpy.context)
    return scene.objects.find(root.name) if root is not None else -1


def _choose_index(scene: bpy.types.Scene, index: int) -> None:
    # Selecting would leave the mode the artist works in.
    if bpy.context.mode == "OBJECT" and 0 <= index < len(scene.objects):
        select_only(bpy.context, scene.objects[index])


CLASSES = (JOSH4D_UL_scenes, JOSH4D_PT_scenes, JOSH4D_PT_people)


def register() -> None:
    """Register the list, the panels, and what makes a row of the list the active scene."""
    for one in CLASSES:
        bpy.utils.register_class(one)
    JOSH4D_PT_scenes.look = _Look()
    bpy.types.Scene.josh4d_scene = bpy.props.IntProperty(
        name="4D Scene", description="The 4D scene of the active object", get=_shown_index, set=_choose_index,
        options={"SKIP_SAVE"},
    )  # fmt: skip


def unregister() -> None:
    """The reverse of `register`."""
    del bpy.types.Scene.josh4d_scene
    JOSH4D_PT_scenes.look.close()
    JOSH4D_PT_scenes.look = None
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
