"""Runs benchmarks one by one, and puts their figures into docs/benchmarks.json: scripts/benchmarks.sh.

Each has a process of its own; its output goes to output/benchmarks/NAME.log, its report to NAME.json. A run
takes the place of its own entry alone, and is written at once, so that a suite that is interrupted loses
nothing. What cannot run here keeps the figures that it has, or is 'not measured' with the reason. In the end
page, plots and docs are brought into step. Exit status 1 if a benchmark failed.
"""

import argparse
import datetime
import sys
import time

import page
from common import ROOT, check_figures, execute, last_line, read_json, write_json
from suite import DATA, SUITE, names_in, paths, shown
from trained_models import MODELS

from ppdet_ext.environment import machine, memory, versions
from ppdet_ext.evaluation.text_table import align

OUTPUT = ROOT / "output" / "benchmarks"
MEASURED, FAILED, NOT_MEASURED = "measured", "failed", "not measured"


def surroundings():
    """What stands above the benchmarks: 'machine', 'versions' of what is installed, 'date'."""
    installed = {name: version for name, version in versions().items() if version}
    date = datetime.date.today().isoformat()
    return {
        "machine": {**machine(), "memory_gib": round(memory() / 2**30, 1)},
        "versions": installed,
        "date": date,
    }


def obstacle(benchmark, given, here):
    """Why a benchmark cannot run here, None if it can.

    Args:
        benchmark (Benchmark): the one.
        given (dict): {name of DATA: path}.
        here (dict): 'machine' of :func:`surroundings`.
    """
    absent = [name for name in names_in(benchmark.command) if name not in given]
    if absent:
        return "needs " + "; ".join(f"--data {name}={name.upper()}, {DATA[name]}" for name in absent)
    if benchmark.gpu and not here["gpus"]:
        return "no GPU"
    if benchmark.vnni is not None and benchmark.vnni != ("vnni" in here["isa"]):
        return "the processor has no VNNI" if benchmark.vnni else "the processor has VNNI"
    weights = [f"{MODELS[name].weights}.pdparams" for name in benchmark.models]
    if weights and not any((ROOT / path).is_file() for path in weights):
        return f"no {' or '.join(weights)}; run the benchmark 'trainings'"
    return None


def command_of(benchmark, given, quick):
    """The arguments of Python that run a benchmark here."""
    parts = [*benchmark.command, *(benchmark.quick if quick else ())]
    if all(name in given for name in names_in(benchmark.optional)):
        parts += benchmark.optional
    return [part.format(**given) for part in parts]


def measure(name, given, here, quick=False):
    """The entry of one benchmark, run now: {'command', 'status', 'seconds', 'figures', ...}."""
    benchmark = SUITE[name]
    entry = {"command": shown(benchmark)}
    reason = obstacle(benchmark, given, here["machine"])
    if reason is None and quick and benchmark.quick is None:
        reason = "there is no short run"
    if reason:
        return {**entry, "status": NOT_MEASURED, "reason": reason, "figures": {}}
    log, report = OUTPUT / f"{name}.log", OUTPUT / f"{name}.json"
    report.unlink(missing_ok=True)
    start = time.perf_counter()
    arguments = [*command_of(benchmark, given, quick), "--json", report]
    status, _, said = execute([sys.executable, *arguments], log)
    entry["seconds"] = round(time.perf_counter() - start, 1)
    # Status 1 beside a report is a bar that was missed: figures all the same.
    if status not in (0, 1) or not report.is_file():
        reason = f"exit status {status}: {last_line(said)}".replace(f"{ROOT}/", "")
        return {**entry, "status": FAILED, "reason": reason, "figures": {}}
    figures = read_json(report)["figures"]
    check_figures(figures)
    if status:
        entry["reason"] = "exit status 1, a bar was missed"
    about = {"machine": here["machine"], "versions": here["versions"], "date": here["date"]}
    return {**entry, "status": MEASURED, **about, **({"quick": True} if quick else {}), "figures": figures}


