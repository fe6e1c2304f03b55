"""The pipeline: a video in, a 4D scene out. Runs in an environment of its own, never inside Blender."""
