"""What works where: every step from training to INT8, by its command, with each Paddle and PaddleDetection.

    bash scripts/setup.sh --extras openvino,lite,develop
    bash scripts/setup.sh --paddle 3 --extras openvino,develop
    .venv/bin/python benchmarks/compatibility.py --checkouts PADDLEDETECTION ... --json output/compatible.json

A column is one Paddle with one PaddleDetection: .venv and .venv-paddle3, each with the installed ppdet and
with every checkout; with a checkout, steps that don't meet PaddleDetection's code are left out. Each step
runs for a small model of each family, on generated pictures, from weights that the first Paddle has trained
for some minutes. It 'works' if its command ends with status 0; it is 'refused' if the command says why not
and ends with status 2; else it 'fails'. Exit status 1 if anything fails.
"""

import argparse
import itertools
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import CLI, ROOT, add_json_argument, execute, last_line, write_report
from compatibility_steps import FAMILIES, OURS, STEPS, THEIRS, VERB
from tables_compatibility import REASON, reasons, steps
from tqdm import tqdm

from ppdet_ext.data.demo import make_demo
from ppdet_ext.evaluation.text_table import align

WORKS, REFUSED, FAILS, NOT_RUN = "works", "refused", "fails", "not run"
CONFIGS = ROOT / "configs"
DATASETS = ("TrainDataset", "EvalDataset", "TestDataset")
DATA = [*(f"{name}.dataset_dir=demo" for name in DATASETS), "TrainReader.batch_size=8", "use_gpu=false"]


