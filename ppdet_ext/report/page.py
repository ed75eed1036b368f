"""One HTML page that holds a report, its pictures within: it opens from the disk, without a network."""

import base64
import re
from html import escape
from pathlib import Path

import cv2
import yaml

from ppdet_ext.runtime.image import read_image

from .tables import headline, tables

# Wide enough for two columns of a plot; photographs lose nothing that one would see.
WIDEST, JPEG_QUALITY = 1320, 82
# Tables with more rows than this are folded.
LONG_TABLE = 24
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1c1c1c;margin:0 auto;max-width:1100px;padding:1rem}
h1{font-size:1.5rem;margin:.3rem 0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:2px solid #3a7fbd}
p.sub,figcaption,.note{color:#6b6b6b;font-size:.875rem;overflow-wrap:anywhere}
.cards{display:flex;flex-wrap:wrap;gap:.6rem;margin:1rem 0}
.cards div{flex:1 1 8.5rem;background:#eef4fa;border-radius:.5rem;padding:.6rem .8rem}
.cards b{display:block;font-size:1.6rem;line-height:1.2;color:#0b2a4a}
.cards span{font-size:.8rem;color:#555}
li{margin:.35rem 0;overflow-wrap:anywhere}
figure{margin:0 0 1.6rem}figure b{font-size:1rem}
img{max-width:100%;height:auto;display:block;margin:.3rem 0}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.875rem;margin:.3rem 0}
th,td{padding:.2rem .7rem .2rem 0;text-align:left;vertical-align:top;border-bottom:1px solid #e8e8e8}
th.n,td.n{text-align:right;font-variant-numeric:tabular-nums}
td{overflow-wrap:anywhere;min-width:3rem}
code{overflow-wrap:anywhere;background:#f2f2f2}
td:first-child{overflow-wrap:normal}
pre{overflow-x:auto;background:#f6f6f6;padding:.7rem;font-size:.8rem}
summary{cursor:pointer;color:#3a7fbd;margin:.3rem 0}
h3{font-size:1rem;margin:1.3rem 0 .2rem}
"""


def report_page(card, lines, pictures):
    """The page as text.

    Args:
        card (dict): of :func:`ppdet_ext.report.card.model_card`.
        lines (list[str]): what to do next.
        pictures (list[Picture]): in the order in which they are shown.

    Returns:
        str: HTML with nothing outside it.
    """
    evaluated = card["data"]["EvalDataset"]
    cards = "".join(f"<div><b>{escape(f)}</b><span>{escape(what)}</span></div>" for f, what in headline(card))
    advice = "".join(f"<li>{_with_code(line)}</li>" for line in lines)
    config = yaml.safe_dump(card["config"], sort_keys=False, allow_unicode=True)
    data = ""
    if "images" in evaluated:
        data = f"{evaluated['images']} images, {evaluated['boxes']} boxes of {evaluated['annotations']}"
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{escape(card["model"])}: report</title><style>{STYLE}</style></head><body>
<h1>{escape(card["model"])}</h1>
<p class="sub">{escape(card["weights"]["file"])} on {escape(data)}; made {escape(card["made"])}</p>
<div class="cards">{cards}</div>
<h2>What to do next</h2><ul>{advice}</ul>
<h2>Pictures</h2>
{"".join(map(_figure, pictures))}
<h2>Tables</h2>
{"".join(map(_table, tables(card)))}
<h3>Config, as merged</h3><details><summary>show</summary><pre>{escape(config)}</pre></details>
</body></html>
"""


def _with_code(line):
    """A sentence whose commands, between backticks, are set as such."""
    return re.sub("`(.+?)`", r"<code>\1</code>", escape(line))


def _figure(picture):
    return (
        f"<figure><b>{escape(picture.title)}</b>"
        f'<img alt="{escape(picture.title)}" src="{data_uri(picture.file, picture.photograph)}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>\n"
    )


def data_uri(file, photograph):
    """An image file as text for `src`, no wider than WIDEST.

    Args:
        file (str | Path): what OpenCV reads.
        photograph (bool): as JPEG; drawings stay PNG, sharp.
    """
    image = read_image(file)
    scale = WIDEST / image.shape[1]
    if not photograph and scale >= 1:
        return _uri("png", Path(file).read_bytes())
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    kind, options = ("jpeg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]) if photograph else ("png", [])
    return _uri(kind, cv2.imencode(f".{kind}", image, options)[1].tobytes())


def _uri(kind, data):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _table(table):
    columns = range(len(table.head))
    numeric = [column > 0 and all(_is_number(row[column]) for row in table.rows) for column in columns]
    mark = [' class="n"' if right else "" for right in numeric]
    head = "".join(f"<th{mark[i]}>{escape(cell)}</th>" for i, cell in enumerate(table.head))
    head = f"<tr>{head}</tr>" if any(table.head) else ""
    body = "".join(
        "<tr>" + "".join(f"<td{mark[i]}>{escape(cell)}</td>" for i, cell in enumerate(row)) + "</tr>"
        for row in table.rows
    )
    inside = f'<div class="wide"><table>{head}{body}</table></div>'
    if len(table.rows) > LONG_TABLE:
        inside = f"<details><summary>{len(table.rows)} rows</summary>{inside}</details>"
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return f"<h3>{escape(table.title)}</h3>{inside}{note}\n"


def _is_number(text):
    return text in ("-", "") or text.replace(".", "", 1).replace("-", "", 1).isdigit()
