"""People into Blender: armature, skinned body and take; made, or updated in place."""

from __future__ import annotations

import bpy
import numpy as np

from ..scene4d.body import BodyModel
from ..scene4d.scene import Person
from .animation import Channel
from .armature import create_armature, rest_heads, rest_rotations, write_rest_bones
from .body_mesh import beta_values, copy_body, create_body, write_shape
from .fit_skeleton import fit_skeleton
from .motion import BodyChannels, bone_channels
from .parts import Parts
from .skeleton import ARMATURE_FROM_SMPL, ROOT_BONE, RestShape, rest_shape, rest_skeleton
from .takes import animate


class PeopleImporter:
    """Imports people one after another; bodies of one kind share the work of building topology and weights."""

    def __init__(self, context: bpy.types.Context, parts: Parts) -> None:
        self.context = context
        self.parts = parts
        self.templates: list[tuple[BodyModel, bpy.types.Object]] = []

    def add(self, person: Person, body: BodyModel, frames: np.ndarray) -> bool:
        """Create or update a person with keys at Blender frames (T,); False where the artist's keys were kept."""
        shape = rest_shape(body, person.betas)
        skeleton = rest_skeleton(body, shape)
        armature = self.parts.find("armature", person.id)
        if armature is None:
            if not self.parts.may_make("armature", person.id):
                return True
            armature = create_armature(self.context, person.label, skeleton)
            self.parts.add(armature, self.parts.root, "People", "armature", person.id)
        else:
            write_rest_bones(self.context, armature, skeleton)
        mesh = self._body(person, body, shape, armature)
        self._describe(armature, person)

        pelvis = shape.joints[0] - shape.offset
        pelvis_world = pelvis @ ARMATURE_FROM_SMPL + person.trans.astype(np.float64)
        motion = bone_channels(person.poses, pelvis_world, rest_rotations(armature), rest_heads(armature)[0])
        ours = animate(armature, person.label, frames, _pose_channels(skeleton.names, motion))
        if mesh is not None and np.any(beta_values(mesh.data)):
            fit_skeleton(self.context, mesh)
        return ours

    def _body(
        self, person: Person, body: BodyModel, shape: RestShape, armature: bpy.types.Object
    ) -> bpy.types.Object | None:
        mesh = self.parts.find("body", person.id)
        if mesh is None:
            if not self.parts.may_make("body", person.id):
                return None
            name, template = f"{person.label} body", self._template(body)
            if template is None:
                mesh = create_body(name, body, shape, armature, person.id)
                self.templates.append((body, mesh))
            else:
                mesh = copy_body(name, template, shape, armature, person.id)
            self.parts.add(mesh, None, "People", "body", person.id)
        elif len(mesh.data.vertices) == len(shape.vertices):
            write_shape(mesh.data, shape)
        else:
            _replace_mesh(mesh, body, shape, armature, person.id)
        return mesh

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

    @staticmethod
    def _describe(armature: bpy.types.Object, person: Person) -> None:
        armature["josh4d_height"] = float(person.height)
        armature["josh4d_reliable"] = bool(person.reliable)
        armature["josh4d_reason"] = person.reason


def _replace_mesh(
    item: bpy.types.Object, body: BodyModel, shape: RestShape, armature: bpy.types.Object, person_id: int
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
