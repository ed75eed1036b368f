"""PaddleDetection's training reader, fast: one line, `TrainReader: {fast: true}`, turns it on."""

from .train_reader import TrainReader, put_in_place

__all__ = ["TrainReader", "put_in_place"]
