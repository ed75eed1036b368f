"""Two "nodes" on this machine: they train as one does, and neither outlives the other."""

import time

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from tests.training.launcher import launch, launch_nodes, watched
from tests.training.tiny import ROOT, make_workplace, run_python

pytestmark = pytest.mark.slow
TRAIN = ROOT / "tools" / "train.py"
OPTIONS = ("-c", "tiny.yml", "--seed", 3, "-o", "TrainReader.batch_size=4", "progress_bar=false")
LONG = ("epoch=200", "snapshot_epoch=500", "save_dir=long")

# Process 1 comes to an end in its third step.
DYING = """
seen.append(1)
if dist.get_rank() == 1 and len(seen) == 3:
    with open("died", "w") as file:
        file.write(str(time.time()))
    if os.path.exists("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("000007.jpg: no image")
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = make_workplace(tmp_path_factory.mktemp("nodes"))
    (folder / "dying.py").write_text(watched(DYING))
    return folder


def weights(folder):
    state = paddle.load(str(folder / "tiny" / "model_final.pdparams"), return_numpy=True)
    return {name: value for name, value in state.items() if isinstance(value, np.ndarray)}


def test_two_nodes_of_one_process_train_as_one_of_two(workplace):
    launch(TRAIN, *OPTIONS, "save_dir=one", folder=workplace)
    nodes = launch_nodes(TRAIN, *OPTIONS, "save_dir=two", folder=workplace)
    assert [node.status for node in nodes] == [0, 0], nodes[0].log[-2000:]
    one, two = weights(workplace / "one"), weights(workplace / "two")
    assert one.keys() == two.keys() and len(one) > 100
    for name, value in one.items():
        np.testing.assert_array_equal(two[name], value, err_msg=name)


def test_the_other_node_ends_and_says_why(workplace):
    """Of a process that is killed; its launcher knows of its own node alone."""
    (workplace / "killed").touch()
    nodes = launch_nodes("dying.py", *OPTIONS, *LONG, folder=workplace)
    assert time.time() - float((workplace / "died").read_text()) < 60
    assert all(node.status for node in nodes)
    assert "process 1 of 0..1 ended the run: it ended without a word: killed" in nodes[0].log


def test_processes_end_together(workplace):
    """By the command's own option: in one line that has the reason, with status 2."""
    (workplace / "killed").unlink(missing_ok=True)
    run = run_python(["dying.py", "--processes", 2, *OPTIONS, *LONG], workplace)
    assert time.time() - float((workplace / "died").read_text()) < 60
    assert run.status == 2, run.log
    last = run.err.splitlines()[-1]
    assert last.startswith("ppdet-ext train: ") and "000007.jpg: no image" in last
    assert "Traceback" not in run.err
