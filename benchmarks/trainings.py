"""AP of the small models that the docs tell of, each trained from scratch by the commands a user would run.

    .venv/bin/python benchmarks/trainings.py --data bccd=BCCD --json output/benchmarks/trainings.json

A model that is already trained under output/ is not trained again (--fresh: it is), so that an interrupted
run goes on. `trained_models.py` has the list; others of these benchmarks take the weights from there.
"""

import argparse
import json
import sys

from common import ROOT, add_json_argument, read_json, run_cli, write_report
from trained_models import DEMO, MODELS, add_data_argument, data_of, data_options

from ppdet_ext.environment import machine
from ppdet_ext.evaluation.text_table import align

LOGS = ROOT / "output" / "benchmarks" / "trainings"


def log_of(name):
    """The file that takes the output of a model's training."""
    return LOGS / f"{''.join(c if c.isalnum() else '_' for c in name)}.log"


def train_demo():
    """The demo as a whole, as scripts/demo.sh runs it; AP of its ONNX file."""
    run_cli(["demo", "--json", LOGS / "demo.json"], log=log_of(DEMO))


def train(name, data, seed):
    """One training with an evaluation at each snapshot."""
    model = MODELS[name]
    options = [*model.options, *data_options(model, data), f"save_dir={model.save_dir}", "progress_bar=false"]
    command = ["train", "-c", model.config, "--eval", "--seed", seed]
    if model.slim:
        command += ["--slim_config", model.slim]
        options.append(f"pretrain_weights={MODELS[model.floats].weights}")
    run_cli([*command, "-o", *options], log=log_of(name))


def accuracy(model):
    """AP and AP50, in points, of the checkpoint that counts: the last evaluation, or the best."""
    history = (ROOT / model.folder / "history.jsonl").read_text(encoding="utf-8")
    records = [record for record in map(json.loads, history.splitlines()) if "ap" in record]
    if not records:
        raise RuntimeError(f"{model.folder}/history.jsonl: no evaluation")
    record = max(records, key=lambda r: r["ap"]) if model.last == "best_model" else records[-1]
    return {"ap": 100 * record["ap"], "ap50": 100 * record["ap50"], "epoch": record["epoch"]}


def measure(name, data, seed, fresh):
    """The figures of one model, trained if need be."""
    model = MODELS[name]
    if fresh or not (ROOT / f"{model.weights}.pdparams").is_file():
        print(f"{name} ...", file=sys.stderr, flush=True)
        train_demo() if name == DEMO else train(name, data, seed)
    found = accuracy(model)
    if name == DEMO and (LOGS / "demo.json").is_file():
        report = read_json(LOGS / "demo.json")
        found.update(
            ap=100 * report["ap"], ap50=100 * report["ap50"], minutes=report["seconds"]["total"] / 60
        )
    return found


def quoted(report):
    """What the docs quote: AP and AP50 of each model in points."""
    return report["models"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), metavar="NAME")
    parser.add_argument("--seed", type=int, default=0, help="of all but the demo (0)")
    parser.add_argument("--fresh", action="store_true", help="train again what is already trained")
    add_data_argument(parser)
    add_json_argument(parser)
    args = parser.parse_args()
    data, models, not_measured = data_of(args), {}, {}
    for name in args.models:
        if MODELS[name].data not in ("demo", *data):
            not_measured[name] = f"no data; give --data {MODELS[name].data}=FOLDER"
            continue
        models[name] = measure(name, data, args.seed, args.fresh)
    report = {"machine": machine(), "seed": args.seed, "models": models, "not_measured": not_measured}
    write_report(args.json, report, quoted(report))
    body = [[name, f"{row['ap']:.2f}", f"{row['ap50']:.2f}"] for name, row in models.items()]
    print("\n".join(align([["", "AP", "AP50"]], body)))
    for name, reason in not_measured.items():
        print(f"not measured: {name}: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
