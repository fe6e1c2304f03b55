"""JOSH3R on a video: people's motion from pairs of frames, put together to one path of camera and people."""
