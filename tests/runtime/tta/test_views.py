"""Every view leads back to one place, whatever the preprocessing; and what Detectors do with views."""

import numpy as np
import pytest

from ppdet_ext.export.parity import count_unmatched
from ppdet_ext.runtime.detector import SLOTS

from .rectangles import READERS, picture, rectangle_detector

BOXES = np.array([[12, 20, 50, 84], [70, 10, 130, 40]])
ALL = {"scales": [0.75, 1.25], "flip": True}


def candidates_of(detector, images):
    """Boxes of each view of each image, [V, 2, 4], in its pixels: what the NMS is given."""
    seen = []
    nms = detector.postprocess.nms

    def watch(boxes, scores, *arguments):
        seen.append(boxes.reshape(-1, 2, 4).copy())
        return nms(boxes, scores, *arguments)

    detector.postprocess.nms = watch
    detector.predict(images, 2)
    return seen


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("size", [(110, 150), (90, 200), (122, 135)])
def test_all_views_find_the_same_place(tmp_path, monkeypatch, reader, size):
    detector = rectangle_detector(tmp_path, monkeypatch, ALL, Preprocess=READERS[reader])
    (views,) = candidates_of(detector, picture(BOXES, *size))
    assert len(views) == 6 and len({shape[2:] for shape in detector.backend.shapes}) == 3
    np.testing.assert_allclose(views, np.broadcast_to(BOXES, views.shape), atol=0.5)


def test_sizes_are_multiples_of_the_stride(tmp_path, monkeypatch):
    detector = rectangle_detector(tmp_path, monkeypatch, "0.8,1.3")
    detector.predict(picture(BOXES))
    # 102.4 x 153.6 and 166.4 x 249.6
    assert detector.backend.shapes == [(1, 3, 128, 192), (1, 3, 96, 160), (1, 3, 160, 256)]


@pytest.mark.parametrize("merge", ["nms", "wbf"])
def test_the_plain_view_alone_changes_nothing(tmp_path, monkeypatch, merge):
    images = [picture(BOXES, levels=levels) for levels in ((255, 200), (90, 30), (0, 255))]
    plain = rectangle_detector(tmp_path / "a", monkeypatch).predict(images)
    alone = rectangle_detector(tmp_path / "b", monkeypatch, {"merge": merge}).predict(images)
    for one, other in zip(plain, alone):
        assert len(one) > 0
        np.testing.assert_array_equal(one.scores, other.scores)
        np.testing.assert_array_equal(one.labels, other.labels)
        # The fusion divides by the score that it has multiplied with.
        np.testing.assert_allclose(one.boxes, other.boxes, rtol=0 if merge == "nms" else 1e-6)


@pytest.mark.parametrize("merge", ["nms", "wbf"])
def test_flipping_makes_a_crooked_network_symmetric(tmp_path, monkeypatch, merge):
    """What is drawn symmetrically is found so, though the network is drawn to the right."""
    mirrored = np.array([[20, 30, 60, 70], [150 - 60, 30, 150 - 20, 70]])
    images = [picture(mirrored), picture(mirrored[::-1])]

    def asymmetry(tta):
        # Both rectangles of both pictures are one class's in one and the other's in the other.
        detector = rectangle_detector(tmp_path / str(tta is None), monkeypatch, tta, drift=3.0)
        worst = 0.0
        first, second = detector.predict(images)
        for label in (0, 1):
            one, other = first[first.labels == label], second[second.labels == label]
            assert len(one) == len(other) == 1
            left, top, right, bottom = other.boxes[0]
            worst = max(worst, np.abs(one.boxes[0] - [150 - right, top, 150 - left, bottom]).max())
            worst = max(worst, abs(one.scores[0] - other.scores[0]))
        return worst

    assert asymmetry(None) > 4
    assert asymmetry({"flip": True, "merge": merge}) < 1e-3


def test_the_threshold_is_for_fused_scores(tmp_path, monkeypatch):
    """0.95 in one view and 0.62 in the mirror are 0.79, which a threshold of 0.75 lets pass."""
    tta = {"flip": True, "merge": "wbf"}
    detector = rectangle_detector(tmp_path, monkeypatch, tta, drift=3.0)
    image = picture(BOXES[:1])
    for threshold, count in ((0.75, 1), (0.8, 0)):
        assert len(detector.predict(image, score_threshold=threshold)[0]) == count


