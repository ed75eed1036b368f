"""Checkpoints: loading of weights, sets of files that are whole or not there, and going on from them."""
