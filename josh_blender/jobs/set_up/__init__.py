"""Makes the engine's environment in a folder of the user's choice; runs under Blender's own Python."""
