"""A 4D scene into a Blender scene: people, camera, plate and place under one root, in one collection.

Importing the same scene again updates it in place. Datablocks are known by their id properties (`identity`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import bpy
import numpy as np

from ..scene4d.body import BodyModel
from ..scene4d.scene import Person, Scene4D
from ..scene4d.user_bodies import find_body
from .animation import Channel, animate
from .armature import create_armature, rest_heads, rest_rotations, write_rest_bones
from .body_mesh import beta_values, copy_body, create_body, write_shape
from .camera import Lens, create_camera, write_camera
from .cloud import create_cloud, update_cloud
from .context import object_mode
from .fit_skeleton import fit_skeleton
from .identity import KIND_KEY, SCENE_KEY, find_part, find_root, mark, scene_identity
from .motion import BodyChannels, bone_channels
from .plate import write_plate
from .skeleton import ARMATURE_FROM_SMPL, ROOT_BONE, RestShape, rest_shape, rest_skeleton

_COLLECTIONS = ("People", "Camera", "Place", "Helpers")


@dataclass
class ImportOptions:
    """start_frame: the Blender frame of the first solved frame. set_scene: take frame rate, range, resolution and
    active camera from the 4D scene; None does so only in a scene without animation and with at most the camera of the
    start file (an empty one)."""

    start_frame: int = 1
    set_scene: bool | None = None
    people: bool = True
    camera: bool = True
    cloud: bool = True
    plate: bool = True


@dataclass
class ImportReport:
    """The root empty and what the user should hear; kept lists the objects whose edited actions were left alone."""

    root: bpy.types.Object
    warnings: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def _is_empty(scene: bpy.types.Scene) -> bool:
    """Whether nothing in the scene depends on its settings: no animation and no camera but that of the start file."""
    cameras = [item for item in scene.objects if item.type == "CAMERA"]
    animated = any(item.animation_data is not None for item in scene.objects)
    return not animated and len(cameras) <= 1


def _collection(parent: bpy.types.Collection, identity: str, kind: str, name: str) -> bpy.types.Collection:
    for collection in parent.children_recursive:
        if collection.get(SCENE_KEY) == identity and collection.get(KIND_KEY) == kind:
            return collection
    collection = bpy.data.collections.new(name)
    mark(collection, identity, kind)
    parent.children.link(collection)
    return collection


def _place(
    item: bpy.types.Object, parent: bpy.types.Object | None, home: bpy.types.Collection, identity: str, kind: str,
    person: int = 0,
) -> None:  # fmt: skip
    if parent is not None:
        item.parent = parent
    mark(item, identity, kind, person)
    home.objects.link(item)


class _People:
    """Imports people one after another; bodies of one kind share the work of building topology and weights."""

    def __init__(self, context: bpy.types.Context, root: bpy.types.Object, home: bpy.types.Collection) -> None:
        self.context = context
        self.root = root
        self.home = home
        self.templates: list[tuple[BodyModel, bpy.types.Object]] = []

    def _template(self, body: BodyModel) -> bpy.types.Object | None:
        for known, item in self.templates:
            same = known is body or (
                known.body_id == body.body_id
                and np.array_equal(known.f, body.f)
                and np.array_equal(known.weights, body.weights)
            )
            if same:
                return item
        return None

    def add(self, person: Person, body: BodyModel, frames: np.ndarray) -> bool:
        """Create or update a person; False where the artist's edited action was kept."""
        identity = self.root[SCENE_KEY]
        shape = rest_shape(body, person.betas)
        skeleton = rest_skeleton(body, shape)
        armature = find_part(self.root, "armature", person.id)
        if armature is None:
            armature = create_armature(self.context, person.label, skeleton)
            _place(armature, self.root, self.home, identity, "armature", person.id)
        else:
            write_rest_bones(self.context, armature, skeleton)
        mesh = find_part(self.root, "body", person.id)
        if mesh is None:
            name, template = f"{person.label} body", self._template(body)
            if template is None:
                mesh = create_body(name, body, shape, armature, person.id)
                self.templates.append((body, mesh))
            else:
                mesh = copy_body(name, template, shape, armature, person.id)
            _place(mesh, None, self.home, identity, "body", person.id)
        elif len(mesh.data.vertices) == len(shape.vertices):
            write_shape(mesh.data, shape)
        else:
            self._replace_mesh(mesh, body, shape, armature, person.id)
        self._describe(armature, person)

        pelvis = shape.joints[0] - shape.offset
        pelvis_world = pelvis @ ARMATURE_FROM_SMPL + person.trans.astype(np.float64)
        motion = bone_channels(person.poses, pelvis_world, rest_rotations(armature), rest_heads(armature)[0])
        ours = animate(armature, person.label, frames, _pose_channels(skeleton.names, motion))
        if np.any(beta_values(mesh.data)):
            fit_skeleton(self.context, mesh)
        return ours

    def _replace_mesh(
        self, item: bpy.types.Object, body: BodyModel, shape: RestShape, armature: bpy.types.Object, person_id: int
    ) -> None:
        """The person got another body: its mesh comes in, the artist's materials stay."""
        fresh = create_body(item.name, body, shape, armature, person_id)
        materials = list(item.data.materials)
        item.vertex_groups.clear()
        item.data = fresh.data
        item.data.materials.clear()
        for material in materials:
            item.data.materials.append(material)
        bpy.data.objects.remove(fresh)

    @staticmethod
    def _describe(armature: bpy.types.Object, person: Person) -> None:
        armature["josh4d_height"] = float(person.height)
        armature["josh4d_reliable"] = bool(person.reliable)
        armature["josh4d_reason"] = person.reason