def merge(results, name, entry):
    """Puts an entry in; where it could not run, figures that are there stay, and the entry with them.

    Returns:
        bool: whether the entry is in.
    """
    known = results["benchmarks"].get(name, {})
    if entry["status"] == NOT_MEASURED and known.get("figures"):
        return False
    results["benchmarks"][name] = entry
    # In the order of the registry, whatever ran first.
    results["benchmarks"] = {key: results["benchmarks"][key] for key in SUITE if key in results["benchmarks"]}
    return True


def listing(results, given, here):
    """The registry as text: what there is, how long it takes, what is known, what it waits for."""
    body, notes = [], []
    for name, benchmark in SUITE.items():
        known = results["benchmarks"].get(name, {}).get("status", "-")
        reason = obstacle(benchmark, given, here)
        body.append([name, f"{benchmark.minutes:g}", known])
        notes += [f"{name} cannot run here: {reason}"] if reason else []
    lines = align([["", "minutes", "status"]], body)
    gives = ["figures", *(benchmark.gives for benchmark in SUITE.values())]
    return "\n".join([*(f"{line}   {what}" for line, what in zip(lines, gives)), "", *notes])


def known_results(path, here):
    """The results that are there, or none."""
    return read_json(path) if path.is_file() else {**here, "benchmarks": {}}


def minutes_of(name, results):
    """How long a benchmark took, or is said to take."""
    seconds = results["benchmarks"].get(name, {}).get("seconds")
    return seconds / 60 if seconds else SUITE[name].minutes


def run(names, given, out, quick):
    """Runs benchmarks, writes the results after each, and says how it goes.

    Returns:
        int: how many failed.
    """
    here = surroundings()
    results = known_results(out, here)
    failed = 0
    for number, name in enumerate(names):
        able = [n for n in names[number:] if obstacle(SUITE[n], given, here["machine"]) is None]
        left = sum(minutes_of(n, results) for n in able)
        told = "short runs" if quick else f"about {left:.0f} minutes to go"
        print(f"[{number + 1}/{len(names)}] {name} ({told})", flush=True)
        entry = measure(name, given, here, quick)
        kept = not merge(results, name, entry)
        failed += entry["status"] == FAILED
        if entry["status"] == MEASURED:
            results.update(here)
        took = f" in {entry['seconds']:.0f} s" if "seconds" in entry else ""
        why = f": {entry['reason']}" if "reason" in entry else ""
        print(f"    {entry['status']}{took}{why}{' (earlier figures stay)' if kept else ''}", flush=True)
        write_json(out, results)
    return failed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter, prog="scripts/benchmarks.sh"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (all)")
    parser.add_argument("--list", action="store_true", help="say what there is, and what each waits for")
    parser.add_argument("--quick", action="store_true", help="short runs, whose figures are worth nothing")
    parser.add_argument("--out", metavar="FILE", help="the results (docs/benchmarks.json)")
    data = "; ".join(f"{name}: {what}" for name, what in DATA.items())
    parser.add_argument("--data", nargs="+", default=[], metavar="NAME=PATH", help=data.replace("; ", "\n"))
    args = parser.parse_args()
    out = page.RESULTS
    if args.out or args.quick:
        out = (ROOT / (args.out or OUTPUT / "quick.json")).resolve()
    try:
        given = paths(args.data)
        unknown = [name for name in args.names if name not in SUITE]
        if unknown:
            raise ValueError(f"there is no benchmark '{unknown[0]}'; there are {', '.join(SUITE)}")
        if args.quick and out == page.RESULTS:
            raise ValueError(f"{out.relative_to(ROOT)}: figures of short runs do not belong there; see --out")
        if args.list:
            here = surroundings()
            print(listing(known_results(out, here), given, here["machine"]))
            return 0
        failed = run(args.names or list(SUITE), given, out, args.quick)
        if out == page.RESULTS:
            page.write(read_json(out))
    except ValueError as error:
        print(f"benchmarks.sh: {error}", file=sys.stderr)
        return 2
    print(f"{out}: {failed} failed" if failed else f"{out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
