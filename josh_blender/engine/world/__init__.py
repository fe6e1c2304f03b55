"""The world of the result: gravity, ground, origin and heading."""
