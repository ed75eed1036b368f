"""What every hop from a trained model to an engine costs: `ppdet-ext verify` on models of this project.

    .venv/bin/python benchmarks/verify_models.py --json output/benchmarks/verify_models.json

Exports each to every target and verifies it; the models are those that `benchmarks/trainings.py` trains. Exit
status 1 if a hop fails or a model is not there.
"""

import argparse
import os
import sys
import tempfile

from common import ROOT, add_json_argument, read_json, run_cli, write_report
from trained_models import DEMO, MODELS, add_data_argument, data_of, data_options

from ppdet_ext.environment import machine
from ppdet_ext.evaluation.verify_table import verify_table
from ppdet_ext.export import TARGETS

DEFAULT = [DEMO, "blood cells, ReLU"]


def measure(name, data):
    """The report of `ppdet-ext verify` of one model."""
    model = MODELS[name]
    described = ["-c", model.config, "-o", f"weights={model.weights}", *data_options(model, data)]
    with tempfile.TemporaryDirectory() as folder:
        run_cli(["export", *described, "--to", *TARGETS, "--output", folder])
        report = os.path.join(folder, "verify.json")
        run_cli(["verify", "--model", folder, *described, "--json", report], statuses=(0, 1))
        return read_json(report)


def quoted(report):
    """What the docs quote: a row a model and hop."""
    kept = ("file", "precision", "raw_error", "detections", "unmatched", "ap", "ap_drop", "status")
    return {
        f"{name}; {hop['hop']}": {key: hop.get(key) for key in kept}
        for name, found in report["models"].items()
        for hop in found["hops"]
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=DEFAULT, metavar="NAME")
    add_data_argument(parser)
    add_json_argument(parser)
    args = parser.parse_args()
    data, models, not_measured = data_of(args), {}, {}
    for name in args.models:
        if not (ROOT / f"{MODELS[name].weights}.pdparams").is_file():
            not_measured[name] = f"no {MODELS[name].weights}.pdparams; run benchmarks/trainings.py"
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        models[name] = measure(name, data)
    report = {"machine": machine(), "models": models, "not_measured": not_measured}
    write_report(args.json, report, quoted(report))
    for name, found in models.items():
        print(f"{name}\n{verify_table(found)}\n")
    for name, reason in not_measured.items():
        print(f"not measured: {name}: {reason}")
    return 0 if not not_measured and all(found["ok"] for found in models.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
