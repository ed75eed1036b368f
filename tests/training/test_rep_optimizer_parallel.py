"""RepOptBlock in two processes: each masks the gradient that both share."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
from paddle import optimizer as optimizers

from ppdet_ext.nn import RepOptBlock
from tests.nn.reference import relative_error
from tests.training.launcher import launch
from tests.training.tiny import ROOT

# Each process with its half of a batch and its own fresh kernel, of which the first one's is taken.
PARALLEL = f"""
import sys
sys.path.insert(0, r"{ROOT}")
import numpy as np
import ppdet_ext
import paddle
import paddle.distributed as dist
from paddle.distributed.fleet.utils.hybrid_parallel_util import fused_allreduce_gradients
from ppdet_ext.nn import RepOptBlock

dist.init_parallel_env()
rank = dist.get_rank()
given = np.load("given.npz")
for fused in (0, 1):
    paddle.seed(rank)
    block = RepOptBlock(4, 4, identity=True, act=None)
    block.set_scales(*given["scales"])
    model = paddle.DataParallel(block)
    start = block.conv1.conv.weight.numpy()
    block.conv1.bn.eval()
    optimizer = paddle.optimizer.Momentum(0.1, 0.9, parameters=block.parameters())
    for x in given["x"]:
        x = paddle.to_tensor(x[2 * rank : 2 * rank + 2])
        if fused:
            with model.no_sync():
                (model(x) ** 2).mean().backward()
            fused_allreduce_gradients(list(model.parameters()), None)
        else:
            (model(x) ** 2).mean().backward()
        optimizer.step()
        optimizer.clear_grad()
    np.savez(f"{{rank}}{{fused}}.npz", start=start, end=block.conv1.conv.weight.numpy())
"""


def test_two_processes_mask_what_they_share(tmp_path):
    (tmp_path / "parallel.py").write_text(PARALLEL)
    random = np.random.default_rng(0)
    given = {
        "scales": random.uniform(0.3, 1.5, [3, 4]),
        "x": random.standard_normal([4, 4, 4, 6, 6], "float32"),
    }
    np.savez(tmp_path / "given.npz", **given)
    launch("parallel.py", folder=tmp_path)
    for fused in (0, 1):
        first, second = (dict(np.load(tmp_path / f"{rank}{fused}.npz")) for rank in (0, 1))
        for name in ("start", "end"):
            np.testing.assert_array_equal(first[name], second[name])
        block = RepOptBlock(4, 4, identity=True, act=None)
        block.set_scales(*given["scales"])
        block.conv1.conv.weight.set_value(first["start"])
        block.conv1.bn.eval()
        optimizer = optimizers.Momentum(0.1, 0.9, parameters=block.parameters())
        for x in given["x"]:
            (block(paddle.to_tensor(x)) ** 2).mean().backward()
            optimizer.step()
            optimizer.clear_grad()
        assert relative_error(first["end"], first["start"]) > 0.1
        assert relative_error(first["end"], block.conv1.conv.weight.numpy()) <= 1e-5
