"""Which regions of a body touch the scene on which frame."""
