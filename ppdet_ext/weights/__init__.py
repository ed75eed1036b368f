"""Weights of other frameworks, in ours: `ppdet-ext weights convert`."""
