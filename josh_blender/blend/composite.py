"""A CG object composited into the plate: in the place, casting its shadow, hidden by the people in front of it.

The people are cut out by their masks (exact edges of the plate); whether a person is before or behind the object is a
keyed number per person and frame, so the result needs no handlers and no extension. Everything lives in a scene of its
own: the imported scene is not touched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..scene4d.camera import invert_rigid, project, transform
from ..scene4d.files import mask_path
from ..scene4d.scene import Scene4D
from .animation import channelbag
from .identity import scene_identity
from .placement import people_in_front, suggest_place
from .plate import find_clip

_OBJECT_HEIGHT = 1.0
_OBJECT_NAME = "CG Object"
_DRAFT_SAMPLES = 4


def _new_node(tree: Any, *kinds: str) -> Any:
    """The first kind of node that this version of Blender has: names moved in 5.0."""
    for kind in kinds:
        try:
            return tree.nodes.new(kind)
        except RuntimeError:
            continue
    raise RuntimeError(f"this version of Blender has none of the nodes {kinds}")


def _choose(node: Any, attribute: str, value: str, socket: str, label: str) -> None:
    """Set a mode that is a property of the node before 5.0 and a menu socket since."""
    if hasattr(node, attribute):
        setattr(node, attribute, value)
    else:
        node.inputs[socket].default_value = label


def _math(tree: Any, operation: str, first: Any, second: Any, clamp: bool = False) -> Any:
    node = _new_node(tree, "CompositorNodeMath", "ShaderNodeMath")
    node.operation = operation
    node.use_clamp = clamp
    for socket, value in zip(node.inputs, (first, second), strict=False):
        if isinstance(value, float):
            socket.default_value = value
        else:
            tree.links.new(value, socket)
    return node.outputs[0]


def _compositor_tree(scene: bpy.types.Scene) -> tuple[Any, Any]:
    """The scene's empty compositor tree and the input socket that takes the final picture."""
    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new(f"{scene.name} Composite", "CompositorNodeTree")
        tree.interface.new_socket(name="Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        return tree, tree.nodes.new("NodeGroupOutput").inputs["Image"]
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    return tree, tree.nodes.new("CompositorNodeComposite").inputs["Image"]


def _mask_node(tree: Any, scene4d: Scene4D, scene: bpy.types.Scene) -> Any:
    if scene4d.folder is None:
        return None
    first = int(scene4d.camera.frame[0])
    path = mask_path(scene4d.folder, first)
    if not path.is_file():
        return None
    image = bpy.data.images.load(str(path), check_existing=True)
    image.source = "SEQUENCE"
    image.colorspace_settings.name = "Non-Color"
    node = tree.nodes.new("CompositorNodeImage")
    node.image = image
    node.frame_start = scene.frame_start
    node.frame_duration = scene.frame_end - scene.frame_start + 1
    # Picture n of a sequence is the file numbered n + offset.
    node.frame_offset = first - 1
    node.use_auto_refresh = True
    return node


def _key_steps(node: Any, values: np.ndarray, start: int) -> None:
    """Key a value node where its value changes, held in between."""
    socket = node.outputs[0]
    for index, value in enumerate(values):
        if index == 0 or value != values[index - 1]:
            socket.default_value = float(value)
            socket.keyframe_insert("default_value", frame=start + index)


def _hold_keys(tree: Any) -> None:
    for curve in channelbag(tree.animation_data.action, tree).fcurves:
        for point in curve.keyframe_points:
            point.interpolation = "CONSTANT"


def _people_matte(tree: Any, scene4d: Scene4D, scene: bpy.types.Scene, location: np.ndarray) -> Any:
    """Socket that is 1 where a person stands before the object, or None without masks."""
    masks = _mask_node(tree, scene4d, scene)
    if masks is None:
        return None
    scaled = _fit_to_render(tree, masks.outputs[0], nearest=True)
    total = None
    for person_id, before in people_in_front(scene4d, location).items():
        if not before.any():
            continue
        person = next(person for person in scene4d.people if person.id == person_id)
        order = tree.nodes.new(
            "CompositorNodeValue" if hasattr(bpy.types, "CompositorNodeValue") else "ShaderNodeValue"
        )
        order.label = f"{person.label} is before the object"
        _key_steps(order, before, scene.frame_start)
        distance = _math(tree, "ABSOLUTE", _math(tree, "SUBTRACT", scaled, person.mask_value / 255.0), 0.0)
        inside = _math(tree, "LESS_THAN", distance, 0.5 / 255.0)
        matte = _math(tree, "MULTIPLY", inside, order.outputs[0])
        total = matte if total is None else _math(tree, "ADD", total, matte, clamp=True)
    if total is not None:
        _hold_keys(tree)
    return total


def _fit_to_render(tree: Any, image: Any, nearest: bool = False) -> Any:
    node = tree.nodes.new("CompositorNodeScale")
    _choose(node, "space", "RENDER_SIZE", "Type", "Render Size")
    if nearest:
        if "Interpolation" in node.inputs:
            node.inputs["Interpolation"].default_value = "Nearest"
        elif hasattr(node, "interpolation"):
            node.interpolation = "NEAREST"
    tree.links.new(image, node.inputs["Image"])
    return node.outputs["Image"]


def _soften(tree: Any, matte: Any) -> Any:
    blur = tree.nodes.new("CompositorNodeBlur")
    if "Size" in blur.inputs and blur.inputs["Size"].type == "VECTOR":
        blur.inputs["Size"].default_value = (1.0, 1.0)
    else:
        blur.size_x = blur.size_y = 1
    tree.links.new(matte, blur.inputs["Image"])
    return blur.outputs["Image"]


def _over(tree: Any, background: Any, foreground: Any) -> Any:
    node = tree.nodes.new("CompositorNodeAlphaOver")
    # The order of the two pictures changed in 5.0; their names are new there too.
    images = [socket for socket in node.inputs if socket.type == "RGBA"]
    names = {socket.name: socket for socket in node.inputs}
    tree.links.new(background, names.get("Background", images[0]))
    tree.links.new(foreground, names.get("Foreground", images[1]))
    return node.outputs["Image"]


def _cut_out(tree: Any, image: Any, matte: Any) -> Any:
    keep = _math(tree, "SUBTRACT", 1.0, matte, clamp=True)
    node = tree.nodes.new("CompositorNodeSetAlpha")
    _choose(node, "mode", "APPLY", "Type", "Apply Mask")
    tree.links.new(image, node.inputs["Image"])
    tree.links.new(keep, node.inputs["Alpha"])
    return node.outputs["Image"]


def _distort(tree: Any, image: Any, clip: bpy.types.MovieClip | None, distorted: bool) -> Any:
    if clip is None or not distorted:
        return image
    node = tree.nodes.new("CompositorNodeMovieDistortion")
    node.clip = clip
    _choose(node, "distortion_type", "DISTORT", "Type", "Distort")
    tree.links.new(image, node.inputs["Image"])
    return node.outputs["Image"]


def add_shadow_catcher(scene: bpy.types.Scene, location: np.ndarray, radius: float = 6.0) -> bpy.types.Object:
    """A plane on the ground around a place that shows nothing but shadows (Cycles)."""
    mesh = bpy.data.meshes.new("Shadow Catcher")
    corners = [(-radius, -radius, 0), (radius, -radius, 0), (radius, radius, 0), (-radius, radius, 0)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    catcher = bpy.data.objects.new("Shadow Catcher", mesh)
    catcher.location = location
    catcher.is_shadow_catcher = True
    scene.collection.objects.link(catcher)
    return catcher


def add_sun(scene: bpy.types.Scene, elevation: float = 55.0, heading: float = 120.0) -> bpy.types.Object:
    """A sun at ``elevation`` degrees over the horizon, from ``heading`` degrees to the left of +X."""
    light = bpy.data.lights.new("Sun", "SUN")
    light.energy = 4.0
    light.angle = np.radians(1.0)
    sun = bpy.data.objects.new("Sun", light)
    sun.rotation_euler = (0.0, np.radians(90.0 - elevation), np.radians(heading))
    scene.collection.objects.link(sun)
    return sun


def add_stand_in(scene: bpy.types.Scene, location: np.ndarray, height: float = _OBJECT_HEIGHT) -> bpy.types.Object:
    """A CG object that stands on the ground: a glossy sphere on a post, so that light and contact are easy to judge."""
    import bmesh

    mesh = bpy.data.meshes.new("CG Object")
    shape = bmesh.new()
    radius = 0.28 * height
    bmesh.ops.create_cone(
        shape, cap_ends=True, segments=48, radius1=0.18 * height, radius2=0.08 * height, depth=0.5 * height
    )
    bmesh.ops.translate(shape, verts=shape.verts[:], vec=(0.0, 0.0, 0.25 * height))
    sphere = bmesh.ops.create_uvsphere(shape, u_segments=48, v_segments=24, radius=radius)
    bmesh.ops.translate(shape, verts=sphere["verts"], vec=(0.0, 0.0, height - radius))
    shape.to_mesh(mesh)
    shape.free()
    for polygon in mesh.polygons:
        polygon.use_smooth = True
    material = bpy.data.materials.new("CG Object")
    material.use_nodes = True
    principled = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    principled.inputs["Base Color"].default_value = (0.8, 0.12, 0.02, 1.0)
    principled.inputs["Roughness"].default_value = 0.25
    mesh.materials.append(material)
    result = bpy.data.objects.new(_OBJECT_NAME, mesh)
    result.location = location
    scene.collection.objects.link(result)
    return result


def build_composite(
    imported: bpy.types.Scene,
    scene4d: Scene4D,
    location: np.ndarray | None = None,
    percentage: int = 100,
    samples: int = 32,
) -> bpy.types.Scene:
    """A scene ``NAME Composite`` that renders the plate with a CG object in it (Cycles).

    It shares the camera, frame range and frame rate of the imported scene. ``location`` (3,) in metres defaults to
    `suggest_place`. Without a plate or masks that can be found, those parts are left out.
    """
    place = suggest_place(scene4d, _OBJECT_HEIGHT) if location is None else np.asarray(location, dtype=float)
    scene = bpy.data.scenes.new(f"{scene4d.name} Composite")
    scene.camera = imported.camera
    scene.frame_start, scene.frame_end = imported.frame_start, imported.frame_end
    scene.render.fps, scene.render.fps_base = imported.render.fps, imported.render.fps_base
    scene.render.resolution_x, scene.render.resolution_y = scene4d.source.width, scene4d.source.height
    scene.render.resolution_percentage = percentage
    scene.render.engine = "CYCLES"
    scene.render.film_transparent = True
    scene.render.dither_intensity = 0.0
    scene.view_settings.view_transform = "Standard"
    scene.cycles.samples = samples
    scene.cycles.use_denoising = True
    scene.cycles.device = "CPU"
    scene.render.use_persistent_data = True
    scene.world = bpy.data.worlds.new(scene.name)
    scene.world.use_nodes = True
    background = next(node for node in scene.world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.55, 0.65, 0.8, 1.0)
    background.inputs["Strength"].default_value = 0.8
    if imported.camera is not None:
        scene.collection.objects.link(imported.camera)
    add_stand_in(scene, place)
    add_shadow_catcher(scene, place)
    add_sun(scene)

    tree, output = _compositor_tree(scene)
    layers = tree.nodes.new("CompositorNodeRLayers")
    layers.scene = scene
    clip = find_clip(scene_identity(scene4d), "plate")
    picture = _distort(tree, layers.outputs["Image"], clip, bool(np.any(scene4d.camera.distortion)))
    matte = _people_matte(tree, scene4d, scene, place)
    if matte is not None:
        picture = _cut_out(tree, picture, _soften(tree, matte))
    if clip is not None:
        plate = tree.nodes.new("CompositorNodeMovieClip")
        plate.clip = clip
        picture = _over(tree, _fit_to_render(tree, plate.outputs["Image"]), picture)
    tree.links.new(picture, output)
    return scene


def showing_frame(scene: bpy.types.Scene, scene4d: Scene4D) -> int:
    """A frame of a composite on which somebody hides a part of the object, else the middle one."""
    place = np.array(next(item for item in scene.objects if item.name.startswith(_OBJECT_NAME)).location)
    camera = scene4d.camera
    camera_from_world = invert_rigid(camera.world_from_camera)
    middle = transform(camera_from_world, np.tile(place + np.array([0.0, 0.0, 0.5]), (len(camera.frame), 1, 1)))[:, 0]
    pixel = project(middle, camera.intrinsics, camera.distortion)
    before = people_in_front(scene4d, place)
    nearest = np.full(len(camera.frame), np.inf)
    for person in scene4d.people:
        row = np.searchsorted(camera.frame, person.frame)
        root = transform(camera_from_world[row], person.trans[:, None])[:, 0]
        distance = np.abs(project(root, camera.intrinsics[row], camera.distortion)[:, 0] - pixel[row, 0])
        size = camera.intrinsics[row, 1] * _OBJECT_HEIGHT / np.maximum(middle[row, 2], 0.1)
        nearest[row] = np.minimum(
            nearest[row], np.where(before[person.id][row], np.abs(distance / size - 0.35), np.inf)
        )
    best = int(np.argmin(nearest)) if np.isfinite(nearest).any() else len(camera.frame) // 2
    return scene.frame_start + best


def render_still(scene: bpy.types.Scene, frame: int, path: Path) -> None:
    """Render one frame of a composite as PNG."""
    scene.frame_set(frame)
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "PNG"
    settings.color_mode = "RGB"
    scene.render.filepath = str(path)
    # The operator's own `scene` argument goes back to the first frame.
    with bpy.context.temp_override(scene=scene):
        bpy.ops.render.render(write_still=True)


def lower_quality(scene: bpy.types.Scene) -> None:
    """Few samples and the quick denoiser: the full one takes four fifths of the time of a small frame."""
    cycles = scene.cycles
    cycles.samples = _DRAFT_SAMPLES
    cycles.denoising_input_passes = "RGB"
    cycles.denoising_prefilter = "NONE"
    cycles.denoising_quality = "FAST"


def render_movie(scene: bpy.types.Scene, path: Path) -> None:
    """Render a composite as an H.264 movie."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format = "MPEG4"
    scene.render.ffmpeg.codec = "H264"
    scene.render.ffmpeg.constant_rate_factor = "HIGH"
    scene.render.use_file_extension = False
    scene.render.filepath = str(path)
    with bpy.context.temp_override(scene=scene):
        bpy.ops.render.render(animation=True)
