"""A native PaddlePaddle extension of PaddleDetection: more detectors, and the way to any runtime.

Importing the package imports neither paddle nor ppdet, so that a device which has only ONNX Runtime can use
`ppdet_ext.runtime`.
"""

from ppdet_ext import compat

__version__ = "0.1.0"
__all__ = ["__version__", "setup"]

compat.protect_zlib()


def setup() -> str:
    """Registers every module with ppdet; `configs/_base_/plugin.yml` calls it. Safe to call twice."""
    from ppdet_ext import plugin

    return plugin.setup()
