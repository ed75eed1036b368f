"""The whole report: one page that needs nothing else, the card, and a failure that costs no training."""

import json
import re
from types import SimpleNamespace

import pytest

from ppdet_ext.report import after_training, card
from ppdet_ext.report.page import report_page
from ppdet_ext.report.tables import tables
from ppdet_ext.report.write import write_report

from .sets import write_set

COURSE = [
    {"epoch": 0, "step": 0, "steps_per_epoch": 2, "lr": 0.1, "loss": 3.0},
    {"epoch": 0, "ap": 0.2, "ap50": 0.4},
    {"epoch": 1, "ap": 0.3, "ap50": 0.5},
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A set that was evaluated, and weights; the config's training set is not there."""
    anno, images, results = write_set(tmp_path / "set")
    (tmp_path / "w.pdparams").write_bytes(b"weights")

    def no_such(key):
        raise ValueError(f"{key}.dataset_dir x: no such folder")

    monkeypatch.setattr(card, "dataset_files", no_such)
    monkeypatch.setattr(after_training, "dataset_files", lambda: (anno, images))
    return SimpleNamespace(root=tmp_path, datasets=(anno, images), results=results)


def write(place, **options):
    return write_report(
        place.root / "report", place.results, place.datasets, str(place.root / "w"), {"architecture": "<X>"},
        "tiny", "-c tiny.yml -o weights=w", COURSE, say=lambda line: None, **options,
    )  # fmt: skip


def exported(place, sha256):
    folder = place.root / "exported"
    folder.mkdir()
    entry = {"file": "model.onnx", "precision": "int8", "max_error": 2e-5}
    manifest = {
        "weights": {"file": "w.pdparams", "sha256": sha256},
        "files": {"onnx": entry},
        "quantization": {"method": "hist", "ap_drop": 0.4, "float_layers": ["head"], "ranking": [1]},
    }
    (folder / "export.json").write_text(json.dumps(manifest))
    return folder


def test_the_page_holds_everything(place):
    page, facts = write(place)
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r'<img alt="[^"]+" src="data:image/(?:png|jpeg);base64,', text)) == 8
    assert "http" not in text and "&lt;X&gt;" in text and "<X>" not in text
    names = {file.name for file in page.parent.iterdir()}
    assert names == {
        *("report.html", "model_card.json", "model_card.md", "predictions.png", "worst_images.png"),
        *("misses.png", "false_alarms.png", "curves.png", "confusion.png", "class_curves.png"),
        "class_ap.png",
    }
    assert json.loads((page.parent / "model_card.json").read_text()) == facts
    assert "| dog | 3 |" in (page.parent / "model_card.md").read_text()


def test_what_is_not_known_is_not_measured(place):
    _, facts = write(place)
    assert facts["speed"] == facts["parity"] == facts["int8"] == "not measured"
    assert facts["data"]["TrainDataset"]["status"].startswith("not measured: TrainDataset")
    assert facts["data"]["EvalDataset"]["classes"] == {"cat": 2, "dog": 3}
    assert facts["training"]["best_epoch"] == 2
    assert report_page(facts, [], []).count("not measured") >= 4


def test_an_exported_folder_fills_the_card(place):
    import hashlib

    folder = exported(place, hashlib.sha256(b"weights").hexdigest())
    machine = {"machine": {"cpu": "a CPU"}, "settings": {"threads": 1}}
    row = {"backend": "onnxruntime", "batch": 1, "size": None, "status": "measured", "images_per_s": 50.0}
    times = {"total_ms": {"median": 20.0}, "network_ms": {"median": 15.0}}
    (folder / "bench.json").write_text(json.dumps({**machine, "rows": [{**row, **times}]}))
    _, facts = write(place, exported=str(folder))
    found = {table.title: table.rows for table in tables(facts)}
    assert found["Speed"] == [["onnxruntime", "1", "its own", "15", "20", "50"]]
    assert found["Parity: each file and the model as trained"] == [["model.onnx", "int8", "2.0e-05"]]
    assert ["AP lost, points", "0.40"] in found["INT8"] and "ranking" not in facts["int8"]


def test_a_folder_of_other_weights_is_refused(place):
    with pytest.raises(ValueError, match=r"exported from other weights \(w.pdparams\)"):
        write(place, exported=str(exported(place, "0" * 64)))


def trainer(place, **config):
    cfg = {"save_dir": str(place.root), "filename": "run", "metric": "COCO", **config}
    (place.root / "run").mkdir(exist_ok=True)
    (place.root / "run" / "best_model.pdparams").write_bytes(b"weights")
    space = SimpleNamespace(**cfg, get=cfg.get)
    return SimpleNamespace(cfg=space, config_as_run={"architecture": "X"})


def test_after_a_training(place):
    said = []
    run = trainer(place, report={"threshold": 0.8})
    assert after_training.report_after_training(run, "x.yml", said.append) is None
    assert "no evaluation of this run found anything" in said[-1]
    (place.root / "run" / "best_bbox.json").write_bytes(place.results.read_bytes())
    page = after_training.report_after_training(run, "x.yml", said.append)
    assert page == place.root / "run" / "report" / "report.html" and said[-1] == f"report: {page}"
    facts = json.loads((page.parent / "model_card.json").read_text())
    assert facts["metrics"]["at_work"]["threshold"] == 0.8


def test_a_failure_is_one_line_and_off_is_silence(place, monkeypatch):
    said = []
    (place.root / "run").mkdir()
    (place.root / "run" / "best_bbox.json").write_text("[")
    assert after_training.report_after_training(trainer(place), "x.yml", said.append) is None
    assert said[-1].startswith("report: not written (") and "\n" not in said[-1]
    said.clear()
    for run in (trainer(place, report=False), trainer(place, metric="VOC")):
        assert after_training.report_after_training(run, "x.yml", said.append) is None
    monkeypatch.setattr(after_training.dist, "get_rank", lambda: 1)
    assert after_training.report_after_training(trainer(place), "x.yml", said.append) is None
    assert not said
