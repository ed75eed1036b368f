"""A model card as Markdown."""

import yaml

from .tables import headline, tables


def card_markdown(card, lines):
    """The card as text.

    Args:
        card (dict): of :func:`ppdet_ext.report.card.model_card`.
        lines (list[str]): what to do next.

    Returns:
        str
    """
    parts = [f"# {card['model']}", ""]
    parts += [f"- **{figure}** {what}" for figure, what in headline(card)]
    parts += ["", "## What to do next", "", *(f"- {line}" for line in lines)]
    for table in tables(card):
        parts += ["", f"## {table.title}", ""]
        parts += [_row(table.head), _row(["---"] * len(table.head))]
        parts += [_row(row) for row in table.rows]
        parts += ["", table.note] if table.note else []
    config = yaml.safe_dump(card["config"], sort_keys=False, allow_unicode=True)
    return "\n".join([*parts, "", "## Config, as merged", "", "```yaml", config.rstrip(), "```", ""])


def _row(cells):
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
