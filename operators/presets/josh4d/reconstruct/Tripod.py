import bpy

settings = bpy.context.scene.josh4d_reconstruct

settings.camera_mode = "SOLVE"
settings.movement = "static"
