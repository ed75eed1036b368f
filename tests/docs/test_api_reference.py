"""The reference is built of docstrings: every public name has one, and no module is left out of its list."""

import importlib
import inspect
import pkgutil
import subprocess
from functools import lru_cache

import ppdet_ext

from .pages import ROOT

# What only some machines have; modules of their engines can't be imported elsewhere.
ENGINES = set("cuda cv2 matplotlib onnx onnxruntime openvino paddlelite paddleslim tensorrt".split())


@lru_cache(maxsize=None)
def modules():
    """Every module of the package that can be imported here, by name; None for one whose engine is absent."""
    found = {"ppdet_ext": ppdet_ext}
    for info in pkgutil.walk_packages(ppdet_ext.__path__, "ppdet_ext."):
        if info.name.rsplit(".", 1)[1].startswith("_"):
            continue
        try:
            found[info.name] = importlib.import_module(info.name)
        except ModuleNotFoundError as error:
            assert (error.name or "").split(".")[0] in ENGINES, f"{info.name}: {error}"
            found[info.name] = None
    return found


def test_the_list_of_the_build_is_complete():
    run = subprocess.run(
        ["bash", str(ROOT / "scripts" / "api_reference.sh"), "--list"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT.parent,
    )
    listed = run.stdout.split()
    assert sorted(listed) == sorted(modules())
    assert len(listed) == len(set(listed))


def test_every_module_says_what_it_is():
    wordless = [name for name, module in modules().items() if module and not (module.__doc__ or "").strip()]
    assert not wordless


def test_every_public_name_has_a_docstring():
    public, wordless = 0, []
    for name, module in modules().items():
        for attribute in getattr(module, "__all__", ()):
            value = getattr(module, attribute)
            if inspect.isclass(value) or inspect.isroutine(value):
                public += 1
                if not (value.__doc__ or "").strip():
                    wordless.append(f"{name}.{attribute}")
    assert public > 100
    assert not wordless
