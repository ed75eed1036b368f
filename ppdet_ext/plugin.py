"""The one entry through which PaddleDetection sees this package."""

from . import __version__, compat, data_loader, versions


def setup():
    """Registers every module of ppdet_ext with PaddleDetection's workspace.

    Safe to call any number of times, from Python or from YAML
    (``!!python/object/apply:ppdet_ext.setup []``).

    Returns:
        str: the version of ppdet_ext.

    Raises:
        ValueError: PaddleDetection or PaddlePaddle is missing or of a version that does not work.
    """
    versions.check_versions()
    compat.prepare_paddle()
    compat.mend_pillow()
    compat.mend_font()
    compat.mend_static_nms()
    data_loader.mend_data_loader()
    # Importing registers; a module is imported once, so nothing is ever registered twice.
    from .data import datasets, reader, transforms  # noqa: F401
    from .modeling import assigners, backbones, detectors, heads, necks  # noqa: F401
    from .quantization import qat  # noqa: F401
    from .training import distillation, self_distillation  # noqa: F401

    reader.put_in_place()
    return __version__
