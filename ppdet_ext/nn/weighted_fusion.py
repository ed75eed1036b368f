"""Feature maps of one shape, added with a learnt weight each."""

import numpy as np
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import ParamAttr
from paddle.nn.initializer import Constant
from paddle.regularizer import L2Decay

from ppdet_ext.nearest import choice

FUSIONS = ("fast", "softmax", "unbounded", "sum")
# Keeps 'fast' from dividing by zero (arXiv:1911.09070, section 3.3).
EPSILON = 1e-4


def fusion_weights(raw, mode):
    """The weights that a fusion multiplies its maps with.

    Args:
        raw (ndarray): [n], as trained.
        mode (str): 'fast', 'softmax' or 'unbounded'.

    Returns:
        ndarray: [n] float64.
    """
    raw = np.asarray(raw, np.float64)
    if mode == "fast":
        positive = np.maximum(raw, 0.0)
        return positive / (positive.sum() + EPSILON)
    if mode == "softmax":
        powers = np.exp(raw - raw.max())
        return powers / powers.sum()
    return raw


class WeightedFusion(nn.Layer):
    """The weighted sum of n maps: n times ``[B, C, H, W] -> [B, C, H, W]``.

    One scalar a map, ``edge_weights`` [n], starts at 1 and is exempt from weight decay. After
    :meth:`convert_to_deploy` the weights are numbers in the graph and the state dict holds none.

    Args:
        n (int): maps, 2 or more; one and the same map may come twice.
        mode (str): 'fast', ``relu(w_i) / (sum relu(w) + 1e-4)``; 'softmax'; 'unbounded', w_i itself; or
            'sum', where every weight is 1 and there is no parameter.

    Raises:
        ValueError: fewer than two maps, or an unknown mode.

    Source: EfficientDet, arXiv:1911.09070, section 3.3.
    """

    def __init__(self, n, mode="fast"):
        super().__init__()
        if mode not in FUSIONS:
            raise ValueError(f"unknown fusion '{mode}'; {choice(mode, FUSIONS)}")
        if n < 2:
            raise ValueError(f"a fusion joins two maps or more, not {n}")
        self.n, self.mode = n, mode
        # Once they are constants: what forward multiplies with, and what weights() tells.
        self._factors = self._weights = [1.0] * n if mode == "sum" else None
        if mode != "sum":
            self.edge_weights = self.create_parameter(
                [n], attr=ParamAttr(initializer=Constant(1.0), regularizer=L2Decay(0.0))
            )

    def forward(self, maps):
        """Adds the maps (list[Tensor] of n equal shapes) with their weights."""
        if len(maps) != self.n:
            raise ValueError(f"a fusion of {self.n} maps got {len(maps)}")
        if self._factors is None:
            weights = self._normalised().astype(maps[0].dtype)  # half precision in mixed-precision training
            maps = [x * weights[i : i + 1] for i, x in enumerate(maps)]
        else:
            maps = [x if factor == 1.0 else x * factor for x, factor in zip(maps, self._factors)]
        total = maps[0]
        for x in maps[1:]:
            total = total + x
        return total

    def _normalised(self):
        if self.mode == "fast":
            positive = F.relu(self.edge_weights)
            return positive / (positive.sum() + EPSILON)
        return F.softmax(self.edge_weights, axis=0) if self.mode == "softmax" else self.edge_weights

    def weights(self):
        """The n weights (list[float]) that the maps have in the sum; the same in either form."""
        if self._weights is not None:
            return list(self._weights)
        return fusion_weights(self.edge_weights.numpy(), self.mode).tolist()

    def convert_to_deploy(self):
        """Makes the weights constants, so that nothing computes them any more; a second call does nothing."""
        if self._factors is None:
            self._factors = self._weights = self.weights()
            del self.edge_weights

    def hand_out(self):
        """Leaves the multiplication to what makes the maps: from now on they are only added.

        Returns:
            list[float]: the n weights, constants.
        """
        self.convert_to_deploy()
        factors, self._factors = self._factors, [1.0] * self.n
        return factors
