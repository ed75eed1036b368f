"""The trained models that benchmarks look at: what trains each, and where its weights then are."""

from pathlib import Path
from typing import NamedTuple


class Model(NamedTuple):
    """A training.

    data: 'demo', or the name of a folder that a benchmark's `--data` gives.
    config, slim: its config, and that of a training for INT8, which begins with another model's weights.
    floats: the name of that model.
    save_dir, last: the folder that takes its outputs, and the checkpoint that counts.
    options: `KEY=VALUE` besides.
    """

    data: str
    config: str
    slim: str = None
    floats: str = None
    save_dir: str = "output"
    last: str = "model_final"
    options: tuple = ()

    @property
    def folder(self):
        """Where the training leaves its checkpoints and its history."""
        return f"{self.save_dir}/{Path(self.slim or self.config).stem}"

    @property
    def weights(self):
        """The checkpoint without its suffix."""
        return f"{self.folder}/{self.last}"


DEMO_QAT, BLOOD_QAT = "configs/slim/qat/demo_qat.yml", "configs/slim/qat/blood_cells_qat.yml"
# `ppdet-ext demo` trains this one; the others have its batch of 16 in one process.
DEMO = "demo, ReLU"
ONE = ("TrainReader.batch_size=16",)
MODELS = {
    DEMO: Model("demo", "configs/demo/ppyoloe_nano_demo.yml", save_dir="output/demo/training"),
    "demo, swish": Model("demo", "configs/demo/ppyoloe_nano_swish_demo.yml", options=ONE),
    "demo, YOLOv6": Model("demo", "configs/demo/yolov6_nano_demo.yml", options=ONE),
    "demo, YOLOv6 with QARepVGG": Model("demo", "configs/demo/yolov6_nano_qarep_demo.yml", options=ONE),
    "demo, RepOptimizer's search": Model(
        "demo", "configs/demo/yolov6_nano_repopt_search_demo.yml", options=ONE
    ),
    "demo, YOLOv6 with RepOptimizer": Model("demo", "configs/demo/yolov6_nano_repopt_demo.yml", options=ONE),
    "demo, PP-YOLOE at YOLOv6's rate": Model(
        "demo",
        "configs/demo/ppyoloe_nano_demo.yml",
        save_dir="output/rate_0.006",
        options=(*ONE, "LearningRate.base_lr=0.006"),
    ),
    "demo, PP-YOLOE with BiFPN": Model("demo", "configs/demo/ppyoloe_bifpn_nano_demo.yml", options=ONE),
    "demo, EfficientDet": Model("demo", "configs/demo/efficientdet_nano_demo.yml"),
    "blood cells, ReLU": Model("bccd", "configs/applications/blood_cells.yml", last="best_model"),
    "blood cells, swish": Model("bccd", "configs/applications/blood_cells_swish.yml", last="best_model"),
    "demo, ReLU, QAT": Model(
        "demo", "configs/demo/ppyoloe_nano_demo.yml", DEMO_QAT, DEMO, save_dir="output/relu"
    ),
    "demo, swish, QAT": Model(
        "demo", "configs/demo/ppyoloe_nano_swish_demo.yml", DEMO_QAT, "demo, swish", "output/swish"
    ),
    "demo, YOLOv6, QAT": Model(
        "demo", "configs/demo/yolov6_nano_demo.yml", DEMO_QAT, "demo, YOLOv6", "output/yolov6"
    ),
    "blood cells, ReLU, QAT": Model(
        "bccd", "configs/applications/blood_cells.yml", BLOOD_QAT, "blood cells, ReLU", last="best_model"
    ),
    "blood cells, swish, QAT": Model(
        "bccd",
        "configs/applications/blood_cells_swish.yml",
        BLOOD_QAT,
        "blood cells, swish",
        "output/swish",
        "best_model",
    ),
}


def data_options(model, data):
    """`KEY=VALUE` that lead a model's config to its data set.

    Args:
        model (Model): whose.
        data (dict): {name of a data set: folder}; one that is not named is where the config has it.
    """
    if model.data not in data:
        return []
    return [f"{key}.dataset_dir={data[model.data]}" for key in ("TrainDataset", "EvalDataset")]


def add_data_argument(parser):
    """Gives a benchmark its `--data NAME=FOLDER`; :func:`data_of` reads it."""
    names = " and ".join(sorted({model.data for model in MODELS.values()}))
    parser.add_argument(
        "--data", nargs="+", default=[], metavar="NAME=FOLDER", help=f"where {names} are, if elsewhere"
    )


def data_of(args):
    """{name: folder} of `--data`.

    Raises:
        ValueError: an entry without '='.
    """
    for entry in args.data:
        if "=" not in entry:
            raise ValueError(f"--data {entry}: not NAME=FOLDER; give for example bccd=BCCD")
    return dict(entry.split("=", 1) for entry in args.data)
