"""The differences between Paddle 2.6 and 3.x, and between versions of ppdet: the one file that knows them.

Importing this file imports neither paddle nor ppdet; what needs them imports them inside the function.
"""

from __future__ import annotations

import ctypes
import functools
import inspect
import os
import platform
import sys

from ppdet_ext.versions import package_version, paddle_version, version_numbers

# What `paddle.jit.save` writes a graph to: Paddle 2.6, Paddle 3.
STATIC_GRAPH_FILES = (".pdmodel", ".json")


def protect_zlib() -> int:
    """Keeps zlib, and every library that uses libz, alive beside paddlepaddle 2.6 (see `ppdet_ext._libz`).

    Before `import paddle` it loads libz, which is all it takes. After it, it points libz's calls back at
    libz. Nothing happens on systems other than Linux on x86-64, nor with Paddle 3. Returns how many calls
    were mended.
    """
    import zlib  # noqa: F401  loads libz before libpaddle does, wherever Python's zlib is not linked in

    if sys.platform != "linux" or platform.machine() != "x86_64":
        return 0
    try:
        ctypes.CDLL("libz.so.1")  # for a Python with zlib linked in: OpenCV and Pillow use this one
    except OSError:  # no system-wide libz: nothing that libpaddle could have taken over
        return 0
    if "paddle" not in sys.modules:
        return 0
    from ppdet_ext._libz import repair

    return repair()


def prepare_paddle() -> None:
    """Sets what PaddleDetection's exporter needs: whole-graph capture as the default of `paddle.jit`.

    With Paddle 2.6's default, ppdet 2.6 asks a partial capture for its `main_program` and dies for every
    model. A value that the user has set stays.
    """
    os.environ.setdefault("ENABLE_FALL_BACK", "False")


def mend_pillow() -> None:
    """Gives Pillow's drawing `textsize` back, which Pillow 10 dropped and ppdet 2.6 draws labels with."""
    from PIL.ImageDraw import ImageDraw

    def textsize(self, text, *args, **kwargs):
        left, top, right, bottom = self.textbbox((0, 0), text, *args, **kwargs)
        return int(right), int(bottom)  # from the origin, as it was: `left` and `top` are the font's bearing

    if not hasattr(ImageDraw, "textsize"):
        ImageDraw.textsize = textsize


def mend_font() -> None:
    """Lets PaddleDetection draw labels without a network: 2.7 and newer download a font for it.

    Where that fails, the font that comes with Matplotlib takes its place.
    """
    from ppdet.utils import visualizer

    download = getattr(visualizer, "get_path", None)
    if download is None or hasattr(download, "mended"):
        return

    @functools.lru_cache(maxsize=None)  # asked for once a picture
    def get_path(url, *args, **kwargs):
        try:
            return download(url, *args, **kwargs)
        except (OSError, RuntimeError):  # of requests, or of PaddleDetection, which gives up after some tries
            if not url.endswith(".ttf"):
                raise
            from matplotlib import get_data_path

            return os.path.join(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), True

    get_path.mended = True
    visualizer.get_path = get_path


def mend_static_nms() -> None:
    """Lets Paddle 3 capture PaddleDetection's MultiClassNMS: it no longer takes an op added the old way."""
    if _writes_programs():
        return
    import paddle
    from ppdet.modeling import ops

    dynamic = ops.multiclass_nms
    if getattr(dynamic, "mended", False):
        return
    signature = inspect.signature(dynamic)
    in_order = ("bboxes", "scores", "rois_num", "score_threshold", "nms_top_k", "keep_top_k", "nms_threshold")
    in_order += ("normalized", "nms_eta", "background_label")

    def multiclass_nms(*args, **kwargs):
        if paddle.in_dynamic_mode():
            return dynamic(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        output, index, counts = paddle._C_ops.multiclass_nms3(*[given[name] for name in in_order])
        return output, counts if given["return_rois_num"] else None, index if given["return_index"] else None

    multiclass_nms.mended = True
    ops.multiclass_nms = multiclass_nms


def paddle2onnx_options() -> dict:
    """Arguments that keep Paddle2ONNX from changing the environment.

    From 2.0 on it runs Polygraphy by default, which installs packages of its own choice, NumPy 2 among them.
    """
    version = version_numbers(package_version("paddle2onnx") or "")
    return {"optimize_tool": "None"} if version >= (2,) else {}


def _writes_programs() -> bool:
    """Whether graphs are Paddle 2's programs, which tools of their time read; Paddle 3 has another form."""
    return (paddle_version() or (0,)) < (3,)


def quantizes() -> bool:
    """Whether PaddleSlim quantises the graphs this Paddle writes; its passes don't know Paddle 3's."""
    return _writes_programs()


def lite_reads() -> bool:
    """Whether Paddle Lite reads the graphs this Paddle writes; its newest wheel is of Paddle 2's time."""
    return _writes_programs()


def onednn_runs_inference() -> bool:
    """Whether Paddle Inference runs our graphs through oneDNN; Paddle 3 refuses an attribute of resizing."""
    return _writes_programs()


def program_ops(file: str) -> list[str]:
    """The ops of a program that Paddle 2.6 wrote, `model.pdmodel`, by type and in order."""
    from paddle.base import core

    with open(file, "rb") as stream:
        program = core.ProgramDesc(stream.read())
    block = program.block(0)  # belongs to `program`, which has to live as long
    return [block.op(i).type() for i in range(block.op_size())]
