"""Point clouds drawn in their colours over Solid view."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import gpu
import numpy as np
from mathutils import Matrix

from .cloud import COLOR_ATTRIBUTE, viewport_share

#: Share of the distance by which colours are drawn nearer to the eye than the grey points they cover.
_NEARER = 0.01


@dataclass
class _Uploaded:
    """The batch of a cloud and what it was made from: number of points, share shown, colours' first bytes."""

    batch: gpu.types.GPUBatch
    made_from: tuple[int, float, bytes]


class SolidColors:
    """Draws the clouds a 3D view shows. Points are uploaded once, and again when the cloud is another."""

    def __init__(self) -> None:
        self._shader = None
        self._uploaded: dict[int, _Uploaded] = {}

    def draw(self, clouds: list[bpy.types.Object], point_size: float) -> None:
        """Draw clouds with the view's matrices and against its depth (in a POST_VIEW callback); size in px."""
        present = {item.data.session_uid for item in clouds}
        for gone in set(self._uploaded) - present:
            del self._uploaded[gone]
        if not clouds:
            return
        gpu.state.depth_test_set("LESS_EQUAL")
        gpu.state.depth_mask_set(False)
        gpu.state.point_size_set(point_size)
        view = gpu.matrix.get_model_view_matrix()
        is_perspective = gpu.matrix.get_projection_matrix()[3][3] == 0.0
        for cloud in clouds:
            if not len(cloud.data.vertices):
                continue
            with gpu.matrix.push_pop():
                gpu.matrix.load_matrix(self._nearer(view, cloud, is_perspective) @ cloud.matrix_world)
                self._batch(cloud).draw(self._shader)
        gpu.state.point_size_set(1.0)
        gpu.state.depth_test_set("NONE")

    @staticmethod
    def _nearer(view: Matrix, cloud: bpy.types.Object, is_perspective: bool) -> Matrix:
        """The view, drawn together towards the eye: seen from there, every point keeps its place in the picture."""
        if is_perspective:
            return Matrix.Scale(1.0 - _NEARER, 4) @ view
        distance = abs((view @ cloud.matrix_world.translation).z)
        return Matrix.Translation((0.0, 0.0, _NEARER * distance)) @ view

    def _batch(self, cloud: bpy.types.Object) -> gpu.types.GPUBatch:
        mesh, share = cloud.data, viewport_share(cloud)
        attribute = mesh.attributes.get(COLOR_ATTRIBUTE)
        count = len(mesh.vertices)
        made_from = (count, share, _sample(mesh))
        known = self._uploaded.get(mesh.session_uid)
        if known is not None and known.made_from == made_from:
            return known.batch
        if self._shader is None:
            self._shader = gpu.shader.from_builtin("POINT_FLAT_COLOR")
        positions = np.empty(3 * count, dtype=np.float32)
        mesh.vertices.foreach_get("co", positions)
        colors = np.ones(4 * count, dtype=np.float32)
        if attribute is not None and len(attribute.data) == count and attribute.domain == "POINT":
            attribute.data.foreach_get("color_srgb", colors)
        kept = np.sort(np.random.default_rng(0).permutation(count)[: max(1, round(share * count))])
        layout = gpu.types.GPUVertFormat()
        layout.attr_add(id="pos", comp_type="F32", len=3, fetch_mode="FLOAT")
        layout.attr_add(id="color", comp_type="F32", len=4, fetch_mode="FLOAT")
        buffer = gpu.types.GPUVertBuf(layout, len(kept))
        buffer.attr_fill("pos", np.ascontiguousarray(positions.reshape(-1, 3)[kept]))
        buffer.attr_fill("color", np.ascontiguousarray(colors.reshape(-1, 4)[kept]))
        batch = gpu.types.GPUBatch(type="POINTS", buf=buffer)
        self._uploaded[mesh.session_uid] = _Uploaded(batch, made_from)
        return batch


def _sample(mesh: bpy.types.Mesh) -> bytes:
    """A few places of a mesh: enough to see that an update brought other points."""
    count = len(mesh.vertices)
    return b"".join(
        np.array(mesh.vertices[index].co, dtype=np.float32).tobytes() for index in range(0, count, max(1, count // 16))
    )
