"""The figures of a benchmark: arithmetic by hand, reports of real engines."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from ppdet_ext.evaluation.bench.benchmark import find_backends, run_benchmark
from ppdet_ext.evaluation.bench.images import HEIGHT, WIDTH, choose_images, photograph
from ppdet_ext.evaluation.bench.numbers import latencies, quartiles, ratio, with_total
from ppdet_ext.evaluation.bench.rounds import MEASURED, NOT_MEASURED, Plan
from ppdet_ext.evaluation.bench.sizes import at_size, choose_sizes
from ppdet_ext.evaluation.bench.table import bench_table
from ppdet_ext.runtime.image import read_image
from ppdet_ext.runtime.manifest import load_manifest, precision_of
from tests.runtime.tiny_model import INFER_CFG, write_folder, write_paddle_model

PLAN = Plan(threads=1, rounds=3, steps=1, warmup=1)
FIGURES = {"decode_ms", "pre_ms", "network_ms", "post_ms", "total_ms", "ratio", "network_ratio"}
FIGURES |= {"images_per_s", "peak_mib", "model_mib", "detections", "rounds_ms"}


def rounds(*times, phase="network"):
    return [{phase: list(row)} for row in times]


def test_quartiles_by_hand():
    assert quartiles([4, 1, 3, 2, 5]) == {"q1": 2, "median": 3, "q3": 4}
    assert quartiles([0.001, 0.002], 1000) == {"q1": 1.25, "median": 1.5, "q3": 1.75}
    assert quartiles([123.456])["median"] == 123.5  # four digits


def test_latencies_and_totals_by_hand():
    times = [{"pre": [0.1, 0.3], "network": [1.0, 2.0]}, {"pre": [0.2, 0.2], "network": [4.0, 5.0]}]
    total = with_total(times, ("pre", "network"))
    np.testing.assert_allclose([row["total"] for row in total], [[1.1, 2.3], [4.2, 5.2]])
    figures = latencies(total)
    assert figures["network_ms"] == {"q1": 1750, "median": 3000, "q3": 4250}
    assert figures["rounds_ms"]["total"] == [1700, 4700]
    assert with_total(times, ("pre", "post")) == times


def test_ratios_are_taken_round_by_round():
    # The machine slows down tenfold in the second round: each round still says 2, 4, 3.
    first, row = rounds([4, 4, 9], [40, 40], [6]), rounds([2, 1, 2], [10, 10], [2])
    assert ratio(first, row, "network") == {"q1": 2.5, "median": 3, "q3": 3.5}
    assert ratio(first, row, "network", first_batch=1, batch=8)["median"] == 24  # an image
    assert ratio(first, rounds([1], [1], [1], phase="whole"), ("network", "whole"))["median"] == 6
    assert ratio(first, row, "total") is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_folder(tmp_path_factory.mktemp("tiny"))
    manifest = {
        "files": {
            "onnx": {"file": "model.onnx", "precision": "fp32"},
            "lite": {"file": None, "precision": "fp32"},
        }
    }
    (folder / "export.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def report(folder):
    backends = ["onnxruntime", "paddle_inference"]
    return run_benchmark([folder], PLAN, backends, batches=(1, 3), progress=False)


def test_report_of_real_engines(folder, report):
    assert json.loads(json.dumps(report)) == report
    assert report["settings"]["threads"] == 1 and report["settings"]["rounds"] == 3
    assert report["machine"]["cores"] and report["versions"]["onnxruntime"]
    assert report["images"]["source"].startswith("generated 640x480 JPEG")
    assert [(row["backend"], row["batch"]) for row in report["rows"]] == [
        ("onnxruntime", 1),
        ("paddle_inference", 1),
        ("onnxruntime", 3),
        ("paddle_inference", 3),
    ]
    for row in report["rows"][::2]:
        assert row["status"] == MEASURED and row["reason"] is None and set(row) >= FIGURES
        assert row["size"] == [32, 64] and row["detections"] == 4 and row["precision"] == "fp32"
        assert row["model_files"] == ["model.onnx"] and row["engine"].startswith("onnxruntime 1")
        assert row["images_per_s"] == pytest.approx(1000 * row["batch"] / row["total_ms"]["median"], rel=1e-3)
        assert all(len(medians) == 3 for medians in row["rounds_ms"].values())
    assert report["rows"][0]["ratio"] == {"q1": 1, "median": 1, "q3": 1}


def test_an_absent_model_has_a_reason_and_no_number(report):
    row = report["rows"][1]
    assert row["status"] == NOT_MEASURED and "model.pdmodel" in row["reason"]
    assert not FIGURES & set(row)
    assert not [value for key, value in row.items() if isinstance(value, float)]
    line = next(line for line in bench_table(report).splitlines() if "paddle_inference, batch 1" in line)
    assert line.startswith("paddle_inference, batch 1  not measured: ")


def test_an_absent_package(folder):
    if importlib.util.find_spec("tensorrt"):
        pytest.skip("TensorRT is there")
    report = run_benchmark([folder], PLAN, ["tensorrt"], progress=False)
    assert report["rows"][0]["reason"].startswith("backend 'tensorrt' needs the package tensorrt")


def test_default_backends_have_a_model(folder, tmp_path):
    found = find_backends(folder)
    assert found[0] == "onnxruntime" and not {"paddle", "paddle_inference", "paddle_lite"} & set(found)
    if importlib.util.find_spec("paddle"):
        assert {"paddle", "paddle_inference"} <= set(
            find_backends(write_paddle_model(write_folder(tmp_path)))
        )
    with pytest.raises(ValueError, match="no installed engine can run it; 'ppdet-ext doctor'"):
        (tmp_path / "bare").mkdir()
        find_backends(tmp_path / "bare")


def test_precision_comes_from_the_manifest(folder, tmp_path):
    assert precision_of(load_manifest(folder), "model.onnx", "unknown") == "fp32"
    assert precision_of(load_manifest(folder), "model.pdmodel", "unknown") == "unknown"
    assert precision_of(load_manifest(tmp_path), "a", "unknown") == "unknown"


def test_a_model_of_one_batch_size(tmp_path):
    folder = write_folder(tmp_path, batch_size=2)
    row = run_benchmark([folder], PLAN, ["onnxruntime"], progress=False)["rows"][0]
    assert row["reason"].endswith("takes batches of 2 only; measure it with --batch 2")


def test_sizes(folder, tmp_path):
    assert choose_sizes(folder) == [None]
    with pytest.raises(
        ValueError, match="takes 32x64 only, not 320; export it .* --size -1 -1 .*weights=FILE"
    ):
        choose_sizes(folder, [320])
    free = write_folder(tmp_path / "free", use_dynamic_shape=True)
    assert choose_sizes(free, [320, 64]) == [320, 64]
    with pytest.raises(ValueError, match="size 0: give a side in pixels"):
        choose_sizes(free, [0])
    entries = at_size(INFER_CFG["Preprocess"], 96)
    assert entries[0]["target_size"] == [96, 96] and entries[1:] == INFER_CFG["Preprocess"][1:]
    # The folder says it is free, its graph is not: the engine's own words.
    row = run_benchmark([free], PLAN, ["onnxruntime"], sizes=[96], progress=False)["rows"][0]
    assert row["status"] == NOT_MEASURED and "takes [any, 3, 32, 64]" in row["reason"]


def test_generated_picture(tmp_path):
    files, source = choose_images(None, tmp_path)
    image = read_image(files[0])
    assert image.shape == (HEIGHT, WIDTH, 3) and image.std() > 30
    assert np.abs(image.astype(int) - photograph()).mean() < 8
    assert 60_000 < Path(files[0]).stat().st_size < 200_000 and source["count"] == 1
