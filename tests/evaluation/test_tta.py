"""Evaluation by PaddleDetection's trainer and the runtime on the exported weights: the same views, the same
detections."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import paddle
import pytest

from ppdet_ext.cli import main
from ppdet_ext.config import load_config
from ppdet_ext.export import export_model
from ppdet_ext.export.parity import count_unmatched
from ppdet_ext.runtime import Detector
from ppdet_ext.runtime.tta import TTA
from ppdet_ext.training.test_time_views import TestTimeViews
from ppdet_ext.training.trainer import Trainer
from tests.export.test_exporter import random_detector
from tests.nn.calibrate import calibrate

SIZES = [(90, 140), (128, 100), (110, 110)]
NORMALIZE = {"NormalizeImage": {"mean": [0.0] * 3, "std": [1.0] * 3, "norm_type": "none"}}
BATCH = 2
# config, head, coarsest stride and the least score of its random weights' detections
FAMILIES = {
    "PP-YOLOE": ("configs/demo/ppyoloe_nano_demo.yml", "ETHead", 32, 0.02),
    "YOLOv6": ("configs/demo/yolov6_nano_demo.yml", "EfficientRepHead", 32, 0.01),
    "EfficientDet": ("configs/demo/efficientdet_nano_demo.yml", "EfficientDetHead", 64, 0.02),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A COCO set of three pictures that are no squares."""
    folder = tmp_path_factory.mktemp("tta")
    rng = np.random.RandomState(0)
    images, boxes = [], []
    for number, (height, width) in enumerate(SIZES, 1):
        noise = rng.randint(0, 256, (height // 8, width // 8, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(noise, (width, height)))
        images.append({"id": number, "file_name": f"{number}.png", "height": height, "width": width})
        boxes.append({"id": number, "image_id": number, "category_id": 1 + number, "bbox": [10, 10, 40, 30]})
        boxes[-1].update(area=1200, iscrowd=0)
    categories = [{"id": label + 1, "name": f"class {label}"} for label in range(10)]
    content = {"images": images, "annotations": boxes, "categories": categories}
    (folder / "val.json").write_text(json.dumps(content))
    return folder


def config_of(data, family, reader, tta):
    """Overrides for a family's demo config; and the config."""
    config, head, stride, least = FAMILIES[family]
    resize = {"target_size": [2 * stride, 3 * stride], "keep_ratio": reader == "ratio kept", "interp": 1}
    readers = {"sample_transforms": [{"Decode": {}}, {"Resize": resize}, NORMALIZE, {"Permute": {}}]}
    if reader == "ratio kept":
        readers["batch_transforms"] = [{"PadBatch": {"pad_to_stride": stride}}]
    files = {"dataset_dir": str(data), "anno_path": "val.json"}
    nms = {"name": "MultiClassNMS", "score_threshold": least, "nms_top_k": 1000, "keep_top_k": 300}
    overrides = {
        "EvalDataset": {**files, "image_dir": ""},
        "TestDataset": files,
        "EvalReader": {**readers, "batch_size": BATCH},
        "TestReader": readers,
        head: {"nms": nms},
        "test_time_augmentation": tta,
    }
    return overrides, config


def random_model(overrides, config):
    """A detector whose random weights find something, and its config."""
    cfg, model = random_detector(overrides, config=config)
    if "ETHead" in overrides:
        return cfg, model
    # The others' heads find nothing, or boxes of a million pixels.
    height, width = overrides["TestReader"]["sample_transforms"][1]["Resize"]["target_size"]
    rng = np.random.RandomState(1)
    for name, value in model.named_parameters():
        if name.endswith("weight") and ("pred_" in name or ".predict.pointwise" in name):
            value.set_value(rng.normal(0, 0.1, value.shape).astype("float32"))
    calibrate(model, lambda: model._raw({"image": paddle.rand([4, 3, 2 * height, 2 * width])}))
    return cfg, model


def evaluated(overrides, config, weights, folder):
    """What `ppdet-ext eval` finds in each image: boxes, scores and labels."""
    cfg = load_config(config, {**overrides, "worker_num": 0})
    folder.mkdir()
    cfg["output_eval"] = str(folder)
    trainer = Trainer(cfg, mode="eval")
    trainer.load_weights(str(weights))
    trainer.evaluate()
    found = {number: [] for number in range(1, len(SIZES) + 1)}
    for row in json.loads((folder / "bbox.json").read_text()):
        left, top, width, height = row["bbox"]
        box = [left, top, left + width, top + height]
        found[row["image_id"]].append((box, row["score"], row["category_id"] - 1))
    return [tuple(map(np.array, zip(*rows))) for rows in found.values()]


@pytest.mark.parametrize(
    "family, reader, tta",
    [
        ("PP-YOLOE", "resized", {"scales": [0.5, 1.5], "flip": True}),
        ("YOLOv6", "ratio kept", {"scales": [1.5], "flip": True, "merge": "wbf"}),
        pytest.param("EfficientDet", "resized", {"scales": [1.5], "flip": True}, marks=pytest.mark.slow),
    ],
)
def test_evaluation_and_runtime_agree(data, tmp_path, family, reader, tta):
    overrides, config = config_of(data, family, reader, tta)
    cfg, model = random_model(overrides, config)
    paddle.save(model.state_dict(), str(tmp_path / "weights.pdparams"))
    export_model(cfg, model, str(tmp_path / "exported"), ["onnx"], image_size=[-1, -1], say=lambda line: None)
    trained = evaluated(overrides, config, tmp_path / "weights", tmp_path / "eval")
    files = [data / f"{number}.png" for number in range(1, len(SIZES) + 1)]
    deployed = Detector(tmp_path / "exported", tta=tta).predict(files, BATCH)
    plain = Detector(tmp_path / "exported").predict(files, BATCH)
    for ours, theirs, without in zip(deployed, trained, plain):
        ours = ours.boxes, ours.scores, ours.labels
        assert len(ours[0]) > 10
        assert count_unmatched(ours, theirs) == count_unmatched(theirs, ours) == 0
        without = without.boxes, without.scores, without.labels
        assert count_unmatched(ours, without) > 5, (
            "the views change nothing: the comparison would show nothing"
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_plain_view_alone_is_the_plain_evaluation(data, family):
    overrides, config = config_of(data, family, "resized", None)
    _, model = random_model(overrides, config)
    height, width = overrides["TestReader"]["sample_transforms"][1]["Resize"]["target_size"]
    scale_factor = paddle.to_tensor([[0.5, 0.75], [2.0, 1.0]])
    batch = {"image": paddle.rand([2, 3, height, width]), "scale_factor": scale_factor}
    with paddle.no_grad():
        plain = model(batch)
        model.tta = TTA()
        alone = model(batch)
    assert len(plain["bbox"]) > 10
    for key in ("bbox", "bbox_num"):
        np.testing.assert_array_equal(alone[key].numpy(), plain[key].numpy())


def refused(data, capfd, flags, options):
    """The one line with which `ppdet-ext eval` turns bad input down."""
    options = [f"EvalDataset={{dataset_dir: {data}, image_dir: '', anno_path: val.json}}", *options]
    capfd.readouterr()
    assert main(["eval", "-c", FAMILIES["PP-YOLOE"][0], *flags, "-o", *options]) == 2
    return capfd.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "options, message",
    [
        ("test_time_augmentation.scale=[0.5]", "no option 'scale'; did you mean 'scales'"),
        (
            "test_time_augmentation.scales=[1.1]",
            "EvalReader.sample_transforms: scales 1 and 1.1 both make 128x",
        ),
        ("test_time_augmentaton.flip=true", "did you mean 'test_time_augmentation'"),
    ],
)
def test_bad_settings_are_one_line(data, capfd, options, message):
    assert message in refused(data, capfd, [], [options])


def test_flags_take_the_place_of_the_config(data, capfd):
    options = ["test_time_augmentation.scales=[0.5]"]
    assert "--tta: 'flop' names no views" in refused(data, capfd, ["--tta", "flop"], options)
    assert "--tta-merge: merge 'wfb' is not" in refused(
        data, capfd, ["--tta", "flip", "--tta-merge", "wfb"], []
    )
    assert "which --tta names" in refused(data, capfd, ["--tta-merge", "wbf"], options)
    assert "scales 1.5 and 1.6 both make 192x" in refused(data, capfd, ["--tta", "1.5,1.6"], options)


def test_an_architecture_of_paddledetection_is_refused(data):
    class Theirs:
        model = paddle.nn.Layer()

    views = TestTimeViews(SimpleNamespace(get=lambda key: {"flip": True}, architecture="YOLOv3"), Theirs())
    with pytest.raises(ValueError, match="works with YOLODetector and EfficientDet, not .* YOLOv3"):
        views.attach()
