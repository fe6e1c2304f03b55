"""Stage 3, the camera: lens and pose of every frame, and sparse points."""
