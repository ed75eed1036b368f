"""The OpenVINO target: `model.xml` and `model.bin`."""

import os

from ppdet_ext.versions import is_importable


def save_openvino(onnx_file, folder, fp16=False):
    """Converts an ONNX file to OpenVINO's own format.

    Args:
        onnx_file (str): the model.
        folder (str): gets `model.xml` and `model.bin`.
        fp16 (bool): keep the weights in half precision: half the size, computed as the device likes.

    Returns:
        str: path of `model.xml`.

    Raises:
        ValueError: OpenVINO is absent or does not take the graph.
    """
    if not is_importable("openvino"):
        raise ValueError("the target openvino needs openvino; run: scripts/setup.sh --extras openvino")
    import openvino

    target = os.path.join(folder, "model.xml")
    try:
        # Not convert_model(), which takes a comma in a path for the end of it.
        openvino.save_model(openvino.Core().read_model(onnx_file), target, compress_to_fp16=fp16)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"{onnx_file}: OpenVINO does not take it ({reason})") from None
    return target