def _pose_channels(names: tuple[str, ...], motion: BodyChannels) -> list[Channel]:
    channels = [
        Channel(f'pose.bones["{ROOT_BONE}"].location', motion.root_location, ROOT_BONE),
        Channel(f'pose.bones["{ROOT_BONE}"].rotation_quaternion', motion.root_quaternion, ROOT_BONE),
        Channel('pose.bones["pelvis"].location', motion.pelvis_location, "pelvis"),
    ]
    for index in range(motion.quaternions.shape[1]):
        path = f'pose.bones["{names[index]}"].rotation_quaternion'
        channels.append(Channel(path, motion.quaternions[:, index], names[index]))
    return channels


def _set_frame_rate(scene: bpy.types.Scene, num: int, den: int) -> None:
    # fps is a whole number in Blender; fps_base carries 1001/1000 and the like.
    fps = max(1, round(num / den))
    scene.render.fps = fps
    scene.render.fps_base = fps * den / num


def _set_scene(
    scene: bpy.types.Scene, scene4d: Scene4D, frames: np.ndarray, camera: bpy.types.Object | None, lens: Lens | None
) -> None:
    source = scene4d.source
    _set_frame_rate(scene, source.fps_num, source.fps_den)
    scene.frame_start, scene.frame_end = int(frames[0]), int(frames[-1])
    scene.render.resolution_x, scene.render.resolution_y = source.width, source.height
    scene.render.resolution_percentage = 100
    if lens is not None:
        scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = lens.pixel_aspect
        scene.camera = camera


def import_scene(context: bpy.types.Context, scene4d: Scene4D, options: ImportOptions | None = None) -> ImportReport:
    """Import a 4D scene, or update it where the file has it already.

    Frames in Blender are source frame - first frame + ``start_frame``. Colour management is never touched; the frame
    range is extended, never shortened; selection, mode and current frame stay.
    """
    options = options or ImportOptions()
    scene = context.scene
    identity = scene_identity(scene4d)
    root = find_root(scene, identity)
    set_scene = _is_empty(scene) and root is None if options.set_scene is None else options.set_scene
    frames = scene4d.camera.frame.astype(np.float64) - float(scene4d.camera.frame[0]) + options.start_frame
    lens: Lens | None = None
    camera: bpy.types.Object | None = None

    with object_mode(context):
        top = _collection(scene.collection, identity, "collection", scene4d.name)
        homes = {name: _collection(top, identity, name.lower(), name) for name in _COLLECTIONS}
        if root is None:
            root = bpy.data.objects.new(scene4d.name, None)
            root.empty_display_type, root.empty_display_size = "ARROWS", 0.5
            _place(root, None, homes["Helpers"], identity, "root")
        if scene4d.folder is not None:
            root["josh4d_folder"] = str(scene4d.folder.resolve())
        root["josh4d_start_frame"] = options.start_frame
        root["josh4d_first_frame"] = int(scene4d.camera.frame[0])
        report = ImportReport(root, list(scene4d.warnings))

        if options.people:
            people = _People(context, root, homes["People"])
            for person in scene4d.people:
                body = person.body or find_body(person.body_id)
                if body is None:
                    report.warnings.append(f"{person.label} needs the body {person.body_id}, which was not found.")
                    continue
                person_frames = person.frame.astype(np.float64) - float(scene4d.camera.frame[0]) + options.start_frame
                if not people.add(person, body, person_frames):
                    report.kept.append(person.label)
        if options.camera:
            camera = find_part(root, "camera")
            if camera is None:
                camera = create_camera(f"{scene4d.name} camera")
                _place(camera, root, homes["Camera"], identity, "camera")
            lens, ours = write_camera(camera, scene4d.camera, frames, scene4d.source.width, scene4d.source.height)
            if not ours:
                report.kept.append(camera.name)
            if options.plate:
                warning = write_plate(camera, scene4d, options.start_frame)
                report.warnings += [warning] if warning else []
        if options.cloud:
            cloud = find_part(root, "cloud")
            if cloud is None:
                cloud = create_cloud(f"{scene4d.name} points", scene4d.cloud)
                _place(cloud, root, homes["Place"], identity, "cloud")
            else:
                update_cloud(cloud, scene4d.cloud)

    if set_scene:
        _set_scene(scene, scene4d, frames, camera, lens)
    else:
        scene.frame_start = min(scene.frame_start, int(frames[0]))
        scene.frame_end = max(scene.frame_end, int(frames[-1]))
    report.warnings += _mismatches(scene, scene4d)
    return report


def _mismatches(scene: bpy.types.Scene, scene4d: Scene4D) -> list[str]:
    warnings = []
    render, source = scene.render, scene4d.source
    if abs(render.fps / render.fps_base * source.fps_den / source.fps_num - 1.0) > 1e-4:
        rate = f"{source.fps_num / source.fps_den:.3f}".rstrip("0").rstrip(".")
        warnings.append(f"The video runs at {rate} frames per second, this scene at another rate.")
    if (render.resolution_x, render.resolution_y) != (source.width, source.height):
        warnings.append(f"The camera matches the plate at {source.width} x {source.height} px.")
    return warnings
