"""Quantised Paddle programs: the same with less in them, and right in 8 bits through oneDNN."""

import shutil

import numpy as np
import pytest

from ppdet_ext.runtime.backends import create_backend, paddle_inference
from ppdet_ext.runtime.backends.paddle_int8 import image_size, is_quantized, simplify
from ppdet_ext.versions import paddle_version

from .quantized_model import SIDE, run_plainly, static_mode, write_quantized

pytestmark = pytest.mark.skipif(paddle_version() >= (3,), reason="PaddleSlim quantises with Paddle 2.6")


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantized")
    return folder, *write_quantized(folder)


def ops(program):
    """Type, inputs and outputs of each op of a program's bytes."""
    from paddle.base import core

    description = core.ProgramDesc(program)
    block = description.block(0)
    found = [block.op(index) for index in range(block.op_size())]
    return [(op.type(), op.input_arg_names(), op.output_arg_names()) for op in found]


def test_a_simplified_program_computes_the_same(quantized, tmp_path):
    folder, images, _, simulated = quantized
    program = (folder / "model.pdmodel").read_bytes()
    simple = simplify(program)
    (tmp_path / "model.pdmodel").write_bytes(simple)
    shutil.copy(folder / "model.pdiparams", tmp_path)
    with static_mode():
        for ours, theirs in zip(run_plainly(tmp_path, images), simulated):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert len(ops(simple)) < len(ops(program))
    read_by_convolutions = {name for kind, inputs, _ in ops(simple) if kind == "conv2d" for name in inputs}
    ends = {name for kind, _, outputs in ops(simple) if kind == "dequantize_linear" for name in outputs}
    assert ends <= read_by_convolutions
    kinds = [kind for kind, _, _ in ops(simple)]
    assert kinds.count("conv2d") == 6 and kinds.count("reduce_sum") == 1  # the mean is a sum now
    added = [inputs for kind, inputs, _ in ops(simple) if kind == "elementwise_add"]
    assert len(added) == 6 and all(any("conv2d" in n and ".b_0" in n for n in names) for names in added)


def test_what_a_program_is(quantized):
    folder = quantized[0]
    program, whole = (path / "model.pdmodel" for path in (folder, folder / "float"))
    assert is_quantized(program.read_bytes()) and not is_quantized(whole.read_bytes())
    assert image_size(program.read_bytes()) == [SIDE, SIDE]


@pytest.mark.parametrize("threads", [None, 2])
def test_onednn_answers_as_the_simulation(quantized, threads, capfd):
    folder, images, whole, simulated = quantized
    backend = create_backend("paddle_inference", folder, threads)
    results = backend.run(images)
    assert capfd.readouterr().err == "", "the passes are quiet"
    for ours, exact, theirs, tolerance in zip(results, whole, simulated, (0.15, 0.015)):
        # boxes span 3 bins, scores 0.24; another bit of precision or one less is the engine's to choose
        assert 0 < np.abs(ours - exact).max() < tolerance
        assert np.abs(ours - theirs).max() < tolerance
    out = tuple(np.empty_like(part) for part in results)
    for number in range(len(images)):
        backend.run(images[number : number + 1], tuple(part[number : number + 1] for part in out))
    np.testing.assert_allclose(out[0], results[0], atol=1e-5)
    np.testing.assert_allclose(out[1], results[1], atol=1e-5)


def test_where_it_does_not_run(quantized, monkeypatch):
    folder = quantized[0]
    with pytest.raises(
        ValueError, match="does not run on device 'gpu' here; its quantised models run on the"
    ):
        create_backend("paddle_inference", folder, device="gpu")
    monkeypatch.setattr(paddle_inference, "onednn_runs_inference", lambda: False)
    with pytest.raises(
        ValueError, match=r"model.pdmodel: is quantised.* paddlepaddle==2.6.2 or take the back"
    ):
        create_backend("paddle_inference", folder)


def test_broken_files(quantized, tmp_path):
    for name in ("model.pdmodel", "model.pdiparams"):
        shutil.copy(quantized[0] / name, tmp_path)
    file = tmp_path / "model.pdmodel"
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 3 // 4])
    with pytest.raises(ValueError, match="model.pdmodel: Paddle Inference cannot load it") as caught:
        create_backend("paddle_inference", tmp_path)
    assert "\n" not in str(caught.value)
