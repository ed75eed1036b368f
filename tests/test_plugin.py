import subprocess
import sys
from pathlib import Path

import pytest

import ppdet_ext
from ppdet_ext import compat, plugin, versions

pytestmark = pytest.mark.smoke

ROOT = Path(__file__).resolve().parents[1]
# The contract's names, on which YAML files depend.
NAMES = {
    "modeling.backbones": ["CSPBepBackbone", "CSPRepResNet", "EfficientNet", "EfficientRep"],
    "modeling.necks": ["CSPRepPAN", "RepBiFPAN", "RepPAN", "WeightedBiFPN"],
    "modeling.heads": ["EfficientDetHead", "EfficientRepHead", "ETHead", "SoftNMS"],
    "modeling.assigners": [
        "ArgmaxIoUAssigner",
        "ATSSLabelAssigner",
        "SimOTALabelAssigner",
        "TALLabelAssigner",
    ],
    "modeling.detectors": ["EfficientDet", "YOLODetector"],
    "data.datasets": ["VOCFolderDataSet"],
    "quantization.qat": ["DetectorQAT"],
    "training.distillation": ["FeatureDistillation", "OutputDistillation"],
    "training.self_distillation": ["SelfDistillation"],
}


def python(code, timeout=120):
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.split("\n")


def test_setup_registers_exactly_the_contracts_names():
    expected = sorted(name for names in NAMES.values() for name in names)
    lines = python(
        "import sys, ppdet_ext\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('paddle', 'ppdet', 'cv2', 'numpy')))\n"
        "from ppdet.core.workspace import get_registered_modules\n"
        "import ppdet.engine\n"
        "before = dict(get_registered_modules())\n"
        "from ppdet.data import transform\n"
        "operators = dict(vars(transform))\n"
        "print(ppdet_ext.setup())\n"
        "after = dict(get_registered_modules())\n"
        "print(*sorted(set(after) - set(before)))\n"
        "print(ppdet_ext.setup(), get_registered_modules() == after)\n"
        "print(all(after[name] is before[name] for name in before))\n"
        "print([name for name in operators if vars(transform)[name] is not operators[name]])\n"
    )
    assert lines[0] == "[]"  # `import ppdet_ext` alone is light
    lines = [line for line in lines if line.strip()]
    assert lines[-5] == ppdet_ext.__version__
    assert lines[-4].split() == expected
    assert lines[-3] == f"{ppdet_ext.__version__} True"
    assert lines[-2:] == ["True", "[]"]  # ppdet's own modules and operators stay what they were


@pytest.mark.parametrize("room, names", NAMES.items())
def test_modules_are_found_where_ppdet_looks_for_them(room, names):
    """`create` takes the class from its module by name, and a schema from the signature of `__init__`."""
    import importlib

    ppdet_ext.setup()
    from ppdet.core.workspace import get_registered_modules

    package = importlib.import_module(f"ppdet_ext.{room}")
    for name in names:
        schema = get_registered_modules()[name]
        assert getattr(schema.pymodule, name) is getattr(package, name)
        assert schema.strict, f"{name} swallows a typo"
        assert all(value.has_default() for value in schema.schema.values()), name
        assert set(schema.inject) | set(schema.shared) <= set(schema.schema), name


def test_ppdets_own_loader_runs_the_hook():
    """As PaddleDetection's tools do: no import of ours before the config is read."""
    lines = python(
        "import zlib, ppdet.engine\n"
        "from ppdet.core.workspace import create, load_config\n"
        "cfg = load_config('configs/ppyoloe/ppyoloe_s_coco.yml')\n"
        "cfg = load_config('configs/ppyoloe/ppyoloe_s_coco.yml')\n"  # a second time in one process
        "cfg['norm_type'] = 'bn'\n"
        "model = create(cfg.architecture)\n"
        "print(cfg.ppdet_ext, cfg.architecture, type(model.yolo_head).__module__)\n"
        "print(sum(p.numel() for n, p in model.named_parameters() if '_mean' not in n).item())\n"
    )
    assert lines[-3] == f"{ppdet_ext.__version__} YOLODetector ppdet_ext.modeling.heads.et_head"
    assert int(lines[-2]) > 7_000_000


def test_setup_says_what_is_missing(monkeypatch):
    def refuse(*_):
        raise ValueError("paddle is not installed; run: pip install paddlepaddle")

    monkeypatch.setattr(versions, "check_versions", refuse)
    with pytest.raises(ValueError, match="paddle is not installed"):
        plugin.setup()


def test_the_hook_stands_once_in_the_configs():
    """Every config takes it from plugin.yml, the one file to mend."""
    files = [path for path in (ROOT / "configs").rglob("*.yml") if "!!python" in path.read_text()]
    assert files == [ROOT / "configs" / "_base_" / "plugin.yml"]


def test_a_dataset_that_fails_is_heard_without_workers():
    """Paddle 2.6's reader without workers waits forever for one."""
    lines = python(
        "import ppdet_ext\n"
        "ppdet_ext.setup()\n"
        "import numpy as np, paddle\n"
        "class Numbers(paddle.io.Dataset):\n"
        "    def __init__(self, bad): self.bad = bad\n"
        "    def __len__(self): return 10\n"
        "    def __getitem__(self, i):\n"
        "        if i == self.bad: raise KeyError('picture 7')\n"
        "        return np.full([2], i, 'float32')\n"
        "for bad in (0, 7, 9, None):\n"
        "    try:\n"
        "        print(sum(b.shape[0] for b in paddle.io.DataLoader(Numbers(bad), batch_size=3)))\n"
        "    except KeyError as error:\n"
        "        print(error)\n",
        timeout=60,
    )
    assert lines[-5:-1] == ["'picture 7'"] * 3 + ["10"]


def test_labels_need_no_network(monkeypatch):
    from PIL import ImageFont
    from ppdet.utils import visualizer

    asked = []

    def offline(url, folder):
        asked.append(url)
        raise ConnectionError("no network")

    monkeypatch.setattr(visualizer, "get_path", offline, raising=False)
    compat.mend_font()
    compat.mend_font()
    for _ in range(2):
        path, _ = visualizer.get_path("https://host/simfang.ttf", "~/.cache")
    assert ImageFont.truetype(path, 18).getname()[0] == "DejaVu Sans" and len(asked) == 1
    with pytest.raises(ConnectionError):
        visualizer.get_path("https://host/weights.tar", "~/.cache")


def test_labels_can_be_drawn():
    """ppdet 2.6 measures them with a method that Pillow 10 dropped."""
    from PIL import Image, ImageDraw

    compat.mend_pillow()
    draw = ImageDraw.Draw(Image.new("RGB", (100, 50)))
    width, height = draw.textsize("person 0.97")
    assert 30 < width < 90 and 5 < height < 30
    assert draw.textsize("person 0.97 and more")[0] > width
