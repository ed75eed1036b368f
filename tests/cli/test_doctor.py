import json
import re
import sys
from pathlib import Path

import pytest

from ppdet_ext import cli, environment

LISTS = Path(__file__).resolve().parents[2] / "scripts" / "requirements"
GOOD = {
    "python": "3.10.13",
    **dict.fromkeys(environment.PACKAGES),
    "paddle": "2.6.2",
    "ppdet": "2.6.0",
    "paddleslim": "2.6.0",
    "paddle2onnx": "1.3.1",
    "numpy": "1.26.4",
    "cv2": "4.6.0.66",
    "onnxruntime": "1.19.2",
    "pycocotools": "2.0.8",
    "lap": "0.5.12",
    "setuptools": "79.0.1",
    "typeguard": "2.13.3",
}


@pytest.fixture
def world(monkeypatch):
    """Pretends a set of versions; every module can be found except `absent`."""

    def pretend(absent=(), **changes):
        found = {**GOOD, **changes}
        monkeypatch.setattr(environment, "versions", lambda: found)
        monkeypatch.setattr(environment, "package_version", lambda name: None)
        monkeypatch.setattr(environment, "is_importable", lambda name: name not in absent)
        monkeypatch.setattr(
            environment, "paddle_version", lambda: environment.version_numbers(found["paddle"] or "") or None
        )
        monkeypatch.setattr(environment, "gpus", list)
        return found

    return pretend


def mends(found):
    return {trap["mend"]: trap["stops"] for trap in environment.traps(found)}


def test_here(capsys):
    status = cli.main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert status == 0 and report["ok"] and report["training"], report["traps"]
    assert {a["target"]: a["runs"] for a in report["targets"]}["onnxruntime"]
    assert report["machine"]["cores"] >= 1


def test_a_good_set_has_no_traps(world):
    assert environment.traps(world()) == []


@pytest.mark.parametrize(
    "changes, mend, stops",
    [
        ({"typeguard": "4.4.0"}, "pip install typeguard==2.13.3", "training"),
        ({"numpy": "2.1.0"}, "pip install numpy==1.26.4", "training"),
        ({"setuptools": "80.9.0"}, "pip install setuptools==79.0.1", None),
        (
            {"setuptools": "82.0.0", "absent": ("pkg_resources",)},
            "pip install setuptools==79.0.1",
            "training",
        ),
        ({"pycocotools": "2.0.11"}, "pip install pycocotools==2.0.8", None),
        ({"lap": "0.5.13"}, "pip install lap==0.5.12", None),
        ({"paddle2onnx": "2.1.0"}, "pip install paddle2onnx==1.3.1", None),
        ({"paddle": "3.3.1"}, "pip install paddle2onnx==2.1.0", None),
        ({"ppdet": None}, "pip install --no-deps paddledet==2.6.0", "training"),
        ({"paddle": None}, "pip install paddlepaddle==2.6.2", "training"),
        ({"absent": ("motmetrics", "lap")}, "pip install motmetrics==1.4.0 lap==0.5.12", "training"),
        ({"absent": ("decorator", "zmq")}, "pip install decorator pyzmq", None),
    ],
)
def test_each_trap_has_its_mend(world, changes, mend, stops):
    answers = mends(world(**changes))
    assert mend in answers and answers[mend] == stops


def test_newer_lap_is_no_trap_on_paddle_3(world):
    found = world(paddle="3.3.1", paddle2onnx="2.1.0", ppdet="checkout", lap="0.5.13", pycocotools="2.0.11")
    assert environment.traps(found) == []


def test_targets_say_what_is_missing(world):
    answers = {a["target"]: a for a in environment.targets(world(), gpu=False)}
    assert answers["paddle"]["runs"] and answers["onnxruntime"]["runs"]
    assert answers["openvino"]["mend"] == "pip install openvino==2024.6.0"
    assert "an NVIDIA GPU" in answers["tensorrt"]["missing"] and answers["tensorrt"]["mend"] is None
    assert answers["lite"]["missing"] == "paddlelite"

    newer = {a["target"]: a for a in environment.targets(world(python="3.12.1"), gpu=True)}
    assert "3.8 or 3.10" in newer["lite"]["missing"] and "pip" not in newer["lite"]["mend"]
    assert newer["tensorrt"]["missing"] == "tensorrt"


def test_a_device_with_one_engine_runs_but_does_not_train(world, capsys):
    world(paddle=None, ppdet=None, paddleslim=None, paddle2onnx=None)
    assert cli.main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["training"] and not report["ok"]
    assert [a["target"] for a in report["targets"] if a["runs"]] == ["onnxruntime"]


def test_no_runtime_without_opencv(world):
    assert not any(a["runs"] for a in environment.targets(world(cv2=None), gpu=True))


def test_text_names_targets_versions_and_traps(world, capsys):
    world(typeguard="4.4.0")
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    for words in ("paddle        2.6.2", "openvino      no: missing openvino", "install typeguard==2.13.3"):
        assert words in out


def test_try_finds_an_engine_that_does_not_import(world, monkeypatch):
    world()
    said = {"paddle": None, "ppdet": "ImportError: torn", "onnxruntime": "ImportError: no libgomp"}
    monkeypatch.setattr(environment, "try_imports", lambda names: {name: said[name] for name in names})
    report = environment.report(try_=True)
    assert {a["target"]: a["runs"] for a in report["targets"]}["onnxruntime"] is False
    assert not report["training"] and any("torn" in trap["trap"] for trap in report["traps"])


def test_try_imports_runs_in_its_own_process():
    said = environment.try_imports(["json", "no_such_module_here"])
    assert said["json"] is None and "no_such_module_here" in said["no_such_module_here"]


@pytest.mark.parametrize(
    "text, name, isa",
    [
        (
            "model name\t: Xeon\nflags\t\t: fpu avx2 avx512f avx512_vnni amx_int8\n\nmodel name\t: B\n",
            "Xeon",
            ["amx", "avx2", "avx512", "vnni"],
        ),
        (
            "BogoMIPS: 50\nFeatures\t: fp asimd asimddp i8mm\nHardware\t: BCM2711\n",
            "BCM2711",
            ["dotprod", "i8mm", "neon"],
        ),
        ("", None, []),
    ],
)
def test_processor(text, name, isa):
    assert environment._processor(text) == (name, isa)


def test_versions_in_the_commands_are_the_pinned_ones():
    pins = {}
    for file in LISTS.glob("*.txt"):
        for line in file.read_text().splitlines():
            match = re.match(r"([A-Za-z0-9_.-]+)==([^;\s]+)", line)
            if match:
                pins.setdefault(match[1].lower(), set()).add(match[2])
    commands = [command for _, command in environment.TARGETS.values()] + list(
        environment.PPDET_NEEDS.values()
    )
    for name, version in re.findall(r"([a-z0-9]+)==(\S+)", " ".join(commands)):
        assert version in pins[name], name
