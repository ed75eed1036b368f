"""What each engine costs: latency, throughput, memory and size of an exported model, side by side."""

import tempfile

from ppdet_ext import __version__
from ppdet_ext.environment import machine, versions
from ppdet_ext.runtime.backends import BACKENDS, check_backends, why_absent

from .images import choose_images
from .numbers import four_digits, latencies, ratio, with_total
from .rounds import MEASURED, Case, interleave
from .sizes import choose_sizes

CASE = "ppdet_ext.evaluation.bench.case:FolderCase"
# The phases that a detection takes once its image is decoded.
PHASES = ("pre", "network", "post")


def run_benchmark(
    folders,
    plan,
    backends=None,
    batches=(1,),
    sizes=None,
    images=None,
    model=None,
    progress=True,
    device=None,
):
    """Measure exported folders in several engines, interleaved.

    Args:
        folders (list): one exported folder; or one a size, where each has a size of its own.
        plan (Plan): threads and length of the measurement.
        backends (list | None): names of runtime backends, the first one the yardstick; None for all that have
            a model file in the first folder and are installed.
        batches (list): images a step.
        sizes (list | None): sides of square inputs in pixels; None for the folders' own.
        images (str | None): a folder of images; None for a generated photograph.
        model (str | None): what the report calls the model; None for the folder.
        progress (bool): a bar on stderr, if that is a terminal.
        device (str | None): 'cpu' or 'gpu' for every engine; None for its own. A row whose engine does not
            run there is not measured.

    Returns:
        dict: the report, ready for JSON: machine, versions, settings, rows. A row that could not be measured
        has a 'status' and a 'reason' and no figures.

    Raises:
        ValueError: a folder is not an exported one or does not take a size, a backend is unknown, there is
            none to measure, or there are no images.
    """
    if len(folders) == 1:
        places = [(folders[0], size) for size in choose_sizes(folders[0], sizes)]
    else:
        places = [(folder, choose_sizes(folder, [size])[0]) for folder, size in zip(folders, sizes)]
    backends = check_backends(backends) if backends else find_backends(folders[0])
    if min(batches) < 1:
        raise ValueError(f"batch size {min(batches)}: give 1 or more")
    with tempfile.TemporaryDirectory() as temporary:
        files, source = choose_images(images, temporary)
        cases, rows = [], []
        for folder, size in places:
            for batch in batches:
                for backend in backends:
                    arguments = {"folder": str(folder), "backend": backend, "threads": plan.threads}
                    arguments.update(batch=batch, images=files, size=size, device=device)
                    cases.append(Case(_name(backend, batch, size), CASE, arguments))
                    about = {"backend": backend, "device": device, "batch": batch}
                    rows.append({**about, "size": size and [size, size]})
        results, others = interleave(cases, plan, progress)
    return {
        "tool": f"ppdet-ext bench {__version__}",
        "model": str(model or folders[0]),
        **surroundings(plan, results, others),
        "images": source,
        "rows": _rows(rows, results),
    }


def find_backends(folder):
    """The backends that are installed and have a model file in an exported folder.

    Raises:
        ValueError: there is none.
    """
    found = [name for name in BACKENDS if why_absent(name, folder) is None]
    if not found:
        raise ValueError(
            f"{folder}: no installed engine can run it; 'ppdet-ext doctor' says which ones are installed, "
            f"'ppdet-ext export' makes their model files"
        )
    return found


def surroundings(plan, results, others):
    """What a report says beside its rows: machine, versions, and the settings of the measurement.

    Args:
        plan (Plan): as it was measured.
        results (list), others (float | None): as `interleave` gave them.
    """
    return {
        "machine": machine(),
        "versions": {name: version for name, version in versions().items() if version},
        "settings": {
            "threads": plan.threads,
            "rounds": max((len(result.rounds) for result in results), default=0),
            "steps": plan.steps,
            "warmup": plan.warmup,
            "others_cpu": others if others is None else round(others, 3),
            "nms": "in post-processing",
            "decoding": "apart",
        },
    }


def figures(result, first, phases=PHASES):
    """The figures of one measured row.

    Args:
        result (Measured): of the row.
        first (Measured): of the row that it is compared with.
        phases (tuple): what adds up to 'total'.

    Returns:
        dict: peak memory, what the case says of itself, latencies, 'ratio' of the totals and 'network_ratio'.
    """
    rounds, yardstick = with_total(result.rounds, phases), with_total(first.rounds, phases)
    batch, first_batch = (one.case.arguments.get("batch", 1) for one in (result, first))
    return {
        **result.info,
        "peak_mib": result.peak_mib if result.peak_mib is None else round(result.peak_mib, 1),
        "rests": result.rests,
        **latencies(rounds),
        "ratio": ratio(yardstick, rounds, "total", first_batch, batch),
        "network_ratio": ratio(yardstick, rounds, "network", first_batch, batch),
    }


def _rows(rows, results):
    """The rows of the report: what was asked, then what became of it."""
    first = next((result for result in results if result.status == MEASURED), None)
    done = []
    for row, result in zip(rows, results):
        row = {"name": result.case.name, **row, "status": result.status, "reason": result.reason}
        if result.status == MEASURED:
            row.update(figures(result, first))
            row["images_per_s"] = four_digits(1000 * row["batch"] / row["total_ms"]["median"])
        done.append(row)
    return done


def _name(backend, batch, size):
    """A row's name in the progress bar and on the plot."""
    return f"{backend}, batch {batch}" + (f", {size}" if size else "")
