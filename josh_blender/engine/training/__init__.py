"""Training JOSH3R on 4D scenes: pairs of frames and what is known of them, cached features, losses, the loop."""
