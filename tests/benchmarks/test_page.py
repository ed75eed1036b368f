import re

import common
import markers
import page
import pytest
import suite
import tables
import tables_readme

RESULTS = common.read_json(page.RESULTS)


def with_figures(name, figures):
    return {"benchmarks": {name: {"status": "measured", "figures": figures}}}


def test_page_and_docs_are_in_step():
    assert [str(path.relative_to(common.ROOT)) for path in page.stale(RESULTS)] == []


def test_plots_are_there_and_no_others():
    plots = {path.stem for path in (page.PAGE.parent / page.PLOTS).glob("*.png")}
    figures = {name: entry["figures"] for name, entry in RESULTS["benchmarks"].items()}
    assert plots == {name for name, found in figures.items() if found and page.plotted(name, found)}


def test_every_benchmark_has_an_entry_that_says_where_it_stands():
    assert list(RESULTS["benchmarks"]) == list(suite.SUITE)
    for name, entry in RESULTS["benchmarks"].items():
        common.check_figures(entry["figures"])
        assert entry["command"] == suite.shown(suite.SUITE[name])
        assert entry["status"] in ("measured", "failed", "not measured", "recorded earlier")
        assert bool(entry["figures"]) == (entry["status"] in ("measured", "recorded earlier"))
        assert entry["status"] == "measured" or entry["reason"]
        assert "quick" not in entry


def test_every_table_can_be_made():
    for name in tables.TABLES:
        lines = tables.lines_of(RESULTS, name)
        assert (
            len(lines) == 1
            or len({line.replace("---|", "|").count("|") for line in lines[:1] + lines[2:]}) == 1
        )


def test_a_table_is_filled_from_the_figures():
    results = with_figures("recompute", {
        "kept": {"peak_mb": 2000, "seconds": 1.0},
        "recomputed": {"peak_mb": 1000, "seconds": 1.5, "memory": 0.5, "time": 1.5},
    })  # fmt: skip
    text = "before\n<!-- benchmarks:recompute -->\nold\n<!-- /benchmarks -->\nafter\n"
    filled = markers.fill(text, results, "a.md")
    assert "| `recompute: true` | 1,000 MB (0.50) | 1.50 |\n<!-- /benchmarks -->\nafter" in filled
    assert "old" not in filled
    assert markers.fill(filled, results, "a.md") == filled


def test_a_table_without_figures_says_why():
    results = {"benchmarks": {"tta": {"status": "not measured", "reason": "no model", "figures": {}}}}
    assert tables.lines_of(results, "tta") == ["*Not measured: no model.*"]
    assert tables.lines_of({"benchmarks": {}}, "tta") == ["*Not measured: it has not run.*"]


def test_a_figure_in_a_sentence_is_filled_and_scaled():
    results = with_figures("reader", {"nano, 320": {"step_ms": 1234.5}})
    text = "a step of <!-- figure:reader/nano, 320/step_ms *0.001 .2f -->9<!-- /figure --> s"
    assert markers.fill(text, results, "a.md") == text.replace(">9<", ">1.23<")


@pytest.mark.parametrize(
    ("path", "filled"),
    [
        ("ablation_bifpn/+ skip/ap minus ablation_bifpn/- single-input nodes/ap", "-1.5"),
        ("ablation_bifpn/+ skip/ap over ablation_bifpn/half over minus/ap", "2.0"),
        ("ablation_bifpn/+ skip/ap minus ablation_bifpn/nothing/ap", "-"),
    ],
)
def test_two_figures_make_a_difference_or_a_ratio(path, filled):
    figures = {"+ skip": {"ap": 63.2}, "- single-input nodes": {"ap": 64.7}, "half over minus": {"ap": 31.6}}
    text = f"<!-- figure:{path} .1f -->?<!-- /figure -->"
    assert markers.fill(text, with_figures("ablation_bifpn", figures), "a.md") == text.replace("?", filled)


def test_the_output_of_verify_is_of_the_demo_and_in_code():
    row = {"file": "model.onnx", "precision": "fp32", "raw_error": 2e-6, "ap": None, "status": "pass"}
    figures = {"demo, ReLU; onnxruntime": row, "blood cells, ReLU; onnxruntime": row}
    lines = tables.lines_of(with_figures("verify_models", figures), "verify_demo")
    assert lines[0] == lines[-1] == "```"
    assert [line.split() for line in lines[3:-1]] == [
        ["onnxruntime", "model.onnx", "fp32", "2.0e-06", "-", "-", "-", "-", "pass"]
    ]


def test_a_claim_has_the_same_figures_in_both_languages():
    for claim in tables_readme.CLAIMS:
        english, chinese = claim.what + claim.figure, claim.what_zh + claim.figure_zh
        fields = sorted(tables_readme.FIELD.findall(english))
        assert fields and fields == sorted(tables_readme.FIELD.findall(chinese)), claim.what
        assert re.search("[\u4e00-\u9fff]", claim.what_zh) and english.isascii(), claim.what


def test_a_figure_whose_row_was_not_measured_is_a_dash():
    text = "<!-- figure:deployment/ours, OpenVINO/ratio .2f -->1.92<!-- /figure --> times as fast"
    for figures in ({}, {"ours, ONNX Runtime": {"ratio": 1.5}}):
        filled = markers.fill(text, with_figures("deployment", figures), "a.md")
        assert filled == text.replace(">1.92<", ">-<")


def test_every_figure_and_table_of_the_docs_was_measured_once():
    for path in page.documents():
        content = path.read_text(encoding="utf-8")
        for figure, *_ in markers.FIGURE.findall(content):
            assert markers.value_of(RESULTS, figure) is not None, (path, figure)
        assert "*Not measured" not in "".join(table for _, table in markers.TABLE.findall(content)), path


@pytest.mark.parametrize(
    "text",
    [
        "<!-- benchmarks:nothing -->\n<!-- /benchmarks -->",
        "<!-- benchmarks:tta -->\n| a table without an end |",
        "<!-- figure:reader/nano/step_ms .2f -->9",
        "<!-- figure:reader/nano .2f -->9<!-- /figure -->",
        "<!-- figure:reader/nano/nothing .2f -->9<!-- /figure -->",
        "<!-- figure:reader/nano/step_ms minus reader/nano .2f -->9<!-- /figure -->",
        "<!-- figure:nothing/nano/step_ms .2f -->9<!-- /figure -->",
    ],
)
def test_a_marker_that_is_wrong_is_named(text):
    with pytest.raises(ValueError, match=r"^a\.md: "):
        markers.fill(text, with_figures("reader", {"nano": {"step_ms": 1.0}}), "a.md")
