"""What an artist chose for a reconstruction: on the scene, saved with the file."""

from __future__ import annotations

import json
from pathlib import Path

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..josh_blender.blend.source_facts import source_facts
from ..josh_blender.scene4d.errors import UserError
from ..josh_blender.scene4d.sequence import find_sequence

_ATTRIBUTE = "josh4d_reconstruct"


def settings_of(scene: bpy.types.Scene) -> JOSH4D_ReconstructSettings:
    """The settings of a scene."""
    return getattr(scene, _ATTRIBUTE)


def _source_changed(settings: JOSH4D_ReconstructSettings, _context: bpy.types.Context) -> None:
    settings.read_facts()


def _is_camera(_settings: JOSH4D_ReconstructSettings, item: bpy.types.Object) -> bool:
    return item.type == "CAMERA"


class JOSH4D_DetectedPerson(bpy.types.PropertyGroup):
    """Somebody seen in the video, found by Detect First"""

    person: IntProperty()
    counts: BoolProperty(
        name="Counts", description="Reconstruct this person; others are only kept from disturbing the camera",
        default=True,
    )  # fmt: skip
    height: FloatProperty(
        name="Height", description="Barefoot height of this person, 0 where it is not known", default=0.0, min=0.0,
        max=2.6, precision=3, subtype="DISTANCE", unit="LENGTH",
    )  # fmt: skip
    first_frame: IntProperty()
    last_frame: IntProperty()
    reliable: BoolProperty(default=True)
    reason: StringProperty()
    picture: StringProperty(subtype="FILE_PATH")


