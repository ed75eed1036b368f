"""ETHead's raw outputs, decoded into boxes, and what is left of them."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
from ppdet.modeling.layers import MultiClassNMS

from ppdet_ext.modeling import anchors
from ppdet_ext.modeling.assigners import ATSSLabelAssigner, TALLabelAssigner
from ppdet_ext.modeling.heads import ETHead

from ..nn.reference import sigmoid
from .iou_numpy import iou_numpy


def small_head(**options):
    nms = MultiClassNMS(score_threshold=0.05, nms_top_k=100, keep_top_k=20, nms_threshold=0.5)
    head = ETHead(
        in_channels=[8, 8],
        fpn_strides=(16, 8),
        num_classes=3,
        static_assigner=ATSSLabelAssigner(num_classes=3),
        assigner=TALLabelAssigner(),
        nms=nms,
        **options,
    )
    head.eval()
    return head


def raw(seed=0, batch=2):
    """Raw outputs as the head gives them: a 2x3 and a 4x6 map."""
    rng = np.random.default_rng(seed)
    feats = [paddle.zeros([1, 8, 2, 3]), paddle.zeros([1, 8, 4, 6])]
    points, strides, _ = anchors.anchor_points(feats, (16, 8))
    scores = paddle.to_tensor(rng.uniform(0, 1, (batch, 3, 30)).astype("float32") ** 3)
    distances = paddle.to_tensor(rng.uniform(0.2, 3, (batch, 30, 4)).astype("float32"))
    return scores, distances, points, strides


def boxes_numpy(outputs):
    _, distances, points, strides = (t.numpy() for t in outputs)
    return np.concatenate([points - distances[..., :2], points + distances[..., 2:]], -1) * strides


SCALE = np.float32([[0.5, 0.8], [2.0, 1.0]])  # y, x


def test_evaluation_distances_are_the_mean_of_the_bins():
    head = small_head(reg_max=5)
    paddle.seed(3)
    for conv in head.pred_reg:
        conv.weight.set_value(paddle.randn(conv.weight.shape) * 0.2)
    feats = [paddle.randn([2, 8, 2, 3]), paddle.randn([2, 8, 4, 6])]
    scores, distances, _, strides = head(feats)
    expected = []
    for level, outputs in enumerate(head.predict_levels(feats)):
        logits, bins = (t.numpy().astype("float64") for t in outputs)
        bins = bins.reshape(2, 4, 6, -1)
        weights = np.exp(bins) / np.exp(bins).sum(2, keepdims=True)
        expected.append((weights * np.arange(6)[:, None]).sum(2).transpose(0, 2, 1))
        part = scores.numpy()[..., :6] if level == 0 else scores.numpy()[..., 6:]
        np.testing.assert_allclose(part, sigmoid(logits).reshape(2, 3, -1), rtol=1e-5)
    np.testing.assert_allclose(distances.numpy(), np.concatenate(expected, 1), rtol=1e-5)
    assert distances.numpy().std() > 0.05
    np.testing.assert_array_equal(strides.numpy()[:, 0], [16] * 6 + [8] * 24)


def test_training_and_evaluation_decode_alike():
    head = small_head()
    paddle.seed(4)
    bins = paddle.randn([2, 4 * 17, 15]) * 2
    maps = head._map_distances(bins)
    flat = head._distances(bins.transpose([0, 2, 1]))
    np.testing.assert_allclose(flat.numpy(), maps.numpy(), rtol=1e-5, atol=1e-6)


def test_decode_gives_boxes_in_input_pixels():
    outputs = raw()
    boxes, scores = small_head().decode(outputs)
    np.testing.assert_allclose(boxes.numpy(), boxes_numpy(outputs), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(scores.numpy(), outputs[0].numpy())


def test_exclude_post_process_gives_boxes_and_scores_of_the_input():
    outputs = raw()
    head = small_head(exclude_post_process=True)
    merged, *nothing = head.post_process(outputs, paddle.to_tensor(SCALE))
    assert nothing == [None, None]
    expected = np.concatenate([boxes_numpy(outputs), outputs[0].numpy().transpose(0, 2, 1)], -1)
    np.testing.assert_allclose(merged.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_exclude_nms_gives_boxes_of_the_original_image():
    outputs = raw()
    boxes, scores, nothing = small_head(exclude_nms=True).post_process(outputs, paddle.to_tensor(SCALE))
    assert nothing is None
    divisor = SCALE[:, [1, 0, 1, 0]][:, None]
    np.testing.assert_allclose(boxes.numpy(), boxes_numpy(outputs) / divisor, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(scores.numpy(), outputs[0].numpy())


def nms_numpy(boxes, scores, threshold=0.5, score_threshold=0.05):
    """Greedy NMS, class by class: rows of label, score, box."""
    kept = []
    for label, row in enumerate(scores):
        chosen = []
        for i in sorted(np.flatnonzero(row > score_threshold), key=lambda i, row=row: -row[i]):
            overlaps = [iou_numpy(boxes[i], boxes[j]) for j in chosen]
            if all(overlap <= threshold for overlap in overlaps):
                chosen.append(i)
        kept += [[label, row[i], *boxes[i]] for i in chosen]
    return np.array(sorted(kept, key=lambda r: -r[1])[:20])


def test_post_process_is_nms_in_the_original_image():
    outputs = raw()
    found, counts, _ = small_head().post_process(outputs, paddle.to_tensor(SCALE))
    boxes = boxes_numpy(outputs) / SCALE[:, [1, 0, 1, 0]][:, None]
    scores = outputs[0].numpy()
    assert counts.numpy().sum() == len(found)
    images = np.split(found.numpy(), np.cumsum(counts.numpy())[:-1])
    for image, image_boxes, image_scores in zip(images, boxes, scores):
        expected = nms_numpy(image_boxes.astype("float64"), image_scores)
        assert len(image) == len(expected) > 5
        image = image[np.argsort(-image[:, 1], kind="stable")]
        np.testing.assert_allclose(image, expected, rtol=1e-4, atol=1e-4)
