"""From float networks to INT8: after training and during it."""
