"""From pictures to weights: triplets, losses, phases, and the loop that survives being stopped."""
