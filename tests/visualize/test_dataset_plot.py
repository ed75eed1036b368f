import cv2
import numpy as np
import pytest

from ppdet_ext.data.statistics import box_sides, dataset_statistics
from ppdet_ext.visualize import dataset_plot
from ppdet_ext.visualize.dataset_plot import MOST_CLASSES, plot_dataset
from ppdet_ext.visualize.fonts import plot_families, readable_names


def dataset(classes, per_image, images=40):
    random = np.random.RandomState(0)
    return {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 640, "height": 480} for n in range(images)],
        "categories": [{"id": n, "name": f"class number {n}, 螺丝"} for n in range(classes)],
        "annotations": [
            {
                "image_id": n,
                "category_id": int(random.randint(classes)),
                "bbox": [0, 0, *random.uniform(1, 300, 2)],
            }
            for n in range(images)
            for _ in range(per_image)
        ],
    }


@pytest.mark.parametrize("classes, per_image", [(1, 1), (3, 5), (200, 120), (2, 0)])
def test_draws_a_png(tmp_path, classes, per_image):
    coco = dataset(classes, per_image)
    path = tmp_path / "new" / "statistics.png"
    plot_dataset(dataset_statistics(coco, 640), box_sides(coco, 640), path, "a set")
    image = cv2.imread(str(path))
    assert image.shape[1] == 1560 and image.shape[0] >= 900 and image.std() > 5
    assert [file.name for file in path.parent.iterdir()] == ["statistics.png"]


def drawn(monkeypatch, coco):
    """The axes of the plot."""
    kept = []
    monkeypatch.setattr(dataset_plot, "save_figure", lambda path, figure: kept.append(figure))
    plot_dataset(dataset_statistics(coco, 640), box_sides(coco, 640), "a.png")
    return kept[0].axes


def test_bars_are_the_counts(monkeypatch):
    coco = dataset(3, 5)
    counts = np.bincount([a["category_id"] for a in coco["annotations"]])
    classes, sizes, _, numbers = drawn(monkeypatch, coco)
    widths = [bar.get_width() for bar in classes.containers[0]]
    assert widths == sorted(counts, reverse=True)
    assert sum(bar.get_height() for bar in sizes.patches) == 200
    assert [bar.get_height() for bar in numbers.patches] == [40]
    said = " ".join(text.get_text() for text in sizes.texts)
    small = sum(np.sqrt(np.prod(box_sides(coco, 640), 1)) < 32)
    assert f"small\n{100 * small / 200:.0f} %" in said


def test_many_classes_show_the_most_and_the_least_frequent(monkeypatch):
    coco = dataset(200, 120)
    axes = drawn(monkeypatch, coco)[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert len(names) == MOST_CLASSES + 1 and names[MOST_CLASSES // 2] == f"({200 - MOST_CLASSES} more)"
    counts = sorted(np.bincount([a["category_id"] for a in coco["annotations"]]))
    widths = [bar.get_width() for bar in axes.containers[0]]
    assert widths[0] == counts[-1] and widths[-1] == counts[0]


def test_letters_that_no_font_has_give_way_to_the_label():
    families = plot_families()
    assert families[0] == "DejaVu Sans"
    assert readable_names(["Größe", "\U0010fffd"], families) == ["Größe", "class 1"]