def test_batches_files_that_fail_and_memory(tmp_path, monkeypatch):
    images = [picture(BOXES, levels=(40 + 4 * number, 0)) for number in range(50)]
    images[7] = tmp_path / "none.png"
    detector = rectangle_detector(tmp_path, monkeypatch, ALL, batch_size=4)
    results = list(detector.results(images, 4))
    assert [result.error is not None for result in results] == [number == 7 for number in range(50)]
    for number, result in enumerate(results):
        if number != 7:
            best = result.detections[:1]
            assert best.labels == [0] and best.scores[0] == pytest.approx((40 + 4 * number) / 255, abs=1e-3)
            np.testing.assert_allclose(best.boxes[0], BOXES[0], atol=0.5)
    assert {shape[0] for shape in detector.backend.shapes} == {4}
    assert detector.backend.fresh == 6 * SLOTS


def test_views_of_images_of_different_sizes(tmp_path, monkeypatch):
    """Where inputs differ in size they are stacked, each view for itself."""
    reader = READERS["ratio kept, padded to the stride"]
    images = [picture(BOXES, *size) for size in ((110, 150), (90, 200), (150, 140), (120, 131))]
    one_by_one = rectangle_detector(tmp_path / "a", monkeypatch, ALL, Preprocess=reader)
    together = rectangle_detector(tmp_path / "b", monkeypatch, ALL, Preprocess=reader)
    for alone, one in zip([one_by_one.predict(image)[0] for image in images], together.predict(images, 4)):
        assert len(alone) == len(one) > 1
        np.testing.assert_allclose(alone.boxes, one.boxes, atol=1e-3)


def test_an_nms_inside_the_graph(tmp_path, monkeypatch):
    """Detections of all views are merged as raw boxes are."""

    class NMSInside:
        def __init__(self, raw):
            self.raw = raw

        def run(self, images, out=None):
            boxes, scores = self.raw.run(images)
            counts = np.full((len(images), 1), 2, np.int32)
            order = np.argsort(-scores.max(1), axis=1)
            result = (
                counts,
                np.take_along_axis(boxes, order[..., None], 1),
                np.take_along_axis(scores.max(1), order, 1),
                np.take_along_axis(scores.argmax(1).astype(np.int32), order, 1),
            )
            for place, part in zip(out or (), result):
                place[:] = part
            return out or result

    images = [picture(BOXES, levels=levels) for levels in ((255, 200), (90, 130))]
    for merge in ("nms", "wbf"):
        tta = {**ALL, "merge": merge}
        raw = rectangle_detector(tmp_path / merge, monkeypatch, tta)
        inside = rectangle_detector(tmp_path / f"{merge}in", monkeypatch, tta, outputs="nms")
        inside.backend = NMSInside(inside.backend)
        for one, other in zip(raw.predict(images), inside.predict(images)):
            one, other = ((each.boxes, each.scores, each.labels) for each in (one, other))
            assert len(one[0]) > 1 and count_unmatched(one, other) == count_unmatched(other, one) == 0


@pytest.mark.parametrize(
    "changes, tta, message",
    [
        ({"use_dynamic_shape": False}, "flip,0.75", "one size, so only 'flip' works; .*--size -1 -1"),
        ({"fpn_stride": None}, "0.75", "has no fpn_stride, .* export the model again"),
        ({}, "1.05", "scales 1 and 1.05 both make 192x128 pixels, .*multiples of 32.* 0.17 apart"),
        ({}, "1.25,1.27", "scales 1.25 and 1.27 both make"),
    ],
)
def test_scales_that_a_model_does_not_take(tmp_path, monkeypatch, changes, tta, message):
    with pytest.raises(ValueError, match=f"infer_cfg.yml: .*{message}"):
        rectangle_detector(tmp_path, monkeypatch, tta, **changes)


def test_flipping_alone_needs_no_free_size(tmp_path, monkeypatch):
    detector = rectangle_detector(tmp_path, monkeypatch, "flip", use_dynamic_shape=False, fpn_stride=None)
    assert len(detector.predict(picture(BOXES))[0]) == 2 and len(detector.backend.shapes) == 2
