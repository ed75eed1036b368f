"""Quantised programs for Paddle Lite: right in 8 bits on x86, and refused in a line where they cannot be."""

import importlib.util
import json

import numpy as np
import pytest
import yaml

from ppdet_ext.compat import program_ops
from ppdet_ext.export import lite_model
from ppdet_ext.export.lite_int8 import save_for_lite
from ppdet_ext.export.lite_model import save_lite_int8
from ppdet_ext.runtime.backends import create_backend
from ppdet_ext.versions import paddle_version

from ..runtime.quantized_model import SIDE, run_plainly, static_mode, write_quantized
from ..runtime.tiny_model import INFER_CFG

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("paddlelite") is None, reason="paddlelite is absent"),
    pytest.mark.skipif(paddle_version() >= (3,), reason="Paddle Lite reads models of Paddle 2.6"),
]


@pytest.fixture(scope="module", params=["mixed", "steep", "bare", "shared"])
def quantized(request, tmp_path_factory):
    """A quantised program, its images and answers, and the folder that gets the files."""
    source, folder = tmp_path_factory.mktemp("quantized"), tmp_path_factory.mktemp("exported")
    options = {} if request.param == "mixed" else {request.param: True}
    answers = write_quantized(source, **options)
    write_settings(folder)
    return str(source / "model.pdmodel"), folder, *answers


def write_settings(folder):
    resize = {"type": "Resize", "target_size": [SIDE, SIDE], "keep_ratio": False, "interp": 1}
    config = {**INFER_CFG, "Preprocess": [resize, *INFER_CFG["Preprocess"][1:]]}
    (folder / "infer_cfg.yml").write_text(yaml.safe_dump(config))
    (folder / "export.json").write_text(json.dumps({"input": {"size": [SIDE, SIDE]}, "files": {}}))


def test_the_x86_model_answers_as_the_simulation(quantized):
    program, folder, images, whole, simulated = quantized
    report = save_lite_int8(program, str(folder), [SIDE, SIDE])
    assert report == {
        "lite_x86": (str(folder / "model_x86.nb"), "int8"),
        "lite_arm": (str(folder / "model_arm.nb"), "int8"),
    }
    assert (folder / "detector.txt").is_file() and (folder / "model_arm.nb").stat().st_size > 0
    results = create_backend("paddle_lite", folder).run(images)
    for ours, exact, theirs, tolerance in zip(results, whole, simulated, (0.15, 0.015)):
        assert 0 < np.abs(ours - exact).max() < tolerance
        assert np.abs(ours - theirs).max() < tolerance


def test_the_gate_is_float_and_x86_weights_have_7_bits(quantized, tmp_path, request):
    program, _, images, _, simulated = quantized
    import paddle

    for place, most in (("x86", 64), ("arm", 127)):
        folder = tmp_path / place
        folder.mkdir()
        written = save_for_lite(program, str(folder), place)
        assert paddle.in_dynamic_mode(), "the mode is as it was"
        assert program_ops(written).count("quantize_linear") < program_ops(program).count("quantize_linear")
        with static_mode():
            answers = run_plainly(folder, images)
            scope = paddle.static.global_scope()
            graph, _, _ = paddle.static.load_inference_model(
                str(folder / "model"), paddle.static.Executor(paddle.CPUPlace())
            )
            filters = [
                np.array(scope.find_var(op.input("X")[0]).get_tensor())
                for op in graph.global_block().ops
                if op.type == "dequantize_linear" and op.attr("quant_axis") >= 0
            ]
        bare = "bare" in request.node.name and place == "x86"
        count = 5 - bare + ("shared" in request.node.name)
        assert len(filters) == count, (
            "six weights; the gate's is float, one x86 can't run, shared ones are two"
        )
        assert {int(np.abs(values.astype(int)).max()) for values in filters} == {most}
        for ours, theirs, tolerance in zip(answers, simulated, (0.15, 0.015)):
            assert np.abs(ours - theirs).max() < tolerance


def test_programs_that_are_refused(quantized, tmp_path, monkeypatch):
    program = quantized[0]
    write_settings(tmp_path)
    with pytest.raises(
        ValueError, match="float/model.pdmodel: holds no quantize_linear; quantise it with Padd"
    ):
        save_lite_int8(program.replace("model.pdmodel", "float/model.pdmodel"), str(tmp_path), [SIDE, SIDE])
    with pytest.raises(ValueError, match="and this is Paddle 3"):
        save_lite_int8("model.json", str(tmp_path), [SIDE, SIDE])
    with pytest.raises(ValueError, match="images of one size"):
        save_lite_int8(program, str(tmp_path), [-1, -1])
    with pytest.raises(
        ValueError, match="TestReader gives images of 32x32 and Paddle Lite takes one size, 64x"
    ):
        save_lite_int8(program, str(tmp_path), [64, 64])
    monkeypatch.setattr(lite_model, "_check_images", lambda folder, size: None)
    with pytest.raises(ValueError, match="model.pdmodel: takes images of 32x32, not of 64x64; quantise"):
        save_lite_int8(program, str(tmp_path), [64, 64])
    monkeypatch.setattr(lite_model, "program_ops", lambda file: ["conv2d", "swish"])
    with pytest.raises(ValueError, match="model.pdmodel: holds swish.*with SiLU in its place$"):
        save_lite_int8(program, str(tmp_path), [SIDE, SIDE])
    assert not list(tmp_path.glob("*.nb"))
