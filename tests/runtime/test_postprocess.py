import numpy as np
import pytest

from ppdet_ext.runtime.postprocess import Postprocess
from ppdet_ext.runtime.preprocess import Preprocess

NMS = {
    "name": "MultiClassNMS",
    "nms_top_k": 1000,
    "keep_top_k": 300,
    "score_threshold": 0.01,
    "nms_threshold": 0.7,
}
NAMES = ["cat", "dog"]


def prepared(operator, height, width):
    return Preprocess([operator, {"type": "Permute"}])(np.zeros((height, width, 3), np.uint8))


@pytest.mark.parametrize(
    "operator",
    [
        {"type": "Resize", "target_size": [64, 96], "keep_ratio": False},
        {"type": "Resize", "target_size": [64, 96], "keep_ratio": True},
        {"type": "LetterBoxResize", "target_size": [64, 96]},
    ],
)
def test_boxes_find_back_to_the_input_image(operator):
    """A white rectangle is carried through preprocessing, found there, and mapped back to where it was."""
    image = np.zeros((320, 240, 3), np.uint8)
    box = [40, 80, 200, 240]
    image[box[1] : box[3], box[0] : box[2]] = 255
    network = Preprocess([operator, {"type": "Permute"}])(image)
    rows, cols = np.nonzero(network.pixels[0] == 255)
    seen = np.array([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1], np.float32)
    scores = np.array([[[0.0], [0.75]]], np.float32)
    (found,) = Postprocess(NMS, NAMES)(seen[None, None], scores, [network], sources=["a.jpg"])
    # Edges are known to one network pixel, 3 to 5 input pixels
    np.testing.assert_allclose(found.boxes[0], box, atol=1 / network.scale_factor.min() + 1e-3)
    assert found.labels.tolist() == [1] and found.scores.tolist() == [0.75]
    assert found.names == NAMES and found.source == "a.jpg"


def test_each_image_has_its_own_scale_and_its_own_answers():
    operator = {"type": "Resize", "target_size": [64, 96], "keep_ratio": False}
    images = [prepared(operator, 128, 96), prepared(operator, 32, 192), prepared(operator, 64, 96)]
    boxes = np.tile(np.array([[8, 8, 40, 32], [10, 8, 42, 32]], np.float32), (3, 1, 1))
    scores = np.zeros((3, 2, 2), np.float32)
    scores[0, 0] = [0.5, 0.9]  # one suppresses the other
    scores[1, 0, 0], scores[1, 1, 1] = 0.3, 0.4  # two classes: both stay
    first, second, third = Postprocess(NMS, NAMES)(boxes, scores, images)
    np.testing.assert_allclose(first.boxes, [[10, 16, 42, 64]])
    np.testing.assert_allclose(second.boxes, [[20, 4, 84, 16], [16, 4, 80, 16]])
    assert second.labels.tolist() == [1, 0] and len(third) == 0


def test_score_threshold_replaces_the_setting():
    images = [prepared({"type": "Resize", "target_size": [64, 96], "keep_ratio": False}, 64, 96)]
    boxes = np.array([[[0, 0, 9, 9], [20, 20, 40, 40]]], np.float32)
    scores = np.array([[[0.2, 0.9], [0.005, 0.0]]], np.float32)
    post = Postprocess(NMS, NAMES)
    assert [len(post(boxes, scores, images, threshold)[0]) for threshold in (None, 0.5, 0.001)] == [2, 1, 3]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"name": "MatrixNMS"}, "cfg.yml: NMS is MatrixNMS"),
        ({"nms_eta": 0.9}, "nms_eta"),
        ({"score_treshold": 0.1}, "'score_treshold' is not known"),
        ({"nms_threshold": "high"}, "'nms_threshold' is 'high'"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(ValueError, match=message):
        Postprocess({**NMS, **change}, NAMES, "cfg.yml")


def test_outputs_that_do_not_fit():
    images = [prepared({"type": "Resize", "target_size": [64, 96], "keep_ratio": False}, 64, 96)]
    boxes, scores = np.zeros((1, 5, 4), np.float32), np.zeros((1, 2, 5), np.float32)
    for wrong in (
        (boxes, scores[:, :, :4]),
        (boxes[0], scores),
        (scores, boxes),
        (boxes.repeat(2, 0), scores),
    ):
        with pytest.raises(ValueError, match="the model gave boxes"):
            Postprocess(NMS, NAMES)(*wrong, images)
    with pytest.raises(ValueError, match="label_list has 3 names, but the model scores 2 classes"):
        Postprocess(NMS, ["a", "b", "c"])(boxes, scores, images)
