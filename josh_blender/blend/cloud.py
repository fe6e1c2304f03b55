"""The coloured point cloud: a mesh of vertices that geometry nodes turn into points, in the viewport and in the render.

All points are rendered; the viewport shows a share of them. The colour attribute is called ``displayColor``, which is
what USD looks for.
"""

from __future__ import annotations

import bpy
import numpy as np

from ..scene4d.scene import PointCloud

COLOR_ATTRIBUTE = "displayColor"
RADIUS = "Radius"
VIEWPORT_SHARE = "Viewport Share"
_GROUP_KEY = "josh4d_cloud_nodes"
_MATERIAL_KEY = "josh4d_cloud_material"
_MODIFIER = "4D Points"
_DEFAULT_RADIUS = 0.01
_SMALLEST_RADIUS, _LARGEST_RADIUS = 0.002, 0.1
#: Share of the spacing of points at which the discs of their radius close a surface.
_RADIUS_OF_SPACING = 0.7
_SPACING_SAMPLE = 50_000


def point_material() -> bpy.types.Material:
    """The material that shows the points in the plate's colours, unlit; shared by all clouds of the file."""
    for material in bpy.data.materials:
        if _MATERIAL_KEY in material:
            return material
    material = bpy.data.materials.new("4D Points")
    material[_MATERIAL_KEY] = True
    if material.node_tree is None:
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    attribute = nodes.new("ShaderNodeAttribute")
    attribute.attribute_name = COLOR_ATTRIBUTE
    emission = nodes.new("ShaderNodeEmission")
    output = nodes.new("ShaderNodeOutputMaterial")
    attribute.location, emission.location = (-400, 0), (-200, 0)
    links.new(attribute.outputs["Color"], emission.inputs["Color"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    return material


def point_nodes() -> bpy.types.GeometryNodeTree:
    """The node group that shows vertices as points; shared by all clouds of the file."""
    for tree in bpy.data.node_groups:
        if _GROUP_KEY in tree:
            return tree
    tree = bpy.data.node_groups.new("4D Points", "GeometryNodeTree")
    tree[_GROUP_KEY] = True
    tree.is_modifier = True
    interface = tree.interface
    interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    radius = interface.new_socket(RADIUS, in_out="INPUT", socket_type="NodeSocketFloat")
    radius.subtype, radius.default_value, radius.min_value, radius.max_value = "DISTANCE", _DEFAULT_RADIUS, 0.0, 10.0
    share = interface.new_socket(VIEWPORT_SHARE, in_out="INPUT", socket_type="NodeSocketFloat")
    share.subtype, share.default_value, share.min_value, share.max_value = "FACTOR", 1.0, 0.0, 1.0
    interface.new_socket("Material", in_out="INPUT", socket_type="NodeSocketMaterial")
    interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")

    nodes, links = tree.nodes, tree.links
    entry, leave = nodes.new("NodeGroupInput"), nodes.new("NodeGroupOutput")
    viewport = nodes.new("GeometryNodeIsViewport")
    switch = nodes.new("GeometryNodeSwitch")
    switch.input_type = "FLOAT"
    switch.inputs["False"].default_value = 1.0
    chosen = nodes.new("FunctionNodeRandomValue")
    chosen.data_type = "BOOLEAN"
    probability = next(one for one in chosen.inputs if one.name == "Probability" and one.enabled)
    drawn = next(one for one in chosen.outputs if one.enabled)
    points = nodes.new("GeometryNodeMeshToPoints")
    material = nodes.new("GeometryNodeSetMaterial")
    links.new(viewport.outputs[0], switch.inputs["Switch"])
    links.new(entry.outputs[VIEWPORT_SHARE], switch.inputs["True"])
    links.new(switch.outputs[0], probability)
    links.new(entry.outputs["Geometry"], points.inputs["Mesh"])
    links.new(drawn, points.inputs["Selection"])
    links.new(entry.outputs[RADIUS], points.inputs["Radius"])
    links.new(points.outputs[0], material.inputs["Geometry"])
    links.new(entry.outputs["Material"], material.inputs["Material"])
    links.new(material.outputs[0], leave.inputs[0])
    for column, node in enumerate((entry, viewport, switch, chosen, points, material, leave)):
        node.location = (200 * column, -200 if node in (viewport, switch, chosen) else 0)
    return tree


def _socket(name: str) -> str:
    for item in point_nodes().interface.items_tree:
        if item.item_type == "SOCKET" and item.in_out == "INPUT" and item.name == name:
            return str(item.identifier)
    raise KeyError(name)


def _modifier(cloud: bpy.types.Object) -> bpy.types.NodesModifier | None:
    for modifier in cloud.modifiers:
        if modifier.type == "NODES" and modifier.node_group is not None and _GROUP_KEY in modifier.node_group:
            return modifier
    return None


def input_property(cloud: bpy.types.Object, name: str) -> tuple[bpy.types.bpy_struct, str] | None:
    """Where an input of the cloud's nodes lives, as (owner, property) for ``layout.prop``; None without the nodes."""
    modifier = _modifier(cloud)
    if modifier is None:
        return None
    identifier = _socket(name)
    if bpy.app.version >= (5, 2, 0):
        return getattr(modifier.properties.inputs, identifier), "value"
    return modifier, f'["{identifier}"]'


def _set_input(cloud: bpy.types.Object, name: str, value: float | bpy.types.Material) -> None:
    found = input_property(cloud, name)
    if found is None:
        return
    owner, path = found
    if path == "value":
        owner.value = value
    else:
        owner[_socket(name)] = value
    cloud.update_tag()


def viewport_share(cloud: bpy.types.Object) -> float:
    """The share (0..1) of the points that the viewport shows; 1 without the nodes."""
    found = input_property(cloud, VIEWPORT_SHARE)
    if found is None:
        return 1.0
    owner, path = found
    return float(owner.value if path == "value" else owner[_socket(VIEWPORT_SHARE)])


def set_viewport_share(cloud: bpy.types.Object, share: float) -> None:
    """Show a share (0..1) of the points in the viewport; renders keep all."""
    _set_input(cloud, VIEWPORT_SHARE, float(share))


def set_radius(cloud: bpy.types.Object, radius: float) -> None:
    """Radius of the points in metres."""
    _set_input(cloud, RADIUS, float(radius))


def point_spacing(positions: np.ndarray) -> float:
    """Typical distance in metres between neighbours of points (N,3) that lie on surfaces; 0 where there are too few.

    A surface fills about h^2 of a cube with side h, so n points in it are about h / sqrt(n) apart. The median is taken
    over points, not over cubes: scattered outliers do not count.
    """
    step = max(1, len(positions) // _SPACING_SAMPLE)
    sample = positions[::step].astype(np.float64)
    if len(sample) < 100:
        return 0.0
    low, high = np.percentile(sample, (5.0, 95.0), axis=0)
    side = float(np.max(high - low)) / 40.0
    if side <= 0.0:
        return 0.0
    cells = np.floor((sample - low) / side).astype(np.int64).clip(-500, 500)
    _, index, counts = np.unique(cells @ np.array([1, 2003, 2003**2]), return_inverse=True, return_counts=True)
    return side / float(np.sqrt(np.median(counts[index]) * step))


def _rgba(color: np.ndarray) -> np.ndarray:
    rgba = np.ones((len(color), 4), dtype=np.float32)
    np.multiply(color, np.float32(1.0 / 255.0), out=rgba[:, :3])
    return rgba.ravel()


def _write_points(mesh: bpy.types.Mesh, points: PointCloud) -> None:
    count = len(points.position)
    if len(mesh.vertices) != count:
        mesh.clear_geometry()
        mesh.vertices.add(count)
    mesh.vertices.foreach_set("co", np.ascontiguousarray(points.position, dtype=np.float32).ravel())
    attribute = mesh.attributes.get(COLOR_ATTRIBUTE)
    if attribute is None:
        attribute = mesh.attributes.new(COLOR_ATTRIBUTE, "BYTE_COLOR", "POINT")
    attribute.data.foreach_set("color_srgb", _rgba(points.color))
    mesh.color_attributes.active_color_index = 0
    mesh.update()


def create_cloud(name: str, points: PointCloud) -> bpy.types.Object:
    """A new cloud object, linked to no collection yet."""
    cloud = bpy.data.objects.new(name, bpy.data.meshes.new(name))
    _write_points(cloud.data, points)
    modifier = cloud.modifiers.new(_MODIFIER, "NODES")
    modifier.node_group = point_nodes()
    _set_input(cloud, "Material", point_material())
    spacing = point_spacing(points.position)
    if spacing > 0.0:
        set_radius(cloud, min(max(_RADIUS_OF_SPACING * spacing, _SMALLEST_RADIUS), _LARGEST_RADIUS))
    cloud.data.materials.append(point_material())
    return cloud


def update_cloud(cloud: bpy.types.Object, points: PointCloud) -> None:
    """Replace the points of a cloud in place; materials and modifiers stay."""
    _write_points(cloud.data, points)
