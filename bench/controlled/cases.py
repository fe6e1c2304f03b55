"""The studies of the joint solve: what varies in each, and on what."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from josh_blender.engine.solver.settings import SolverSettings

from .compare import CHUNK
from .inputs import Variation

#: A sigma that takes a term out, and one that holds what it is about.
_OUT, _HELD = 1e6, 1e-4
#: Bodies stay as they came, in their cameras; only the contact scale ties them to the place.
BODIES_HELD = SolverSettings(
    static=_OUT, root_side=_HELD, root_depth=_HELD, pose_degrees=0.01, betas=_HELD, acceleration=_OUT,
    turn_acceleration=_OUT, landmark=_OUT, self_collision_m=_OUT,
)  # fmt: skip
SEQUENCES = ("straight", "curve", "stairs", "orbit", "crossing")


@dataclass(frozen=True)
class Case:
    """A line of a table: its name, the level of the errors, what varies in the inputs and in the solver.

    known_lens: the lens is believed. as_they_came: bodies and place keep the sizes that the stages before gave them.
    frames: of the beginning of the sequence. people: so many of them walk, 0 for those of the sequence.
    """

    name: str
    level: float = 1.0
    variation: Variation = field(default_factory=Variation)
    settings: SolverSettings = field(default_factory=SolverSettings)
    known_lens: bool = False
    as_they_came: bool = False
    frames: int = CHUNK
    people: int = 0


@dataclass(frozen=True)
class Study:
    """Cases that differ in one thing, on the beginnings of these sequences. axis: what that thing is, for a plot whose
    places are ``at`` (none: the names)."""

    axis: str
    cases: tuple[Case, ...]
    at: tuple[float, ...] = ()
    sequences: tuple[str, ...] = SEQUENCES


#: The paper's: contact scale, then bodies, then standing still.
_ABLATION = (
    Case("start values", settings=replace(BODIES_HELD, contact=_OUT), as_they_came=True),
    Case("+ contact scale, place free", settings=BODIES_HELD),
    Case("+ bodies free", settings=SolverSettings(static=_OUT)),
    Case("+ contact static: everything"),
    Case("everything but contact scale", settings=SolverSettings(contact=_OUT)),
    Case("everything but landmarks", variation=Variation(without_landmarks=True)),
)
_LEVELS = (0.0, 0.5, 1.0, 2.0)
_WRONG = (0.0, 0.1, 0.2, 0.35, 0.5)
_UNITS = (0.2, 0.5, 1.0, 2.0, 5.0)
_PEOPLE = (1, 2, 3, 4)
_FRAMES = (31, 61, 101, 201, 401, 900)

STUDIES = {
    "ablation": Study("what takes part", _ABLATION),
    "noise": Study("level of the errors", tuple(Case(f"level {level:g}", level) for level in _LEVELS), _LEVELS),
    "labels": Study(
        "wrong contact labels, %",
        (
            *(Case(f"{share:.0%} wrong", variation=Variation(flips=share)) for share in _WRONG),
            Case("no labels", variation=Variation(without_contacts=True)),
        ),
        tuple(100.0 * share for share in _WRONG),
    ),
    "lens": Study("lens 5 % too long", (Case("lens free"), Case("lens believed", known_lens=True))),
    "start": Study(
        "metres per unit of the scene at the start",
        tuple(Case(f"unit {unit:g} m", variation=Variation(unit=unit)) for unit in _UNITS),
        _UNITS,
    ),
    "height": Study(
        "height",
        (Case("height given"), Case("height not given", variation=Variation(height_known=False))),
    ),
    "people": Study(
        "people in the scene",
        tuple(Case(f"{count} of them", people=count) for count in _PEOPLE),
        tuple(float(count) for count in _PEOPLE),
        ("straight",),
    ),
    "length": Study(
        "frames",
        tuple(Case(f"{count} frames", frames=count) for count in _FRAMES),
        tuple(float(count) for count in _FRAMES),
        ("return",),
    ),
}
