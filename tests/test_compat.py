import subprocess
import sys

import pytest

import ppdet_ext
from ppdet_ext import compat

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


@pytest.mark.parametrize(
    "text, numbers",
    [
        ("2.6.2", (2, 6, 2)),
        ("2.6.2.post118", (2, 6, 2)),
        ("2.13rc0", (2, 13)),
        ("0.0.0", (0, 0, 0)),
        ("", ()),
    ],
)
def test_version_numbers(text, numbers):
    assert compat.version_numbers(text) == numbers


def test_package_version_knows_import_names(monkeypatch):
    assert compat.package_version("no-such-package-here") is None
    installed = {"paddlepaddle-gpu": "2.6.2.post118"}

    def version(name):
        if name not in installed:
            raise compat.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(compat.metadata, "version", version)
    assert compat.package_version("paddle") == "2.6.2.post118"
    assert compat.paddle_version() == (2, 6, 2)
    installed.clear()
    assert compat.paddle_version() is None


def test_this_environment_is_supported():
    compat.check_versions()


@pytest.mark.parametrize(
    "version, here, message",
    [
        ("2.5.2", True, "paddle 2.5.2 is not supported .*>= 2.6, < 4.* pip install paddlepaddle==2.6.2"),
        ("4.0.0", True, "paddle 4.0.0 is not supported"),
        (None, False, "paddle is not installed; run: pip install paddlepaddle==2.6.2"),
    ],
)
def test_unsupported_versions_are_named_with_the_mend(monkeypatch, version, here, message):
    monkeypatch.setattr(compat, "package_version", lambda name: version)
    monkeypatch.setattr(compat, "is_importable", lambda name: here)
    with pytest.raises(ValueError, match=message):
        compat.check_versions(("paddle",))


@pytest.mark.parametrize("version", [None, "0.0.0"])
def test_checkouts_and_nightly_builds_pass(monkeypatch, version):
    monkeypatch.setattr(compat, "package_version", lambda name: version)
    monkeypatch.setattr(compat, "is_importable", lambda name: True)
    compat.check_versions(("paddle", "ppdet"))


def test_setup_forwards_to_the_plugin(monkeypatch):
    plugin = type(sys)("ppdet_ext.plugin")
    plugin.setup = lambda: "registered"
    monkeypatch.setitem(sys.modules, "ppdet_ext.plugin", plugin)
    monkeypatch.setattr(ppdet_ext, "plugin", plugin, raising=False)
    assert ppdet_ext.setup() == "registered"
