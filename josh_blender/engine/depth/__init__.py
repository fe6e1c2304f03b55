"""Stage 3, the place: depth maps, the ground, and the coloured cloud."""
