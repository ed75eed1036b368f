"""What docs/architecture.md says of the tree: the rooms, all of them, and that none imports a higher one."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ppdet_ext"
ENTRIES = sorted(path for path in PACKAGE.iterdir() if not path.name.startswith("__"))
# From the ground up; what stands in one line knows nothing of the others in it.
FLOORS = [
    {"_libz", "nearest", "pickles", "versions"},
    {"compat", "data_loader", "nn", "weights"},
    {"environment", "runtime"},
    {"visualize", "data"},
    {"prediction", "modeling"},
    {"tracking", "training"},
    {"quantization.qat"},  # of quantization, what the workspace sees
    {"plugin"},
    {"config_checks"},
    {"config"},
    {"model_configs", "export"},
    {"generated_config", "evaluation"},
    {"quantization", "report"},
    {"cli"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
OF_QAT = ("qat", "layers")


def room_of(module):
    """The room of a dotted name below the package; '' of the package itself."""
    first, *rest = module.split(".")
    return "quantization.qat" if first == "quantization" and rest and rest[0] in OF_QAT else first


def imports_of(path):
    """Line numbers and dotted names, below the package, of what a file imports from it."""
    here = ["ppdet_ext", *path.relative_to(PACKAGE).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, below = name.partition(".")
            if package == "ppdet_ext" and below != "__version__":
                yield node.lineno, below


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda path: path.stem)
def test_no_room_imports_a_higher_one(entry):
    found = []
    for path in sorted(entry.rglob("*.py")) if entry.is_dir() else [entry]:
        room = room_of(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
        for line, module in imports_of(path):
            other = room_of(module)
            if other != room and FLOOR[other] >= FLOOR[room]:
                found.append(f"{path.relative_to(ROOT)}:{line}: {room} imports {other}")
    assert not found, found


def test_every_room_is_in_the_document():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (listing,) = re.findall(r"^```\nppdet_ext/\n(.*?)^```", text, flags=re.M | re.S)
    told = {name.rstrip("/") for name in re.findall(r"^  (\S+)", listing, flags=re.M)}
    assert {path.name for path in ENTRIES if not path.name.startswith("_")} == told
