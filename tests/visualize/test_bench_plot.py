import cv2
import numpy as np
import pytest

from ppdet_ext.visualize import plot_bench


def quartiles(value):
    return {"q1": 0.9 * value, "median": value, "q3": 1.1 * value}


def row(name, network, batch=1):
    times = {"pre_ms": 3.0, "network_ms": network, "post_ms": 1.0, "total_ms": network + 4}
    figures = {key: quartiles(value * batch) for key, value in times.items()}
    return {"name": name, "status": "measured", "batch": batch, "ratio": quartiles(100 / network), **figures}


MISSING = {
    "name": "tensorrt, batch 1",
    "status": "not measured",
    "reason": "needs the package tensorrt " * 20,
}
FULL = [row("onnxruntime, batch 1", 100.0), row("openvino, batch 8", 50.0, batch=8), MISSING]


def report(rows):
    machine = {"cpu": "a processor", "isa": ["avx2", "vnni"], "cores": 2}
    return {
        "model": "output/model",
        "machine": machine,
        "settings": {"threads": 2, "rounds": 5},
        "rows": rows,
    }


def blue_pixels(image):
    """Pixels of the network's colour in each line of the picture."""
    blue = np.abs(image.astype(int) - (0xBD, 0x7F, 0x3A)).max(2) < 3
    return blue.sum(1)


def test_bars_are_as_long_as_the_time_of_an_image(tmp_path):
    path = tmp_path / "new" / "bench.png"
    plot_bench(report(FULL), path)
    image = cv2.imread(str(path))
    lengths = blue_pixels(image)[: image.shape[0] * 3 // 4]  # the legend is below
    long, short = lengths.max(), np.median(lengths[(lengths > 0) & (lengths < 0.75 * lengths.max())])
    assert long / short == pytest.approx(2, rel=0.02)
    assert [file.name for file in path.parent.iterdir()] == ["bench.png"]


@pytest.mark.parametrize("rows", [[MISSING], [MISSING, FULL[0]], FULL * 6])
def test_every_row_has_its_place(tmp_path, rows):
    path = tmp_path / "bench.png"
    plot_bench(report(rows), path)
    image = cv2.imread(str(path))
    assert image.shape[0] > 50 * len(rows) and image.shape[1] == 1235
    # Nothing is cut off: the margins are white.
    assert (image[:, -3:] == 255).all() and (image[:2] == 255).all()


def test_a_report_without_rows(tmp_path):
    with pytest.raises(ValueError, match="the report has no rows"):
        plot_bench(report([]), tmp_path / "bench.png")
