"""The program text that each stage is made of, beyond what the stages before it are made of."""

from __future__ import annotations

#: Files and folders relative to the package ``josh_blender``; a stage whose text changed runs again.
SOURCES: dict[str, tuple[str, ...]] = {
    "frames": (
        "engine/stages/frames.py",
        "engine/video",
        "engine/results.py",
        "scene4d/conventions.py",
        "scene4d/sequence.py",
        "scene4d/source_identity.py",
    ),
    "people": ("engine/stages/people.py", "engine/detection"),
    "scene": (
        "engine/stages/scene.py",
        "engine/stages/scene_shot.py",
        "engine/stages/scene_moving.py",
        "engine/stages/scene_turning.py",
        "engine/stages/scene_mast3r.py",
        "engine/stages/joint_lens.py",
        "engine/pairs",
        "engine/networks",
        "engine/solver",
        "engine/fit",
        "engine/body",
        "engine/threads.py",
        "engine/similarity.py",
        "scene4d/body.py",
        "engine/sfm",
        "engine/depth",
        "scene4d/camera.py",
        "scene4d/rotations.py",
    ),
    "lens": (
        "engine/stages/lens.py",
        "engine/feedforward/load.py",
        "engine/pairs/focal.py",
        "engine/networks",
        "scene4d/camera.py",
        "scene4d/rotations.py",
    ),
    "bodies": (
        "engine/stages/bodies.py",
        "engine/fit",
        "engine/solver",
        "engine/body",
        "engine/threads.py",
        "scene4d/body.py",
    ),
    "motion": (
        "engine/stages/motion.py",
        "engine/stages/motion_points.py",
        "engine/stages/joint_lens.py",
        "engine/stages/scene_shot.py",
        "engine/feedforward",
        "engine/preview.py",
        "engine/sfm",
        "engine/depth",
    ),
    "contact": ("engine/stages/contact.py", "engine/contact", "engine/solver", "scene4d/body.py"),
    "joint": (
        "engine/stages/joint.py",
        "engine/stages/joint_lens.py",
        "engine/stages/joint_scale.py",
        "engine/solver",
    ),
}