class Environment:
    """One Paddle with one PaddleDetection.

    Args:
        python (str | Path): the interpreter.
        checkout (str | None): a folder of PaddleDetection's source; None is the installed ppdet.

    Raises:
        ValueError: they do not import.
    """

    def __init__(self, python, checkout=None):
        self.python, self.checkout = os.path.abspath(python), checkout  # its links kept: they tell the venv
        paths = [*([checkout] if checkout else []), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.env = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        ask = "import ppdet_ext, paddle, ppdet; from ppdet_ext.versions import package_version; "
        ask += "print(paddle.__version__, package_version('ppdet'))"
        status, out, said = execute([self.python, "-c", ask], cwd=tempfile.gettempdir(), env=self.env)
        if status:
            raise ValueError(f"{self.python}, {checkout or 'installed ppdet'}: {last_line(said)}")
        paddle, ppdet = last_line(out).split()
        self.name = f"Paddle {paddle}, {f'ppdet {ppdet}' if checkout is None else self.branch()}"

    def branch(self):
        """The branch of the checkout, or the name of its folder."""
        status, branch, _ = execute(["git", "-C", self.checkout, "rev-parse", "--abbrev-ref", "HEAD"])
        branch = last_line(branch) if status == 0 else "HEAD"
        return os.path.basename(self.checkout) if branch == "HEAD" else branch.replace("/", " ")

    def has(self, step):
        """Whether a step says something here."""
        return self.checkout is not None if step.whose == THEIRS else self.checkout is None or not step.engine

    def command(self, step, family, start):
        """The arguments of Python of a step; `start` is the checkpoint that a training begins with."""
        config, head = FAMILIES[family]
        # A short training is sure of little.
        options = [*DATA, "epoch=1", "snapshot_epoch=1", f"{head}.nms.score_threshold=0.001"]
        filled = step.command.format(
            config=CONFIGS / "demo" / f"{config}.yml",
            slim=CONFIGS / "slim" / "qat" / "demo_qat.yml",
            options=" ".join(options),
            weights=f"weights=output/{config}/model_final",
            start=f"pretrain_weights={start}",
        ).split(" ")
        if step.whose == VERB:
            return ["-c", CLI, *filled]
        tools = Path(ROOT if step.whose == OURS else self.checkout) / "tools"
        return [tools / filled[0], *filled[1:]]

    def run(self, arguments, folder, log):
        """Runs a command of this Python in a folder: (WORKS, REFUSED or FAILS; the last line it wrote)."""
        status, _, said = execute([self.python, *arguments], cwd=folder, env=self.env)
        (folder / f"{log}.log").write_text(said, encoding="utf-8")
        answer = WORKS if status == 0 else REFUSED if status == 2 and "Traceback" not in said else FAILS
        return answer, last_line(said)


def environments(pythons, checkouts):
    """Every Python with the installed ppdet and with every checkout.

    Raises:
        ValueError: a checkout that is none, or one that does not import.
    """
    for checkout in checkouts:
        if not (Path(checkout) / "ppdet").is_dir():
            raise ValueError(f"{checkout}: no folder ppdet in it; give a checkout of PaddleDetection")
    sources = [None, *map(os.path.abspath, checkouts)]
    found = [Environment(*pair) for pair in itertools.product(pythons, sources)]
    names = [environment.name for environment in found]
    if len(set(names)) < len(names):
        raise ValueError(f"two of them are the same: {', '.join(names)}")
    return found


def start_of(environment, family, folder):
    """Trains a model of a family for some minutes: the checkpoint with which every environment begins.

    Raises:
        ValueError: the training fails.
    """
    _make_pictures(folder, 160)
    config = FAMILIES[family][0]
    command = [ROOT / "tools" / "train.py", "-c", CONFIGS / "demo" / f"{config}.yml", "-o", *DATA]
    answer, said = environment.run(command, folder, "start")
    if answer != WORKS:
        raise ValueError(f"{environment.name}: {family} does not train: {said}")
    return folder / "output" / config / "model_final"


def _make_pictures(folder, train):
    folder.mkdir(parents=True, exist_ok=True)
    make_demo(folder / "demo", size=128, train=train, val=8, progress=False)


def measure(environment, family, start, folder, bar):
    """{step: (answer, reason or None)} of one family; what a step needs and has not is 'not run'."""
    found = {}
    _make_pictures(folder, 32)
    for name, step in STEPS.items():
        bar.update()
        if not environment.has(step):
            continue
        bar.set_postfix_str(f"{environment.name}, {family}: {name}", refresh=True)
        if step.needs is not None and found[step.needs][0] != WORKS:
            found[name] = (NOT_RUN, None)
            continue
        answer, said = environment.run(environment.command(step, family, start), folder, name)
        said = said.replace(str(ROOT), ".").replace(str(folder), ".")
        found[name] = (answer, None if answer == WORKS else said)
    return found


def run(places, families, folder, jobs):
    """{(environment, family): what :func:`measure` found}."""

    def room(name, family):
        return folder / f"{name}, {family}".replace(" ", "_")

    def row(pair):
        place, family = pair
        return measure(place, family, starts[family], room(place.name, family), bar)

    pairs = list(itertools.product(places, families))
    with ThreadPoolExecutor(jobs) as pool:
        trained = pool.map(lambda family: start_of(places[0], family, room("start", family)), families)
        starts = dict(zip(families, trained))
        with tqdm(total=len(pairs) * len(STEPS), unit="step", disable=None) as bar:
            return dict(zip([(place.name, family) for place, family in pairs], pool.map(row, pairs)))


def quoted(found):
    """What the docs quote: a row an environment and step, a figure a family, and why one does not work."""
    rows = {}
    for (environment, family), answers in found.items():
        for step, (answer, reason) in answers.items():
            row = rows.setdefault(f"{environment}; {step}", {})
            row[family] = answer
            if reason:
                row.setdefault(REASON, reason)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    known = [ROOT / venv / "bin" / "python" for venv in (".venv", ".venv-paddle3")]
    parser.add_argument("--pythons", nargs="+", default=[path for path in known if path.is_file()])
    parser.add_argument("--checkouts", nargs="+", default=[], metavar="FOLDER", help="of PaddleDetection")
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--jobs", type=int, default=2, help="commands at a time, of one core each")
    parser.add_argument("--keep", metavar="FOLDER", help="leaves what the commands wrote there, with logs")
    add_json_argument(parser)
    args = parser.parse_args()
    try:
        places = environments(args.pythons, args.checkouts)
        with tempfile.TemporaryDirectory() as folder:
            found = run(places, args.families, Path(args.keep or folder).absolute(), args.jobs)
    except ValueError as error:
        print(f"compatibility.py: {error}", file=sys.stderr)
        return 2
    figures = quoted(found)
    write_report(args.json, {"environments": [place.name for place in places]}, figures)
    heads, rows = steps(figures)
    print("\n".join(align([heads], rows)))
    for row in reasons(figures)[1]:
        print(" | ".join(row))
    return 1 if any(FAILS in row.values() for row in figures.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
