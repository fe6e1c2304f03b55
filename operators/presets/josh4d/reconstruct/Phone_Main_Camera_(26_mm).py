import bpy

settings = bpy.context.scene.josh4d_reconstruct

settings.camera_mode = "LENS"
settings.movement = "auto"
settings.lens = 26.0
settings.sensor = 36.0
# Stabilised video shows a part of the picture, so the focal length is a start only.
settings.refine = True
