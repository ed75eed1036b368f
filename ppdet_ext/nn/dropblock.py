"""DropBlock regularisation."""

import paddle
import paddle.nn as nn
import paddle.nn.functional as F


class DropBlock(nn.Layer):
    """Zeroes contiguous squares of the feature map in training; the identity in evaluation.

    Args:
        block_size (int): side of a square, in cells.
        keep_prob (float): expected share of cells that survive, in (0, 1].

    Source: arXiv:1810.12890, algorithm 1. Unlike the paper's seeds-inside-the-border form, seeds lie
    anywhere and the rate makes up for it, as in PaddleDetection.
    """

    def __init__(self, block_size=3, keep_prob=0.9):
        super().__init__()
        if not 0 < keep_prob <= 1:
            raise ValueError(f"DropBlock: keep_prob must lie in (0, 1], not {keep_prob}")
        self.block_size = block_size
        self.keep_prob = keep_prob

    def forward(self, x):
        if not self.training or self.keep_prob == 1:
            return x
        size = self.block_size
        rate = (1 - self.keep_prob) / size**2
        for side in x.shape[2:]:
            rate *= side / max(side - size + 1, 1)
        seeds = (paddle.rand(x.shape) < rate).astype(x.dtype)
        kept = 1 - F.max_pool2d(seeds, size, stride=1, padding=size // 2)
        return x * kept * (x.size / kept.sum().clip(min=1))
