"""The landmark fit: a body's shape and poses from 2D and hip-centred 3D landmarks of a whole track at once."""
