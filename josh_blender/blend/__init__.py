"""4D scene -> Blender datablocks. Plain functions, usable from a script; docs/blender.md describes what arrives."""
