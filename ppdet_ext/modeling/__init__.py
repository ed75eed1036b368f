"""What PaddleDetection's workspace sees: the parts of a detector, by name."""
