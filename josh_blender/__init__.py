"""JOSH 4D Reconstruction: people, camera and place of a video as one metric 4D scene."""

__version__ = "0.1.0"
