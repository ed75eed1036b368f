import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import ppdet_ext  # noqa: F401  before paddle
from ppdet_ext.config import check_tags, load_config, parse_overrides

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
DEMO = str(CONFIGS / "demo" / "ppyoloe_nano_demo.yml")

# Two sections sharing a mapping, a base that blanks a key for another base to fill, and a registered tag.
TRICKY = {
    "plugin.yml": "ppdet_ext: !!python/object/apply:ppdet_ext.setup []\n",
    "first.yml": """
        OptimizerBuilder: {regularizer: {type: L2, factor: 0.1}, optimizer: {type: Momentum, momentum: 0.9}}
        EvalReader: &reader {batch_size: 2, sample_transforms: [{Decode: {}}]}
        TestReader: *reader
        free: {a: 1, b: {c: 2}}
        """,
    "blank.yml": "OptimizerBuilder: {regularizer: ~}\nfree: {b: ~}\n",
    "second.yml": """
        _BASE_: [blank.yml]
        OptimizerBuilder: {regularizer: {type: L1}}
        free: {b: {d: 3}}
        """,
    "leaf.yml": """
        _BASE_: [plugin.yml, first.yml, second.yml]
        architecture: YOLODetector
        num_classes: 3
        TestReader: {batch_size: 1}
        TrainDataset: !COCODataSet {dataset_dir: somewhere, image_dir: pictures, anno_path: a.json}
        """,
}

# Writes all of the workspace as ppdet's loader, or ours, leaves it: each config in a process of its own.
DUMP = """
import json, os, sys
import ppdet_ext
from ppdet.core import workspace
from ppdet_ext.config import load_config

def plain(value):
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "__dict__"):
        return [type(value).__name__, plain({k: v for k, v in vars(value).items() if not k.startswith("_")})]
    return repr(value)

loader, folder, *paths = sys.argv[1:]
for number, path in enumerate(paths):
    pid = os.fork()
    if not pid:
        config = (workspace.load_config if loader == "theirs" else load_config)(path)
        with open(os.path.join(folder, f"{loader}{number}.json"), "w") as file:
            json.dump(plain(config), file)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        sys.exit(f"{loader} failed on {path}")
"""


def write(folder, files):
    for name, text in files.items():
        (folder / name).write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def config_file(folder, text):
    """A config over the demo's, in a folder of its own."""
    path = folder / "mine.yml"
    path.write_text(f"_BASE_: ['{DEMO}']\n" + textwrap.dedent(text), encoding="utf-8")
    return str(path)


def refused(path, *words, overrides=None):
    """The message of the ValueError, which names the words and stands on one line."""
    with pytest.raises(ValueError) as error:
        load_config(str(path), overrides)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


