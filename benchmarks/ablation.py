"""What each part is worth: the same small detector trained once a form and random seed, side by side.

    .venv/bin/python benchmarks/ablation.py bifpn --jobs 2

Trains every form of a study (STUDIES) on the demo's digits by tools/train.py, with --seed; a run that is
already complete under --output is not trained again, so that an interrupted study goes on. Then parameters
and multiply-accumulates of the deployed form, AP of every seed, and the time in ONNX Runtime, interleaved in
one run. Writes study.json and study.png beside the runs.
"""

import argparse
import json
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ablation_plot import plot_study
from common import ROOT, add_json_argument, run_cli, write_report
from tqdm import tqdm

from ppdet_ext.environment import machine
from ppdet_ext.evaluation.bench.benchmark import CASE
from ppdet_ext.evaluation.bench.images import choose_images
from ppdet_ext.evaluation.bench.numbers import latencies, ratio
from ppdet_ext.evaluation.bench.rounds import MEASURED, Case, Plan, interleave
from ppdet_ext.evaluation.text_table import align


def neck(topology, fusion, separable=False):
    """Options of a form of the BiFPN study."""
    options = {"topology": topology, "fusion": fusion, "separable": separable}
    return [f"WeightedBiFPN.{key}={str(value).lower()}" for key, value in options.items()]


# What is left out of PP-YOLOE to begin with; each form of the components study puts one thing back.
WITHOUT = {
    "+ TAL": ["ETHead.assigner=null"],
    "+ DFL": ["ETHead.reg_max=0"],
    "+ ESE": ["ETHead.use_ese=false", "CSPRepResNet.ese=none"],
    "+ RepVGG": ["CSPRepResNet.use_rep=false", "CSPRepPAN.use_rep=false"],
}


def components():
    """{form: options} from ATSS alone to all of PP-YOLOE."""
    forms, left_out = {}, dict(WITHOUT)
    for form in ("ATSS alone", *WITHOUT):
        left_out.pop(form, None)
        forms[form] = [option for options in left_out.values() for option in options]
    return forms


# Five epochs are enough to tell forms apart, and one process has the demo's whole batch.
SHORT = [
    "epoch=5",
    "snapshot_epoch=5",
    "LearningRate.schedulers=[{name: CosineDecay, max_epochs: 5}, "
    "{name: LinearWarmup, start_factor: 0.1, steps: 50}]",
    "TrainReader.batch_size=16",
]
# study: config, what its picture is called, options of every form, and {form: options}; each form is the one
# before it and one thing more.
STUDIES = {
    "bifpn": {
        "config": "configs/demo/ppyoloe_bifpn_nano_demo.yml",
        "title": "From FPN to the weighted BiFPN",
        "options": SHORT,
        "forms": {
            "FPN": neck("fpn", "sum"),
            "+ PAN": neck("pan", "sum"),
            "- single-input nodes": neck("pan_pruned", "sum"),
            "+ skip": neck("official", "sum"),
            "+ softmax": neck("official", "softmax"),
            "+ fast": neck("official", "fast"),
            "+ separable": neck("official", "fast", separable=True),
        },
    },
    "components": {
        "config": "configs/demo/ppyoloe_nano_demo.yml",
        "title": "From ATSS alone to PP-YOLOE",
        "options": SHORT,
        "forms": components(),
    },
}


def slug(form):
    """A form's name as that of a folder."""
    return "".join(c if c.isalnum() else "_" for c in form).strip("_")


def train(study, form, seed, output):
    """AP of a form after training with a seed, in points of 100."""
    config = STUDIES[study]["config"]
    folder = output / slug(form) / f"seed_{seed}"
    history = folder / Path(config).stem / "history.jsonl"
    if not _finished(folder, config):
        options = [*STUDIES[study]["options"], *STUDIES[study]["forms"][form]]
        options += [f"save_dir={folder}", "progress_bar=false"]
        arguments = ["train", "-c", config, "--eval", "--seed", seed, "-o", *options]
        run_cli(arguments, log=folder / "train.log", threads=1)
    records = [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines()]
    return 100 * [record["ap"] for record in records if "ap" in record][-1]


def _finished(folder, config):
    return (folder / Path(config).stem / "model_final.pdparams").is_file()


