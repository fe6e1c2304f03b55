"""Where the pose models lie, that they are the right ones, and how they are opened."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...scene4d.errors import UserError

FOLDER_VARIABLE = "JOSH4D_MODELS"
FETCH_COMMAND = "python -m josh_blender.engine.detection.fetch_models"


@dataclass(frozen=True)
class ModelFile:
    """A model by its file name here, its place in the published wheel, and its SHA-256."""

    name: str
    member: str
    sha256: str


POSE_DETECTION = ModelFile(
    "pose_detection.tflite",
    "mediapipe/modules/pose_detection/pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
)
POSE_LANDMARK = ModelFile(
    "pose_landmark_full.tflite",
    "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
    "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
)
MODEL_FILES = (POSE_DETECTION, POSE_LANDMARK)


def models_folder() -> Path:
    """The folder of the models: ``JOSH4D_MODELS``, else ``share/josh4d/models`` of the environment."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else Path(sys.prefix) / "share" / "josh4d" / "models"


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def read_model(file: ModelFile) -> bytes:
    """The checked content of a model file.

    Raises:
        UserError: ``missing_models``, ``wrong_models``.
    """
    path = models_folder() / file.name
    if not path.is_file():
        raise UserError("missing_models", f"The pose model {file.name} is not installed.", f"Run “{FETCH_COMMAND}”.")
    data = path.read_bytes()
    if sha256(data) != file.sha256:
        raise UserError(
            "wrong_models",
            f"The pose model {file.name} is damaged or of another version.",
            f"Run “{FETCH_COMMAND}” again.",
        )
    return data


def open_model(file: ModelFile) -> Any:
    """A single-threaded LiteRT interpreter of a model, its tensors allocated.

    Raises:
        UserError: as ``read_model``; ``missing_litert`` without the package ``ai-edge-litert``.
    """
    data = read_model(file)
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise UserError(
            "missing_litert",
            "The package ai-edge-litert is missing from the engine's environment.",
            "Set the environment up again.",
        ) from error
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter
