"""Networks that users bring weights for: our own implementations under the names of the public checkpoints."""
