"""What the stages hand to one another.

Every result is a dataclass of numbers, strings, arrays, lists and further dataclasses, so that one generic pair of
functions (`stage_cache`) writes and reads all of them without pickle. Larger things (masks, depth maps) are files in
the folder of the stage; results hold their folder's name relative to it.

F = frames of the solved range, K = key frames, T = frames of one person, R = contact regions. Arrays named ``index``
hold positions in ``FramesResult.frame`` (0..F-1), never source frame numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass
class VideoSource:
    """The video or image sequence as it is displayed (rotation metadata applied).

    ``identity`` is the size in bytes and the SHA-256 of the first and last 16 MB; it survives moves and renames.
    """

    path: str
    kind: str  # "video" | "images"
    width: int
    height: int
    fps_num: int
    fps_den: int
    frame_count: int
    rotation: int
    identity: str
    color_space: str


@dataclass
class FramesResult:
    """Stage 1. ``frame`` (F,) int32 source frame numbers in display order; ``time`` (F,) float64 seconds.

    ``plate_reasons`` says why Blender would not show this source frame for frame; empty where it would.
    """

    source: VideoSource
    frame: Array
    time: Array
    plate_reasons: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass
class Track:
    """One person through the video, every frame from the first to the last seen (gaps filled, ``detected`` False).

    index (T,) int32, contiguous; box (T,4) float32 x0 y0 x1 y1 px; landmarks (T,33,2) float32 px on the distorted
    plate, MediaPipe's 33 points; visibility (T,33) float32 in 0..1; world_landmarks (T,33,3) float32 metres, hip
    centred, camera axes; overlap (T,) float32 share of the box covered by other people's boxes.
    """

    id: int
    mask_value: int
    index: Array
    box: Array
    landmarks: Array
    visibility: Array
    world_landmarks: Array
    detected: Array
    overlap: Array
    reliable: bool = True
    reason: str = ""

    def seen_on(self, frame: int) -> bool:
        """Whether the person was detected on a frame."""
        row = frame - int(self.index[0])
        return 0 <= row < len(self.index) and bool(self.detected[row])

    def box_on(self, frame: int) -> Array:
        """The box (4,) on a frame of the track."""
        box: Array = self.box[frame - int(self.index[0])].astype("float64")
        return box


@dataclass
class PeopleResult:
    """Stage 2. ``mask_folder``/FFFFFF.png (source frame number): uint8 ``mask_value``, 0 nobody, 255 people who are
    not tracked."""

    tracks: list[Track]
    mask_folder: str = "masks"
    warnings: list[str] = field(default_factory=list)


@dataclass
class SceneResult:
    """Stage 3, in scene units (metres only where ``metric``) and an arbitrary but fixed world frame.

    camera_kind: "moving", "static" or "pan". keyframe (K,) int32 index. world_from_camera (F,4,4) float64 for every
    frame. intrinsics (F,4) float64 fx fy cx cy px; distortion (5,) OpenCV order. points (P,3) float64, point_color
    (P,3) uint8. Observations (M,): ``observation_keyframe`` position in ``keyframe``, ``observation_point`` row of
    ``points``, ``observation_pixel`` (M,2) float32 on the distorted plate. ``depth_index`` (D,) int32: frames with
    ``depth_folder``/FFFFFF.npz (source frame number; arrays depth float32 in scene units, 0 = none; confidence
    float32 0..1; intrinsics (4,) of the undistorted pinhole of the depth map). ground (4,) plane n.x + d = 0 with n
    pointing up, or shape (0,) where none was seen. metric: the unit is already the metre (a given camera).
    focal_sigma: relative standard deviation of the focal length: of a moving camera that was not adjusted to the
    sightings, with depth maps from elsewhere (a network's), 0 where it was, and the maps follow from it; of one that
    stands or only turns, as the people and the ground say it.
    """

    camera_kind: str
    keyframe: Array
    world_from_camera: Array
    intrinsics: Array
    distortion: Array
    points: Array
    point_color: Array
    observation_keyframe: Array
    observation_point: Array
    observation_pixel: Array
    depth_index: Array
    ground: Array
    depth_folder: str = "depth"
    metric: bool = False
    focal_sigma: float = 0.0
    quality: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass
class PersonFit:
    """The body of one track in the camera of each frame, in metres as its shape says.

    betas (B,); poses (T,72) axis-angle; trans (T,3) SMPL translation in camera axes; confidence (T,) 0..1;
    landmark_error (T,) median distance of projected to detected landmarks, px.
    """

    track_id: int
    index: Array
    betas: Array
    poses: Array
    trans: Array
    confidence: Array
    landmark_error: Array
    reliable: bool = True
    reason: str = ""


@dataclass
class BodiesResult:
    """Stage 4. ``body_id`` names the body model of all fits; ``height_known`` whether the user gave a height."""

    body_id: str
    people: list[PersonFit]
    height_known: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass
class PersonContact:
    """contact (T,R) float32 probability that a region touches the scene, columns as ``CONTACT_REGIONS``."""

    track_id: int
    contact: Array


@dataclass
class ContactResult:
    """Stage 5."""

    people: list[PersonContact]
    warnings: list[str] = field(default_factory=list)


@dataclass
class PersonWorld:
    """One person placed in the metric world of the joint solve (same axes as ``SceneResult``, metres)."""

    track_id: int
    index: Array
    betas: Array
    poses: Array
    trans: Array
    confidence: Array
    contact: Array
    reliable: bool = True
    reason: str = ""


@dataclass
class JointResult:
    """Stage 6. Metres. ``scale`` = metres per scene unit of stage 3; ``scale_sigma`` its relative standard deviation;
    ``scale_source`` in {"height", "population", "camera", "ground", "motion", "network", "none"}.
    """

    world_from_camera: Array
    intrinsics: Array
    distortion: Array
    scale: float
    scale_sigma: float
    scale_source: str
    people: list[PersonWorld]
    ground: Array
    report: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass
class MotionResult:
    """JOSH3R: camera and place in metres as a scene of stage 3, and everybody in it as after a joint solve. pairs:
    pairs of frames that were looked at; guessed: frames that nothing placed."""

    scene: SceneResult
    joint: JointResult
    pairs: int
    guessed: int
    warnings: list[str] = field(default_factory=list)

    def with_contact(self, contact: ContactResult) -> JointResult:
        """The joint result with everybody's contacts."""
        labels = {person.track_id: person.contact for person in contact.people}
        people = [replace(person, contact=labels.get(person.track_id, person.contact)) for person in self.joint.people]
        return replace(self.joint, people=people)
