"""A TensorRT engine from an ONNX file, kept beside it together with what it was built for.

Precision is the ONNX file's own (strongly typed networks: the one way that TensorRT 10 and 11 share). Its
FP16 file comes from `ppdet-ext export --fp16`, its INT8 file has QuantizeLinear and DequantizeLinear.
"""

import hashlib
import json
import os

import tensorrt

ENGINE = "model.engine"
KEY = "model.engine.json"
# What an engine with free sides is built for: least, best, largest.
BATCHES = (1, 8, 32)
SIDES = (320, 640, 1280)
WORKSPACE = 4 << 30  # bytes that a layer may ask for while kernels are chosen


def engine_key(onnx_file, gpu):
    """What an engine depends on; one built for anything else is stale.

    Args:
        onnx_file (Path): the model.
        gpu (str): name and compute capability.
    """
    return {
        "tensorrt": tensorrt.__version__,
        "gpu": gpu,
        "onnx": hashlib.sha256(onnx_file.read_bytes()).hexdigest(),
        "batches": list(BATCHES),
        "sides": list(SIDES),
    }


def load_or_build(onnx_file, gpu, logger, say):
    """The engine for a model on this machine, from the cache where that fits.

    Args:
        onnx_file (Path): the model; the cache stands beside it.
        gpu (str): name and compute capability of the GPU in use.
        logger (tensorrt.Logger): of the builder.
        say (callable): is told why an engine is built anew, since that takes minutes.

    Returns:
        tensorrt.ICudaEngine

    Raises:
        ValueError: TensorRT cannot read the model or cannot build an engine of it.
    """
    key = engine_key(onnx_file, gpu)
    reason = _stale(onnx_file.parent, key)
    runtime = tensorrt.Runtime(logger)
    if reason is None:
        engine = runtime.deserialize_cuda_engine((onnx_file.parent / ENGINE).read_bytes())
        if engine is not None:
            return engine
        reason = "TensorRT does not take it"
    say(f"{onnx_file.parent / ENGINE}: {reason}; building an engine, which takes some minutes")
    serialized = build(onnx_file, logger)
    _keep(onnx_file.parent, bytes(serialized), key, say)
    return runtime.deserialize_cuda_engine(serialized)


def parse(onnx_file, logger):
    """Reads a model into a network: the half of :func:`build` that may go without a GPU.

    Args:
        onnx_file (Path): the model.
        logger (tensorrt.Logger): of the builder.

    Returns:
        tuple: builder, network, and the parser, which has to live as long as they do.

    Raises:
        ValueError: TensorRT cannot read the model.
    """
    builder = tensorrt.Builder(logger)
    flags = getattr(tensorrt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if flags is None else 1 << int(flags))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(onnx_file.read_bytes()):
        faults = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise ValueError(f"{onnx_file}: TensorRT {tensorrt.__version__} cannot read it ({faults})")
    return builder, network, parser


def build(onnx_file, logger):
    """Builds an engine.

    Args:
        onnx_file (Path): the model.
        logger (tensorrt.Logger): of the builder.

    Returns:
        tensorrt.IHostMemory: the engine as bytes.

    Raises:
        ValueError: TensorRT cannot read the model or cannot build an engine of it.
    """
    builder, network, _parser = parse(onnx_file, logger)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, WORKSPACE)
    config.add_optimization_profile(_profile(builder, network.get_input(0)))
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        raise ValueError(
            f"{onnx_file}: TensorRT {tensorrt.__version__} cannot build an engine of it; "
            "its messages above say which layer"
        )
    return serialized


def _profile(builder, image):
    """The shapes that an engine takes: fixed sides as they are, free ones within their limits."""
    profile = builder.create_optimization_profile()
    limits = (BATCHES, None, SIDES, SIDES)
    shapes = [
        tuple(limit[i] if side == -1 else side for side, limit in zip(image.shape, limits)) for i in range(3)
    ]
    profile.set_shape(image.name, *shapes)
    return profile


def _stale(folder, key):
    """Why the engine in a folder is of no use, None if it fits."""
    if not (folder / ENGINE).is_file() or not (folder / KEY).is_file():
        return "there is none yet"
    try:
        built = json.loads((folder / KEY).read_text(encoding="utf-8"))
    except ValueError:
        return f"{KEY} is damaged"
    for name, value in key.items():
        if built.get(name) != value:
            return f"it was built for another {name} ({built.get(name)}, here {value})"
    return None


def _keep(folder, engine, key, say):
    """Writes an engine and its key, each whole or not at all."""
    try:
        for name, content in ((ENGINE, engine), (KEY, json.dumps(key, indent=1).encode())):
            partial = folder / (name + ".part")
            partial.write_bytes(content)
            os.replace(partial, folder / name)
    except OSError as error:
        say(f"{folder}: the engine cannot be kept there ({error.strerror}); it will be built again next time")