def test_merges_as_ppdets_own_loader_does(tmp_path):
    write(tmp_path, TRICKY)
    paths = [
        tmp_path / "leaf.yml",
        DEMO,
        *(CONFIGS / "ppyoloe" / f"ppyoloe_{name}_coco.yml" for name in ("s", "plus_x", "nano_relu")),
    ]
    dumps = {}
    for loader in ("theirs", "ours"):
        run = subprocess.run(
            [sys.executable, "-c", DUMP, loader, str(tmp_path), *map(str, paths)],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=ROOT,
        )
        assert run.returncode == 0, run.stderr[-2000:]
        dumps[loader] = [
            json.loads((tmp_path / f"{loader}{number}.json").read_text()) for number in range(len(paths))
        ]
    for path, theirs, ours in zip(paths, dumps["theirs"], dumps["ours"]):
        assert theirs == ours, path
    leaf = dumps["ours"][0]
    assert leaf["OptimizerBuilder"]["regularizer"] == {"type": "'L1'"}  # blanked in between
    assert leaf["free"]["b"] == {"d": "3"}
    assert (leaf["EvalReader"]["batch_size"], leaf["TestReader"]["batch_size"]) == ("2", "1")
    assert leaf["TrainDataset"][0] == "COCODataSet"
    assert leaf["ppdet_ext"] == repr(ppdet_ext.__version__)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {proof}']",
        "!!python/object/new:os.system ['touch {proof}']",
        "!!python/object:os.system {{}}",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/tuple [1, 2]",
        "!!python/object/apply:ppdet_ext.setup_evil []",
        "!!python/object/apply:ppdet_ext.plugin.setup []",
        "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch {proof}']",
        "!Callable {{full_type: os.system, args: ['touch {proof}']}}",
    ],
)
def test_code_is_refused_with_file_and_line(tag, tmp_path):
    tag = tag.format(proof=tmp_path / "proof")
    path = config_file(tmp_path, f"epoch: 2\nx:\n  y: {tag}\n")
    refused(path, f"{path}:4:", "would run code and is refused")
    (tmp_path / "leaf.yml").write_text("_BASE_: [mine.yml]\n")
    refused(tmp_path / "leaf.yml", f"{path}:4:")
    refused(DEMO, "-o x:1:", "refused", overrides=[f"x={tag}"])
    with pytest.raises(ValueError, match="refused"):
        check_tags(path)
    assert not (tmp_path / "proof").exists()


