"""What scripts give the docs to quote, from reports as they write them."""

import ablation
import common
import int8_accuracy
import pytest
import tables
import trainings
from trained_models import MODELS, data_options


def hop(name, ap, status="pass"):
    return {"hop": name, "ap": ap, "status": status}


def verification(trained, *aps):
    hops = [hop(engine, ap) for engine, ap in zip(int8_accuracy.ENGINES, aps)]
    return {"hops": [{"hop": "trained form", "ap": trained}, *hops], "quantization": {"float_layers": ["a"]}}


def test_int8_accuracy_marks_what_misses_its_bar():
    cases = {"demo, EfficientDet": {
        int8_accuracy.FP32: verification(57.0, 57.0, 57.0, 57.0, 57.0),
        int8_accuracy.PTQ: verification(57.0, 53.5, 56.5, 56.0, 55.9),
        int8_accuracy.QAT: None,
    }}  # fmt: skip
    figures = int8_accuracy.quoted({"cases": cases, "bars": int8_accuracy.judge(cases)})
    common.check_figures(figures)
    row = figures["demo, EfficientDet; after training"]
    assert row["missed"] == ["onnxruntime", "paddle_lite"] and row["float_layers"] == 1
    results = {"benchmarks": {"int8_accuracy": {"status": "measured", "figures": figures}}}
    assert tables.lines_of(results, "int8_accuracy_families")[2:] == [
        "| EfficientDet | 57.00 | after training | **53.50** | 56.50 | 56.00 | **55.90** | 1 |"
    ]


def test_an_ablation_gives_its_table():
    forms = {
        "FPN": {"ap": [60.0, 61.0], "parameters": 1_164_000, "macs": 87_100_000, "ratio": {"median": 1.0}},
        "+ PAN": {"ap": [62.0, 61.5], "parameters": 1_386_000, "macs": 111_800_000},
    }
    figures = ablation.quoted({"forms": forms})
    common.check_figures(figures)
    results = {"benchmarks": {"ablation_bifpn": {"status": "measured", "figures": figures}}}
    assert tables.lines_of(results, "ablation_bifpn")[2:] == [
        "| FPN | 60.5 | 60.0, 61.0 | 1164 | 87.1 | 1 |",
        "| + PAN | 61.8 | 62.0, 61.5 | 1386 | 111.8 | - |",
    ]


@pytest.mark.parametrize(("last", "ap"), [("model_final", 50.0), ("best_model", 60.0)])
def test_the_checkpoint_that_counts_says_the_ap(last, ap, monkeypatch, tmp_path):
    monkeypatch.setattr(trainings, "ROOT", tmp_path)
    model = MODELS["demo, swish"]._replace(last=last)
    folder = tmp_path / model.folder
    folder.mkdir(parents=True)
    lines = [
        '{"epoch": 0, "ap": 0.6, "ap50": 0.8}',
        '{"epoch": 1, "loss": 2}',
        '{"epoch": 1, "ap": 0.5, "ap50": 0.7}',
    ]
    (folder / "history.jsonl").write_text("\n".join(lines))
    assert trainings.accuracy(model)["ap"] == pytest.approx(ap)


def test_a_training_runs_the_users_command(monkeypatch):
    ran = []
    monkeypatch.setattr(trainings, "run_cli", lambda arguments, log: ran.append(arguments))
    trainings.train("blood cells, swish, QAT", {"bccd": "BCCD"}, seed=3)
    (command,) = ran
    assert command[:5] == ["train", "-c", "configs/applications/blood_cells_swish.yml", "--eval", "--seed"]
    assert {"pretrain_weights=output/blood_cells_swish/best_model", "save_dir=output/swish"} < set(command)
    assert {"TrainDataset.dataset_dir=BCCD", "EvalDataset.dataset_dir=BCCD"} < set(command)
    assert data_options(MODELS["demo, swish"], {"bccd": "BCCD"}) == []
