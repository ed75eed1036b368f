"""A report, written: pictures, model card and page."""

import json
from pathlib import Path

from .advice import advice
from .card import model_card
from .markdown import card_markdown
from .measure import measure
from .page import report_page
from .pictures import draw_pictures

PAGE, CARD, CARD_TEXT = "report.html", "model_card.json", "model_card.md"


def write_report(
    folder, results_file, datasets, weights, config, name, command, course=(), threshold=None,
    exported=None, say=print,
):  # fmt: skip
    """Writes a report on the boxes that an evaluation found.

    Args:
        folder (str | Path): where it goes; is made.
        results_file (str | Path): `bbox.json` of the evaluation of these weights.
        datasets (tuple): annotation file and image folder that were evaluated.
        weights (str): the file, with or without '.pdparams'.
        config (dict): as it was merged.
        name (str): of the model.
        command (str): '-c CONFIG -o weights=FILE', for what to do next.
        course (list): records of the training's history.
        threshold (float | None): of the detector at work; None for the best F score.
        exported (str | None): folder that was exported from these weights.
        say (callable): is told how far it is.

    Returns:
        tuple(Path, dict): the page, and the model card.

    Raises:
        ValueError: what :func:`measure` and :func:`model_card` refuse.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    say("report 1/3: boxes against annotations")
    measured = measure(results_file, *datasets, threshold)
    say("report 2/3: model card")
    card = model_card(name, config, measured, weights, course, exported)
    lines = advice(card, measured.confusion, command)
    say(f"report 3/3: pictures of {len(measured.files)} images")
    pictures = draw_pictures(folder, measured, course)
    texts = {
        CARD: json.dumps(card, indent=1, ensure_ascii=False),
        CARD_TEXT: card_markdown(card, lines),
        PAGE: report_page(card, lines, pictures),
    }
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder / PAGE, card
