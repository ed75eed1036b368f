"""The ONNX target, through Paddle2ONNX."""

import os

from ppdet_ext.compat import paddle2onnx_options

# The lowest opset in which every op of the anchor-free family has its plain form (Resize by size, Softmax
# over one axis), and one that TensorRT 8 and OpenVINO 2022 already read.
DEFAULT_OPSET = 13
# Resize by size, which the neck needs, came with it.
LEAST_OPSET = 11
OUTPUTS = ("boxes", "scores")


def save_onnx(model_file, folder, opset=DEFAULT_OPSET):
    """Converts an exported Paddle model with raw outputs to ``model.onnx``.

    Args:
        model_file (str): what :func:`save_paddle` returned; the weights stand beside it.
        folder (str): of the ONNX file.
        opset (int): 11 or later.

    Returns:
        str: path of the ONNX file, with input 'image' and outputs 'boxes' and 'scores'.

    Raises:
        ValueError: Paddle2ONNX is absent or refuses the graph.
    """
    try:
        import onnx
        import paddle2onnx
    except ImportError as error:
        raise ValueError(
            f"the ONNX target needs {error.name}; run: pip install 'ppdet_ext[convert]'"
        ) from None
    target = os.path.join(folder, "model.onnx")
    temporary = target + ".part"
    weights = os.path.join(os.path.dirname(model_file), "model.pdiparams")
    try:
        paddle2onnx.export(
            model_file,
            weights,
            save_file=temporary,
            opset_version=opset,
            auto_upgrade_opset=False,
            verbose=False,
            enable_onnx_checker=True,
            **paddle2onnx_options(),
        )
        model = onnx.load(temporary)
        _rename_outputs(model)
        onnx.checker.check_model(model)
        onnx.save(model, temporary)
        os.replace(temporary, target)
    except RuntimeError as error:
        raise ValueError(f"{model_file}: Paddle2ONNX refuses this graph at opset {opset}: {error}") from None
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
    return target


def _rename_outputs(model):
    """Gives the graph's outputs, in their order, the names that the runtime asks for."""
    names = dict(zip((output.name for output in model.graph.output), OUTPUTS))
    for output in model.graph.output:
        output.name = names[output.name]
    for node in model.graph.node:
        for ports in (node.input, node.output):
            for i, name in enumerate(ports):
                ports[i] = names.get(name, name)
