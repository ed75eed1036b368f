"""configs/efficientdet against the published table of compound scaling (arXiv:1911.09070, table 1)."""

import re
from pathlib import Path

import paddle
import pytest
import yaml
from ppdet.core.workspace import create

from ppdet_ext.config import load_config
from ppdet_ext.modeling.anchor_boxes import anchor_boxes
from ppdet_ext.nn.cost import multiply_adds, trainable_parameters

ROOT = Path(__file__).resolve().parents[2]
# size: (backbone, image, width, cells, head convs, anchors, parameters with 90 classes, mult-adds)
PUBLISHED = {
    "d0": (0, 512, 64, 3, 3, 49104, 3880067, 2550618821),
    "d1": (1, 640, 88, 4, 3, 76725, 6625898, 6133752112),
    "d2": (2, 768, 112, 5, 3, 110484, 8097039, 11045799933),
    "d3": (3, 896, 160, 6, 4, 150381, 12032296, 24982737931),
    "d4": (4, 1024, 224, 7, 4, 196416, 20723675, 55346593717),
    "d5": (5, 1280, 288, 7, 4, 306900, 33653315, 135729505573),
    "d6": (6, 1280, 384, 8, 5, 306900, 51871782, 226033623795),
    "d7": (6, 1536, 384, 8, 5, 441936, 51871782, 325473789367),
    "d7x": (7, 1536, 384, 8, 5, 442260, 77147166, 410e9),  # the last as rounded there
}
CONFIGS = {size: ROOT / "configs" / "efficientdet" / f"efficientdet_{size}_coco.yml" for size in PUBLISHED}


@pytest.mark.slow
@pytest.mark.parametrize("size", PUBLISHED)
def test_a_config_is_its_row(size):
    variant, image, width, cells, repeats, anchors, parameters, mult_adds = PUBLISHED[size]
    cfg = load_config(str(CONFIGS[size]), {"num_classes": 90})
    assert cfg.EfficientNet["variant"] == variant
    assert cfg.WeightedBiFPN["out_channels"] == width and cfg.WeightedBiFPN["num_cells"] == cells
    head = cfg.EfficientDetHead
    assert head["num_repeats"] == repeats
    assert head["anchor_scale"] == (5.0 if size == "d7" else 4.0)
    assert cfg.WeightedBiFPN["fusion"] == ("sum" if size in ("d6", "d7", "d7x") else "fast")
    model = create(cfg.architecture)
    assert trainable_parameters(model) == parameters
    sides = [image // stride for stride in head["fpn_strides"]]
    feats = [paddle.zeros([1, 1, side, side]) for side in sides]
    assert len(anchor_boxes(feats, head["fpn_strides"], model.head.shapes)) == anchors
    coarsest = head["fpn_strides"][-1]
    assert mult_adds_at(model, image, coarsest) == pytest.approx(mult_adds, rel=0.005)


def mult_adds_at(model, image, coarsest):
    """Of an image, from two small ones: all but the gates' convolutions grow with the area."""
    model.eval()

    def count(side):
        pixels = {"image": paddle.zeros([1, 3, side, side])}
        return multiply_adds(model, lambda: model.head.predict_levels(model.features(pixels)))

    one, four = count(coarsest), count(2 * coarsest)
    return one + (four - one) / 3 * ((image / coarsest) ** 2 - 1)


@pytest.mark.parametrize("phi", range(8))
def test_the_rule_of_compound_scaling(phi):
    """Width, cells, repeats and images grow with phi, up to what the table caps and rounds."""
    _, image, width, cells, repeats, *_ = PUBLISHED[f"d{phi}"]
    if phi < 7:
        assert width == pytest.approx(64 * 1.35**phi, rel=0.06)
    assert cells == {5: 7, 6: 8, 7: 8}.get(phi, 3 + phi)
    assert repeats == 3 + phi // 3
    assert image == {5: 1280, 6: 1280, 7: 1536}.get(phi, 512 + 128 * phi)


@pytest.mark.parametrize("size", PUBLISHED)
def test_readers_give_the_published_size(size):
    image = PUBLISHED[size][1]
    text = CONFIGS[size].read_text()
    reader = ROOT / "configs" / "_base_" / "readers" / f"efficientdet_{image}.yml"
    assert reader.name in text
    found = yaml.safe_load(reader.read_text())
    assert found["TestReader"]["inputs_def"]["image_shape"] == [3, image, image]
    smallest = (reader.parent / "efficientdet_512.yml").read_text()
    batch = found["TrainReader"]["batch_size"]
    same = re.sub(r"batch_size: 16", f"batch_size: {batch}", smallest.replace("512", str(image)))
    assert reader.read_text() == same, "the readers differ by the size of images and the batch alone"
    rate = load_config(str(CONFIGS[size]), {}).LearningRate["base_lr"]
    assert rate == pytest.approx(0.08 * 8 * batch / 64)