def test_a_tag_directive_smuggles_nothing(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_text(
        "%TAG !x! tag:yaml.org,2002:python/\n---\n"
        f"_BASE_: ['{DEMO}']\ny: !x!object/apply:os.system ['touch {tmp_path}/proof']\n"
    )
    refused(path, f"{path}:4:", "refused")
    assert not (tmp_path / "proof").exists()


def test_the_hook_and_registered_tags_pass(tmp_path):
    path = config_file(
        tmp_path,
        """
        hook: !!python/object/apply:ppdet_ext.setup []
        TrainDataset: !COCODataSet {dataset_dir: somewhere, anno_path: a.json}
        """,
    )
    config = load_config(path, ["EvalDataset=!VOCDataSet {dataset_dir: elsewhere}"])
    assert config.hook == ppdet_ext.__version__
    assert type(config.TrainDataset).__name__ == "COCODataSet"
    assert config.TrainDataset.dataset_dir == "somewhere"
    assert type(config.EvalDataset).__name__ == "VOCDataSet"
    refused(path, "-o TrainDataset", "!COCODataSet {...}", overrides=["TrainDataset.dataset_dir=x"])


def test_a_tag_that_is_no_class_or_has_a_wrong_argument(tmp_path):
    path = config_file(tmp_path, "TrainDataset: !COCODataset {dataset_dir: x}\n")
    refused(path, f"{path}:2:", "!COCODataset; did you mean 'COCODataSet'?")
    path = config_file(tmp_path, "TrainDataset: !COCODataSet {dataset_dri: x}\n")
    refused(path, f"{path}:2:", "COCODataSet has no option 'dataset_dri'; did you mean 'dataset_dir'?")
    path = config_file(tmp_path, "x: !<tag:example.org,2000:thing> 1\n")
    refused(path, f"{path}:2:", "not valid YAML")


def test_override_values():
    assert parse_overrides(["a=1", "b.c.d=[1, x]", "b.c.e=~", "f=true", "g=a=b", " h=0.5 "]) == {
        "a": 1,
        "b": {"c": {"d": [1, "x"], "e": None}},
        "f": True,
        "g": "a=b",
        "h": 0.5,
    }
    assert parse_overrides(None) == {}
    with pytest.raises(ValueError, match="a has been given a plain value"):
        parse_overrides(["a=1", "a.b=2"])
    config = load_config(DEMO, ["ETHead.assigner.topk=5", "my_own_key=1", "amp_level=O2", "use_npu=false"])
    assert config.ETHead["assigner"] == {"name": "TALLabelAssigner", "topk": 5, "alpha": 1.0, "beta": 6.0}
    assert config.my_own_key == 1


def test_files_that_are_missing_broken_or_empty(tmp_path):
    refused(tmp_path / "none.yml", "none.yml: no such config file")
    refused(tmp_path / "none.json", "ends in .yml or .yaml")
    refused(tmp_path, "ends in .yml or .yaml")
    leaf, other = tmp_path / "leaf.yml", tmp_path / "other.yml"
    leaf.write_text("_BASE_: [gone.yml]\n")
    refused(leaf, f"{tmp_path / 'gone.yml'}: no such config file", f"(_BASE_ of {leaf})")
    leaf.write_text("_BASE_: other.yml\n")
    refused(leaf, str(leaf), "_BASE_ is a list of files")
    leaf.write_text("_BASE_: [other.yml]\n")
    other.write_text("_BASE_: [leaf.yml]\n")
    refused(leaf, f"{leaf}: _BASE_ leads back to this file")
    leaf.write_text("_BASE_: [leaf.yml]\n")
    refused(leaf, "leads back to this file")
    leaf.write_text("a: 1\nb: [1, 2\nc: 3\n")
    refused(leaf, f"{leaf}:3: not valid YAML")
    leaf.write_text("a: 1\n\tb: 2\n")
    refused(leaf, f"{leaf}:2: not valid YAML")
    leaf.write_bytes(b"a: \xff\xfe\n")
    refused(leaf, f"{leaf}: not valid YAML: not UTF-8")
    for empty in ("", "# nothing\n", "---\n"):
        leaf.write_text(empty)
        refused(leaf, f"{leaf}: the file is empty")
    leaf.write_text("- a\n- b\n")
    refused(leaf, "a config is a mapping of keys, not list")
    leaf.write_text("1: x\n2: {y: 3}\n")
    refused(leaf, "'architecture' is missing")


def test_one_file_as_two_bases_is_no_circle(tmp_path):
    write(tmp_path, {"a.yml": f"_BASE_: ['{DEMO}']\nepoch: 3\n", "b.yml": "_BASE_: [a.yml]\nepoch: 4\n"})
    leaf = tmp_path / "leaf.yml"
    leaf.write_text("_BASE_: [b.yml, a.yml]\n")
    config = load_config(str(leaf))
    assert (config.epoch, config.filename, config.architecture) == (3, "leaf", "YOLODetector")


def test_one_config_does_not_bleed_into_the_next(tmp_path):
    from ppdet.core.workspace import create
    from ppdet.modeling.shape_spec import ShapeSpec

    levels = [ShapeSpec(channels=8, stride=stride) for stride in (32, 16, 8)]
    plain = load_config(DEMO).copy()
    before = {key: dict(value) if isinstance(value, dict) else value for key, value in plain.items()}
    head = create("ETHead", input_shape=levels)
    assert (head.reg_max, head.assigner.topk) == (16, 13)
    path = config_file(
        tmp_path,
        """
        my_own_key: 1
        num_classes: 3
        ETHead: {reg_max: 7, assigner: {topk: 5}}
        TrainDataset: !COCODataSet {dataset_dir: somewhere}
        """,
    )
    config = load_config(path)
    head = create("ETHead", input_shape=levels)
    assert (head.reg_max, head.num_classes, head.assigner.topk) == (7, 3, 5)
    assert type(config.TrainDataset).__name__ == "COCODataSet"
    config = load_config(DEMO)
    after = {key: dict(value) if isinstance(value, dict) else value for key, value in config.items()}
    assert after == before
    head = create("ETHead", input_shape=levels)
    assert (head.reg_max, head.num_classes, head.assigner.topk) == (16, 10, 13)


def test_a_refused_config_leaves_a_loader_that_works(tmp_path):
    refused(config_file(tmp_path, "ETHead: {reg_mxa: 1}\n"), "reg_mxa")
    assert load_config(DEMO).ETHead["reg_max"] == 16
