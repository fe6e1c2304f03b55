"""Bodies in torch, and users' SMPL files."""
