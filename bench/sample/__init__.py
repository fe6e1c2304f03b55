"""Rendered sequences of people in a place, with exact truth (docs/sample.md)."""
