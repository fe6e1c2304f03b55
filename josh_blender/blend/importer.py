"""A 4D scene into a Blender scene: people, camera, plate and place under one root, in one collection.

Importing the same scene again updates it in place. Datablocks are known by their id properties (`identity`).
"""

from __future__ import annotations

import bpy
import numpy as np

from ..scene4d.errors import UserError
from ..scene4d.files import read_scene
from ..scene4d.ply import thin
from ..scene4d.scene import Scene4D
from ..scene4d.user_bodies import find_body
from . import scene_settings
from .camera import Lens, create_camera, write_camera
from .cloud import create_cloud, set_viewport_share, update_cloud
from .context import object_mode
from .identity import check_local, find_root, mark, scene_identity
from .import_options import ImportOptions, ImportReport
from .parts import Parts
from .people import PeopleImporter
from .plate import write_plate
from .scene_folder import find_folder, remember_folder
from .timing import Timing

_CHOICES_KEY = "josh4d_choices"
_CHOICES = ("people", "camera", "plate", "retime")


def import_scene(
    context: bpy.types.Context,
    scene4d: Scene4D,
    options: ImportOptions | None = None,
    root: bpy.types.Object | None = None,
) -> ImportReport:
    """Import a 4D scene, or update it where the file has it already (or in place of ``root``).

    Colour management is never touched; selection, mode and current frame stay. Of an earlier import, names, materials,
    modifiers, parents, visibility, constraints, NLA tracks, edited keys and the root's place stay.

    Raises:
        UserError: the 4D scene in this file is linked from another file.
    """
    options = options or ImportOptions()
    scene = context.scene
    identity = scene_identity(scene4d)
    root = root or find_root(scene, identity)
    if root is not None:
        check_local(root)
    empty = root is None and scene_settings.is_empty(scene)
    set_rate, set_range, set_resolution, set_camera = scene_settings.resolve(options, empty)
    if set_rate:
        scene_settings.set_frame_rate(scene, scene4d.source)
    retimed = options.retime and not scene_settings.runs_at(scene, scene4d.source)
    timing = Timing(options.start_frame, scene_settings.scene_fps(scene) if retimed else None)
    frames = timing.blender_frames(scene4d.camera, scene4d.camera.frame)
    lens: Lens | None = None

    with object_mode(context):
        parts = Parts(scene, root, identity if root is None else root["josh4d_scene"], scene4d.name, options.bring_back)
        if parts.is_new:
            parts.homes()
            parts.root.scale = (scene_settings.unit_scale(scene) * options.scale,) * 3
        _remember(parts.root, scene4d, options)
        report = ImportReport(parts.root, list(scene4d.warnings))
        if options.people:
            _import_people(context, parts, scene4d, timing, report)
        if options.camera:
            lens = _import_camera(parts, scene4d, frames, timing, options, report)
        if options.most_points != 0:
            _import_cloud(parts, scene4d, options)

    if set_range:
        scene_settings.set_frame_range(scene, frames, empty)
    if set_resolution:
        scene_settings.set_resolution(scene, scene4d.source, lens)
    if set_camera and lens is not None:
        scene.camera = parts.find("camera")
    report.warnings += scene_settings.mismatches(scene, scene4d, frames, retimed)
    return report


def _remember(root: bpy.types.Object, scene4d: Scene4D, options: ImportOptions) -> None:
    remember_folder(root, scene4d)
    root["josh4d_start_frame"] = options.start_frame
    root["josh4d_first_frame"] = int(scene4d.camera.frame[0])
    root[_CHOICES_KEY] = ",".join(name for name in _CHOICES if getattr(options, name))
    root["josh4d_most_points"] = -1 if options.most_points is None else options.most_points


def options_of(root: bpy.types.Object) -> ImportOptions:
    """The options that update a 4D scene as it was imported, leaving the settings of the Blender scene alone."""
    choices = root.get(_CHOICES_KEY, "people,camera,plate").split(",")
    most_points = int(root.get("josh4d_most_points", -1))
    return ImportOptions(
        start_frame=int(root.get("josh4d_start_frame", 1)),
        frame_rate=False,
        frame_range=False,
        resolution=False,
        active_camera=False,
        most_points=None if most_points < 0 else most_points,
        bring_back=False,
        **{name: name in choices for name in _CHOICES},
    )


def update_scene(context: bpy.types.Context, root: bpy.types.Object) -> ImportReport:
    """Bring the take that lies in the scene's folder now, as the scene was imported; deleted parts stay deleted.

    Raises:
        UserError: the folder is missing or damaged, or the 4D scene is linked from another file.
    """
    check_local(root)
    folder = find_folder(root)
    if folder is None:
        raise UserError("missing_scene", f"The folder of {root.name} was not found.", "Use Find Scene to show it.")
    return import_scene(context, read_scene(folder), options_of(root), root)


def _import_people(
    context: bpy.types.Context, parts: Parts, scene4d: Scene4D, timing: Timing, report: ImportReport
) -> None:
    people = PeopleImporter(context, parts)
    for person in scene4d.people:
        body = person.body or find_body(person.body_id)
        if body is None:
            report.warnings.append(f"{person.label} needs the body {person.body_id}, which was not found.")
            continue
        if not people.add(person, body, timing.blender_frames(scene4d.camera, person.frame)):
            armature = parts.find("armature", person.id)
            report.kept.append(person.label if armature is None else armature.name)


def _import_camera(
    parts: Parts, scene4d: Scene4D, frames: np.ndarray, timing: Timing, options: ImportOptions, report: ImportReport
) -> Lens | None:
    camera = parts.find("camera")
    if camera is None:
        if not parts.may_make("camera"):
            return None
        camera = create_camera(f"{scene4d.name} camera", parts.root.scale[0])
        parts.add(camera, parts.root, "Camera", "camera")
        mark(camera.data, parts.root["josh4d_scene"], "lens")
    lens, ours = write_camera(camera, scene4d.camera, frames, scene4d.source.width, scene4d.source.height)
    if not ours:
        report.kept.append(camera.name)
    if options.plate and timing.scene_fps is not None:
        report.warnings.append(
            "Blender plays a clip picture by picture, so there is no plate behind a camera that was retimed."
        )
    elif options.plate:
        warning = write_plate(camera, scene4d, parts.root["josh4d_scene"], options.start_frame)
        report.warnings += [warning] if warning else []
    return lens


def _import_cloud(parts: Parts, scene4d: Scene4D, options: ImportOptions) -> None:
    points = scene4d.cloud
    if options.most_points is not None:
        points = thin(points, options.most_points)
    cloud = parts.find("cloud")
    if cloud is not None:
        update_cloud(cloud, points)
    elif parts.may_make("cloud"):
        cloud = create_cloud(f"{scene4d.name} points", points)
        set_viewport_share(cloud, min(1.0, options.viewport_points / max(1, len(points.position))))
        parts.add(cloud, parts.root, "Place", "cloud")
