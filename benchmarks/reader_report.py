"""What `benchmarks/reader.py` prints and what the docs quote of it."""

import itertools

from ppdet_ext.evaluation.text_table import align

LAST = "painting and collating"


def table(name, result):
    """Lines about one recipe in one process."""
    sides = result["ms"].values()
    keys = [key for key in dict.fromkeys(itertools.chain(*sides)) if key not in ("total", LAST)]
    rows = [
        [f"  {said}", *(f"{side[key]:.2f}" if key in side else "-" for side in sides)]
        for key, said in (*((key, key) for key in keys), (LAST, LAST), ("total", "in all"))
    ]
    lines = align([[name, *(f"{side}, ms" for side in result["ms"])]], rows)
    apart = result["grey_levels_apart"]
    said = "other draws" if apart is None else f"images {apart:.1e} grey levels apart, boxes equal"
    rates = {side: 1000 / ms["total"] for side, ms in result["ms"].items()}
    return [*lines, f"  {as_sentence(rates, result['times_as_fast'])}; {said}"]


def as_sentence(rates, ratios):
    """Images a second of each side and how many times as fast ours are."""
    ours = (f"{rates[name]:.0f} {name} ({ratios[name]:.2f} times as fast)" for name in ratios)
    return f"{rates['PaddleDetection']:.0f} images/s -> {', '.join(ours)}"


def quoted(report):
    """What the docs quote: images a second of each recipe in one process, the ratios, and nano's waiting."""
    found = {}
    for name, one in report["one_process"].items():
        workers = report["workers"][name]["times_as_fast"]
        found[name] = {
            "upstream_per_s": 1000 / one["ms"]["PaddleDetection"]["total"],
            "ours_per_s": 1000 / one["ms"]["ours"]["total"],
            "cached_per_s": 1000 / one["ms"]["cached"]["total"],
            "ratio": one["times_as_fast"]["ours"],
            "cached_ratio": one["times_as_fast"]["cached"],
            "workers_ratio": workers["ours"],
            "workers_cached_ratio": workers["cached"],
        }
    return {**found, "nano": report["nano"]} if "nano" in report else found
