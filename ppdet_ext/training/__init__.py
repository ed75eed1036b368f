"""What PaddleDetection's trainer lacks."""