def cost_and_export(study, form, weights, folder):
    """Parameters and multiply-accumulates of the deployed form; its exported folder, and with learnt fusion
    `fusion_weights.png` in it.
    """
    import paddle
    from ppdet.core.workspace import create

    from ppdet_ext.config import load_config, parse_overrides
    from ppdet_ext.nn import reparameterize
    from ppdet_ext.nn.cost import multiply_accumulates, trainable_parameters
    from ppdet_ext.training.checkpoints.loading import load_pretrained
    from ppdet_ext.visualize import draw_fusion_weights

    config = STUDIES[study]["config"]
    options = STUDIES[study]["forms"][form]
    cfg = load_config(str(ROOT / config), parse_overrides(options))
    model = create(cfg.architecture)
    load_pretrained(model, str(weights), say=lambda text: None)
    model.eval()
    side = cfg.TestReader["inputs_def"]["image_shape"][-1]
    image = paddle.zeros([1, 3, side, side])
    reparameterize(model)
    macs = multiply_accumulates(model, lambda: model.head(model.features({"image": image})))
    arguments = ["export", "-c", config, "--to", "onnx", "--output", folder, "-o", *options]
    run_cli([*arguments, f"weights={weights}"], log=f"{folder}.log", threads=1)
    weights_of = getattr(model.neck, "fusion_weights", None)
    if weights_of and cfg.WeightedBiFPN["fusion"] != "sum":
        title = f"Fusion weights of '{form}', trained"
        draw_fusion_weights(weights_of(), folder / "fusion_weights.png", title)
    return {"parameters": trainable_parameters(model), "macs": macs}


def times(folders, rounds):
    """Milliseconds an image of each form, and the ratio to the first, in ONNX Runtime with one thread."""
    images, _ = choose_images(None, str(next(iter(folders.values())).parent))
    cases = [
        Case(
            form,
            CASE,
            {"folder": str(folder), "backend": "onnxruntime", "batch": 1, "images": images[:1], "threads": 1},
        )
        for form, folder in folders.items()
    ]
    results, _ = interleave(cases, Plan(threads=1, rounds=rounds, steps=10))
    first = results[0]
    found = {}
    for result in results:
        if result.status == MEASURED and first.status == MEASURED:
            milliseconds = latencies(result.rounds)["network_ms"]
            found[result.case.name] = {
                "ms": milliseconds,
                "ratio": ratio(result.rounds, first.rounds, "network"),
            }
    return found


def study_report(study, seeds, jobs, output, rounds):
    """Everything measured: {'study', 'machine', 'forms': {form: figures}}."""
    forms = STUDIES[study]["forms"]
    work = [(form, seed) for seed in seeds for form in forms]
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(work), unit="run", desc=study) as bar:
        futures = {}
        for form, seed in work:
            futures[form, seed] = pool.submit(train, study, form, seed, output)
            futures[form, seed].add_done_callback(lambda _: bar.update())
        aps = {key: future.result() for key, future in futures.items()}
    figures, folders = {}, {}
    for form in tqdm(forms, unit="form", desc="export"):
        weights = (
            output / slug(form) / f"seed_{seeds[0]}" / Path(STUDIES[study]["config"]).stem / "model_final"
        )
        folders[form] = output / slug(form) / "exported"
        figures[form] = {
            "ap": [round(aps[form, seed], 2) for seed in seeds],
            **cost_and_export(study, form, weights, folders[form]),
        }
    for form, time in times(folders, rounds).items():
        figures[form].update(time)
    return {
        "study": study,
        "title": STUDIES[study]["title"],
        "seeds": seeds,
        "machine": machine(),
        "forms": figures,
    }


def quoted(report):
    """What the docs quote: AP in points, parameters, multiply-accumulates, time to the first form's."""
    found = {}
    for form, row in report["forms"].items():
        time = row["ratio"]["median"] if row.get("ratio") else None
        cost = {"parameters": row["parameters"], "macs": row["macs"], "time": time}
        found[form] = {"ap_mean": round(statistics.mean(row["ap"]), 3), "ap": row["ap"], **cost}
    return found


def table(report):
    """The report as text."""
    body = []
    for form, row in report["forms"].items():
        spread = f"{min(row['ap']):.1f} to {max(row['ap']):.1f}"
        time = row.get("ratio")
        body.append(
            [
                form,
                f"{statistics.mean(row['ap']):.2f}",
                spread,
                f"{row['parameters'] / 1e3:.0f}",
                f"{row['macs'] / 1e6:.1f}",
                f"{time['median']:.2f}x" if time else "-",
            ]
        )
    heads = [
        ["", "AP", "AP", "parameters", "MACs", "time to"],
        ["", "mean", "by seed", "10^3", "10^6", "the first"],
    ]
    return "\n".join([f"{report['title']}, seeds {report['seeds']}", "", *align(heads, body)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("study", choices=list(STUDIES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="(0 1)")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once, one core each (1)")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each form when timed (15)")
    parser.add_argument("--output", default="output/ablation", help="(output/ablation)")
    add_json_argument(parser)
    args = parser.parse_args()
    output = Path(args.output).resolve() / args.study
    report = study_report(args.study, args.seeds, args.jobs, output, args.rounds)
    for path in (output / "study.json", args.json):
        write_report(path, report, quoted(report))
    plot_study(report, output / "study.png")
    print(f"{table(report)}\n\n{output / 'study.json'}\n{output / 'study.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
