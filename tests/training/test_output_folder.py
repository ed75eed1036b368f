"""A training whose output has no room, or cannot be written: one line, and no torn set."""

import os

import pytest

from tests.training.fork_server import ForkServer
from tests.training.tiny import make_workplace


def train(save_dir, epochs=3):
    return ["train", "-c", "tiny.yml", "-o", f"epoch={epochs}", f"save_dir={save_dir}"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Runs commands in a folder with a small set and its config."""
    with ForkServer(make_workplace(tmp_path_factory.mktemp("output"))) as server:
        yield server


def test_a_file_limit_of_the_system_leaves_no_torn_set(server):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, resource.RLIM_INFINITY))"
    run = server.run(*train("limit", epochs=1), setup=limit)
    assert run.status == 2 and "the last checkpoint is missing: limit/tiny: File too large" in run.log
    assert os.listdir(server.folder / "limit" / "tiny" / "checkpoints") == []


def test_an_output_that_can_t_be_written_is_told_before_the_first_step(server):
    (server.folder / "a_file").write_text("")
    for place in ("a_file", "/proc/nowhere"):
        run = server.run(*train(place))
        said = run.log.splitlines()[-1]
        assert run.status == 2 and f"{place}/tiny/checkpoints: checkpoints can't be written there" in said
        assert "-o save_dir=FOLDER" in said


def test_an_output_without_room_is_told_before_the_first_step(server):
    little = "import shutil; shutil.disk_usage = lambda path: type('Usage', (), {'free': 5 << 20})"
    run = server.run(*train("little"), setup=little)
    assert run.status == 2 and "5 MB are free, a checkpoint takes about" in run.log.splitlines()[-1]
