"""What `ppdet-ext track` does: the same object keeps its number through a video. No Paddle."""

from .tracker import Tracked, Tracker

__all__ = ["Tracked", "Tracker"]