class JOSH4D_ReconstructSettings(bpy.types.PropertyGroup):
    """Settings of Reconstruct from Video"""

    source_kind: EnumProperty(
        name="Source",
        description="What shows the people and the place",
        items=(
            ("VIDEO", "Video", "A video file"),
            ("SEQUENCE", "Sequence", "Pictures whose names differ only in a number"),
            ("CLIP", "Clip", "A movie clip of this file"),
        ),
        update=_source_changed,
    )
    video: StringProperty(
        name="Video", description="The video to reconstruct", subtype="FILE_PATH", update=_source_changed
    )
    picture: StringProperty(
        name="Picture", description="Any picture of the sequence; its neighbours are found by their numbers",
        subtype="FILE_PATH", update=_source_changed,
    )  # fmt: skip
    clip: PointerProperty(
        name="Clip", description="A movie clip of this file", type=bpy.types.MovieClip, update=_source_changed
    )
    fps: FloatProperty(
        name="Frame Rate", description="Pictures per second of the sequence, which cannot say it itself", default=24.0,
        min=1.0, max=1000.0, precision=3,
    )  # fmt: skip
    color_space: EnumProperty(
        name="Color Space",
        description="How the values of the pictures are to be understood",
        items=(
            ("srgb", "sRGB", "Pictures as they are shown: PNG, JPEG, TIFF"),
            ("linear", "Linear", "Scene-linear values: most EXR files"),
        ),
    )

    use_range: BoolProperty(name="Range", description="Reconstruct only a part of the source")
    start: IntProperty(
        name="First Frame", description="First frame of the source; a video begins with 0, a sequence with its number",
        default=0, min=0,
    )  # fmt: skip
    end: IntProperty(name="Last Frame", description="Last frame of the source", default=0, min=0)
    start_frame: IntProperty(
        name="Begins At", description="Frame of this scene at which the reconstruction begins", default=1
    )

    mode: EnumProperty(
        name="Mode",
        description="How people, camera and place are found",
        items=(
            ("josh", "JOSH", "Everything is solved together, tied by contact"),
            (
                "josh3r",
                "JOSH3R (fast)",
                "A network looks at pairs of frames; made for a graphics card. Its weights are "
                "yours to download, not for commercial use",
            ),
            ("josh3r+", "JOSH3R + Solve", "The fast mode, then one joint solve that begins with its result"),
        ),
    )
    preset: EnumProperty(
        name="Backends",
        description="What each stage works with",
        items=(
            ("preview", "Preview", "Runs on any computer, with nothing beyond the engine's set-up"),
            (
                "mast3r",
                "Preview + MASt3R",
                "Camera and place from a network that looks at pairs of frames. Its weights "
                "are yours to download, not for commercial use",
            ),
        ),
    )

    use_height: BoolProperty(name="Height", description="A person's real height gives the scene its true size")
    height: FloatProperty(
        name="Height", description="Barefoot height of everybody whose own is not given", default=1.75, min=0.4,
        max=2.6, precision=3, subtype="DISTANCE", unit="LENGTH",
    )  # fmt: skip
    camera_mode: EnumProperty(
        name="Camera",
        description="What is known about the camera",
        items=(
            ("SOLVE", "Solve", "Find lens and path from the pictures"),
            ("LENS", "Lens Known", "The focal length is known; the path is found"),
            ("GIVEN", "This Camera", "A camera of this scene that already matches the video, in metres"),
        ),
    )
    movement: EnumProperty(
        name="Movement",
        description="How the camera moved; say it where it is found wrongly",
        items=(
            ("auto", "Automatic", "Find out from the pictures"),
            ("moving", "Moving", "Carried or driven through the place"),
            ("static", "Static", "On a tripod that does not turn"),
            ("pan", "Pan", "Turns and zooms in one place"),
        ),
    )
    lens: FloatProperty(
        name="Focal Length", description="Focal length of the lens in millimetres", default=35.0, min=1.0, max=2000.0,
        unit="CAMERA",
    )  # fmt: skip
    sensor: FloatProperty(
        name="Sensor Width", description="Width of the sensor in millimetres that the whole picture covers",
        default=36.0, min=1.0, max=100.0, unit="CAMERA",
    )  # fmt: skip
    refine: BoolProperty(
        name="Refine", description="Take what is given as a start and improve it, instead of keeping it exactly"
    )
    camera: PointerProperty(
        name="Camera", description="The camera to keep, at the frames at which the reconstruction begins and ends",
        type=bpy.types.Object, poll=_is_camera,
    )  # fmt: skip

    use_most: BoolProperty(name="At Most", description="Keep only the people who are seen largest and longest")
    most: IntProperty(name="People", description="So many people at most", default=2, min=1, max=250)
    detected: CollectionProperty(type=JOSH4D_DetectedPerson)
    detected_for: StringProperty(options={"HIDDEN"})

    use_output: BoolProperty(name="Output Folder", description="Choose where the 4D scene is written")
    output: StringProperty(name="Folder", description="The folder that gets the 4D scene", subtype="DIR_PATH")

    # What Blender found out about the source.
    width: IntProperty(options={"HIDDEN"})
    height_px: IntProperty(options={"HIDDEN"})
    first: IntProperty(options={"HIDDEN"})
    last: IntProperty(options={"HIDDEN"})
    count: IntProperty(options={"HIDDEN"})
    problem: StringProperty(options={"HIDDEN"})

    @property
    def source(self) -> Path | None:
        """The file chosen, absolute; None where none is."""
        if self.source_kind == "CLIP":
            name = self.clip.filepath if self.clip is not None else ""
        else:
            name = self.video if self.source_kind == "VIDEO" else self.picture
        return Path(bpy.path.abspath(name)).absolute() if name else None

    @property
    def is_sequence(self) -> bool:
        """Whether the source is an image sequence."""
        return self.source_kind == "SEQUENCE" or (
            self.source_kind == "CLIP" and self.clip is not None and self.clip.source == "SEQUENCE"
        )

    def range(self) -> tuple[int, int]:
        """First and last source frame that are solved."""
        if not self.use_range:
            return self.first, self.last
        return max(self.start, self.first), min(self.end, self.last)

    def blender_start(self) -> int:
        """The frame of the scene at which the reconstruction begins; that of the clip's picture for a clip."""
        if self.source_kind != "CLIP" or self.clip is None:
            return self.start_frame
        shown_first = self.first
        if self.clip.source == "SEQUENCE":
            # A clip of a sequence begins with the picture that was chosen, whatever came before it.
            shown_first = find_sequence(self.source).number_of(self.source)
        return self.clip.frame_start - self.clip.frame_offset + self.range()[0] - shown_first

    def read_facts(self) -> None:
        """Find out size and range of the source, and forget whom an earlier one showed."""
        self.width = self.height_px = self.first = self.last = self.count = 0
        self.problem = ""
        source = self.source
        if source is None:
            return
        try:
            facts = source_facts(source)
        except UserError as error:
            self.problem = error.message
            return
        self.width, self.height_px, self.count = facts.width, facts.height, facts.count
        self.first, self.last = facts.first, facts.last
        if not self.first <= self.start <= self.end <= self.last or self.start == self.end:
            self.start, self.end = self.first, self.last

    def detection_key(self) -> str:
        """What decides who is seen: people found for another key are not those of this reconstruction."""
        most = self.most if self.use_most else None
        rate = (self.fps, self.color_space) if self.is_sequence else None
        return json.dumps([str(self.source), self.range() if self.use_range else None, most, rate])

    @property
    def detection_holds(self) -> bool:
        """Whether the list of people belongs to the source and range as they are now."""
        return bool(self.detected_for) and self.detected_for == self.detection_key()


CLASSES = (JOSH4D_DetectedPerson, JOSH4D_ReconstructSettings)


def register() -> None:
    """Register the settings on every scene."""
    for one in CLASSES:
        bpy.utils.register_class(one)
    setattr(bpy.types.Scene, _ATTRIBUTE, PointerProperty(type=JOSH4D_ReconstructSettings))


def unregister() -> None:
    """The reverse of `register`."""
    delattr(bpy.types.Scene, _ATTRIBUTE)
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
