"""YOLOv6 that cannot be built: one line that names the option and the mend."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import pytest

from .yolov6_models import BACKBONE, HEAD, NECK, build

CSP = "CSPBepBackbone"
REFUSED = [
    (
        "yolov6_n_coco",
        {BACKBONE: {"return_idx": [1, 2, 3]}},
        "RepBiFPAN: 3 levels need 4 feature maps, not 3; set the backbone's return_idx",
    ),
    (
        "yolov6_v2_n_coco",
        {BACKBONE: {"return_idx": [0, 1, 2, 3]}},
        "RepPAN: 3 levels need 3 feature maps, not 4; set the backbone's return_idx",
    ),
    (
        "yolov6_n_coco",
        {BACKBONE: {"return_idx": [1, 2, 3, 4]}},
        "EfficientRep: return_idx 4 names no stage of 0..3",
    ),
    ("yolov6_m_coco", {CSP: {"return_idx": [-1, 1, 2, 3]}}, "CSPBepBackbone: return_idx -1 names no stage"),
    (
        "yolov6_v2_n_coco",
        {BACKBONE: {"return_idx": [0, 1, 2]}},
        "level 0 comes with stride 16 but fpn_strides says 32",
    ),
    (
        "yolov6_v2_n_coco",
        {BACKBONE: {"return_idx": [3, 2, 1]}},
        "EfficientRep: return_idx [3, 2, 1] does not rise; maps leave the finest first",
    ),
    ("yolov6_n_coco", {BACKBONE: {"return_idx": [0, 1, 1, 2]}}, "return_idx [0, 1, 1, 2] does not rise"),
    (
        "yolov6_v2_n_coco",
        {BACKBONE: {"return_idx": [0, 2, 3]}},
        "RepPAN: feature maps of strides [4, 16, 32], where each has to be twice the one before; set the",
    ),
    (
        "yolov6_n6_coco",
        {BACKBONE: {"return_idx": [0, 2, 3, 4]}},
        "RepBiFPAN: 4 levels need 5 feature maps, not 4",
    ),
    (
        "yolov6_n_coco",
        {BACKBONE: {"layers": [6, 12, 18]}},
        "EfficientRep: 5 channels (stem and stages) need 4 entries in layers, not 3",
    ),
    (
        "yolov6_n_coco",
        {BACKBONE: {"spp": "SimCSPSPFF"}},
        "unknown spp 'SimCSPSPFF'; did you mean 'SimCSPSPPF'?",
    ),
    ("yolov6_l_coco", {CSP: {"spp": "SPF"}}, "CSPBepBackbone: unknown spp 'SPF'; did you mean 'SPPF'?"),
    (
        "yolov6_n_coco",
        {BACKBONE: {"rep_block": "repvg"}},
        "unknown rep_block 'repvg'; did you mean 'repvgg'?",
    ),
    ("yolov6_n_coco", {NECK: {"rep_block": "conf"}}, "unknown rep_block 'conf'; did you mean 'conv'?"),
    ("yolov6_n_coco", {HEAD: {"branch_block": "conf"}}, "unknown rep_block 'conf'; did you mean 'conv'?"),
    (
        "yolov6_n_coco",
        {NECK: {"lateral_channels": [256, 256]}},
        "RepBiFPAN: lateral_channels [256, 256] and out_channels [512, 256, 128], both coarsest first",
    ),
    ("yolov6_v2_n_coco", {"RepPAN": {"lateral_channels": [256]}}, "one lateral less than outputs"),
    (
        "yolov6_n_coco",
        {HEAD: {"fpn_strides": [8, 16, 32]}},
        "EfficientRepHead: level 0 comes with stride 32 but fpn_strides says 8; set fpn_strides: [32, 16, 8]",
    ),
    ("yolov6_n_coco", {HEAD: {"fpn_strides": [16, 8]}}, "gives 3 levels but fpn_strides has 2"),
    (
        "yolov6_n_coco",
        {HEAD: {"direct_boxes": True}},
        "direct_boxes needs distributions beside it; set reg_max: 16",
    ),
    (
        "yolov6_n6_coco",
        {HEAD: {"anchor_aided": True}},
        "anchor_aided: no anchors are known for stride 64, only for [8, 16, 32]; set anchor_aided: false",
    ),
    ("yolov6_n_coco", {HEAD: {"iou_loss": "sio"}}, "EfficientRepHead: iou_loss 'sio' is none of"),
    ("yolov6_n_coco", {HEAD: {"act": "sliu"}}, "unknown activation 'sliu'; did you mean 'silu'?"),
]


@pytest.mark.parametrize("config, overrides, message", REFUSED)
def test_what_cannot_be_built_is_refused_in_a_line(config, overrides, message):
    with pytest.raises(ValueError) as refusal:
        build(config, {"width_mult": 0.125, "depth_mult": 0.1, **overrides})
    assert message in str(refusal.value) and "\n" not in str(refusal.value)
