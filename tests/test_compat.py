import subprocess
import sys

import pytest

import ppdet_ext

# zlib itself, and the two libraries through which a PNG is written: all three call libz.
USE_LIBZ = """
import io, zlib
import cv2, numpy as np
from PIL import Image
data = bytes(range(256)) * 100
assert zlib.decompress(zlib.compress(data)) == data
picture = np.arange(50 * 40 * 3, dtype=np.uint8).reshape(50, 40, 3)
assert (cv2.imdecode(cv2.imencode(".png", picture)[1], cv2.IMREAD_COLOR) == picture).all()
file = io.BytesIO()
Image.fromarray(picture).save(file, "png")
assert (np.asarray(Image.open(file)) == picture).all()
print("alive")
"""


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)


def test_import_is_light():
    run = python(
        "import sys, ppdet_ext, ppdet_ext.cli, ppdet_ext.environment\n"
        "print([m for m in ('paddle', 'ppdet', 'cv2', 'numpy', 'onnxruntime') if m in sys.modules])"
    )
    assert run.stdout.strip() == "[]", run.stderr


@pytest.mark.parametrize(
    "order",
    [
        "import ppdet_ext, paddle",
        "import paddle, ppdet_ext",
        "import paddle, zlib, ppdet_ext",
        "import paddle, ppdet, ppdet_ext",
        "import ppdet_ext, ppdet",
        "import paddle, ppdet_ext, ppdet",
    ],
)
def test_libz_lives_in_every_import_order(order):
    run = python(order + USE_LIBZ)
    assert run.returncode == 0 and run.stdout.endswith("alive\n"), run.stderr[-2000:]


def test_protection_is_idempotent_and_counts_what_it_mended():
    run = python("import paddle\nfrom ppdet_ext import compat\nprint('again', compat.protect_zlib())")
    assert "again 0" in run.stdout, run.stderr[-2000:]


def test_setup_forwards_to_the_plugin(monkeypatch):
    plugin = type(sys)("ppdet_ext.plugin")
    plugin.setup = lambda: "registered"
    monkeypatch.setitem(sys.modules, "ppdet_ext.plugin", plugin)
    monkeypatch.setattr(ppdet_ext, "plugin", plugin, raising=False)
    assert ppdet_ext.setup() == "registered"
