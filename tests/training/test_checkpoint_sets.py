"""Checkpoint sets on the disk: whole or not there, whatever fails and whenever."""

import errno
import json
import os
import random
import resource
import subprocess
import sys

import pytest

from ppdet_ext.training.checkpoints import file_set, set_folder
from ppdet_ext.training.checkpoints.file_set import CheckpointSet
from ppdet_ext.training.checkpoints.set_folder import CheckpointFolder

FILES = ("model.pdparams", "model.pdema", "model.pdopt", "model.pdstate")


def writer(content):
    def write(path):
        with open(path, "wb") as file:
            for place in range(0, len(content), 100):
                file.write(content[place : place + 100])

    return write


def content(epoch, name):
    return f"{name} of epoch {epoch} ".encode() * 50


def write(folder, epoch, names=None, files=FILES, **facts):
    facts = {"names": names or [str(epoch)], **facts}
    one = folder.write(epoch, {name: writer(content(epoch, name)) for name in files}, facts)
    for name in facts["names"]:
        folder.publish(one, name)
    return one


@pytest.fixture
def folder(tmp_path):
    return CheckpointFolder(str(tmp_path / "run"))


def epochs(folder):
    return [one.epoch for one in folder.sets()[0]]


def leftovers(folder):
    return [name for name in os.listdir(folder.path) if name.startswith(".")]


def test_a_set_is_what_was_written_and_says_so(folder):
    write(folder, 0, note="first")
    one, refusals = folder.last_good()
    assert one.epoch == 0 and one.facts["note"] == "first" and not refusals
    for name in FILES:
        with open(one.file(name), "rb") as file:
            assert file.read() == content(0, name)
    manifest = json.loads((open(one.file("manifest.json"))).read())
    assert manifest["files"]["model.pdopt"]["bytes"] == len(content(0, "model.pdopt"))
    one.update(note="second")
    assert CheckpointSet(one.path).verify().facts["note"] == "second"
    assert not leftovers(folder)


def test_published_names_are_links_and_change_with_the_set(folder):
    first = write(folder, 0, ["0", "best_model"])
    best = os.path.join(folder.output, "best_model.pdopt")
    assert os.path.samefile(best, first.file("model.pdopt"))
    second = write(folder, 1, ["model_final", "best_model"], files=("model.pdparams", "model.pdopt"))
    assert os.path.samefile(best, second.file("model.pdopt"))
    # A run without an average leaves none of an earlier one beside its weights.
    assert not os.path.exists(os.path.join(folder.output, "best_model.pdema"))
    assert os.path.exists(os.path.join(folder.output, "0.pdema"))
    folder.publish(second, "best_model")  # twice is once
    assert not [name for name in os.listdir(folder.output) if name.startswith(".")]
    assert second.vouches_for(os.path.join(folder.output, "best_model.pdparams"))
    assert not first.vouches_for(os.path.join(folder.output, "best_model.pdparams"))


def test_names_are_copies_where_links_are_not_possible(folder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    one = write(folder, 0)
    published = os.path.join(folder.output, "0.pdparams")
    assert not os.path.samefile(published, one.file("model.pdparams")) and one.vouches_for(published)


DAMAGES = {
    "truncated": (lambda path: os.truncate(path, 10), "10 bytes, its manifest says"),
    "empty": (lambda path: os.truncate(path, 0), "0 bytes, its manifest says"),
    "missing": (os.remove, "missing from its set"),
    "changed": (lambda path: open(path, "r+b").write(b"X"), "its content is not what its manifest says"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_set_is_told_and_the_one_before_taken(folder, damage, file):
    write(folder, 0)
    spoil, words = DAMAGES[damage]
    newest = write(folder, 1)
    spoil(newest.file(file))
    one, (refusal,) = folder.last_good()
    assert one.epoch == 0
    assert refusal.startswith(f"{newest.file(file)}: ") and words in refusal


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": 1}',
        b'{"format": 1, "epoch": 1, "names": ["../../x"], "files": {}}',
        b'{"format": 1, "epoch": 1, "names": [], "files": {"/etc/passwd": {"bytes": 1, "sha256": ""}}}',
        b'{"format": 9, "epoch": 1, "names": [], "files": {}}',
    ],
)
def test_a_manifest_that_is_none_makes_no_set(folder, manifest):
    write(folder, 0)
    newest = write(folder, 1)
    with open(newest.file("manifest.json"), "wb") as file:
        file.write(manifest)
    one, (refusal,) = folder.last_good()
    assert one.epoch == 0 and "manifest.json" in refusal


class Failing:
    """Lets the n-th of the calls that change the disk fail, and all after it, as a full disk does."""

    CALLS = (
        (os, "makedirs"),
        (os, "fsync"),
        (os, "rename"),
        (os, "replace"),
        (file_set.json, "dump"),
        (set_folder.shutil, "copyfile"),
    )

    def __init__(self, monkeypatch, number, error):
        self.left = number
        for module, name in self.CALLS:
            original = getattr(module, name)

            def guarded(*arguments, original=original, **options):
                self.left -= 1
                if self.left < 0:
                    raise OSError(error, os.strerror(error))
                return original(*arguments, **options)

            monkeypatch.setattr(module, name, guarded)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_fails_at_any_call_leaves_the_last_good_set(tmp_path, error):
    """From the first call of a save to the last one, each in turn."""
    failed = 0
    for number in range(40):
        folder = CheckpointFolder(str(tmp_path / str(number)))
        write(folder, 0)
        with pytest.MonkeyPatch.context() as patch:
            calls = Failing(patch, number, error)
            try:
                write(folder, 1)
            except OSError as caught:
                assert caught.errno == error
                failed += 1
        one, refusals = folder.last_good()
        assert not refusals and one.epoch in (0, 1)
        assert not leftovers(folder)
        if calls.left >= 0:
            assert one.epoch == 1
            break
        # The disk has room again.
        write(folder, 1)
        assert folder.last_good()[0].epoch == 1 and not leftovers(folder)
    else:
        raise AssertionError("a save never came to its end")
    assert failed >= 10


def test_a_file_limit_within_any_file_leaves_the_last_good_set(tmp_path):
    """The system's own refusal to write on (RLIMIT_FSIZE), in each file of a set."""
    code = f"""
import resource, signal, sys
sys.path[:0] = {[os.getcwd()]!r}
from tests.training.test_checkpoint_sets import *
folder = CheckpointFolder(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    write(folder, 1)
except OSError as error:
    print(error.strerror)
"""
    sizes = sorted(len(content(1, name)) for name in FILES)
    for number, limit in enumerate([0, 150, sizes[0] - 1, sizes[-1] - 1]):
        folder = CheckpointFolder(str(tmp_path / str(number)))
        write(folder, 0)
        run = subprocess.run(
            [sys.executable, "-c", code, folder.output, str(limit)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.stdout.strip() == "File too large", run.stderr
        assert folder.last_good()[0].epoch == 0 and epochs(folder) == [0] and not leftovers(folder)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_kill_at_any_call_leaves_the_last_good_set(tmp_path):
    """As a SIGKILL: nothing is tidied up, no handler runs. Children are cut at each call in turn."""
    for number in range(40):
        folder = CheckpointFolder(str(tmp_path / str(number)))
        write(folder, 0)
        pid = os.fork()
        if pid == 0:
            patch = pytest.MonkeyPatch()
            calls = Failing(patch, 10**9, 0)
            calls.left = number
            file_set.os.strerror = lambda _: os._exit(9)  # instead of the error
            write(folder, 1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        one, refusals = folder.last_good()
        assert not refusals and one.epoch in (0, 1)
        folder.clean()
        assert not leftovers(folder)
        write(folder, 1)
        assert folder.last_good()[0].epoch == 1
        if status == 0:
            assert number >= 10
            return
        assert status == 9
    raise AssertionError("a save never came to its end")


def test_going_back_moves_later_sets_away(folder):
    for epoch in range(4):
        write(folder, epoch)
    assert folder.retire(4) == 0
    assert folder.retire(2) == 2
    assert epochs(folder) == [0, 1]
    previous = f"{folder.path}.previous"
    assert sorted(os.listdir(previous)) == ["epoch_0002", "epoch_0003"]
    assert CheckpointSet(os.path.join(previous, "epoch_0003")).verify()
    # A run that begins anew takes their place there; one that has written nothing does not.
    assert folder.retire(0) == 2 and sorted(os.listdir(previous)) == ["epoch_0000", "epoch_0001"]
    assert folder.retire(0) == 0 and sorted(os.listdir(previous)) == ["epoch_0000", "epoch_0001"]


def test_a_set_that_is_withdrawn_takes_its_number_along_and_no_other_name(folder):
    first = write(folder, 0, ["0", "best_model"])
    write(folder, 1)
    folder.withdraw(first)
    assert epochs(folder) == [1] and not leftovers(folder)
    names = {name for name in os.listdir(folder.output) if name.endswith(".pdparams")}
    assert names == {"best_model.pdparams", "1.pdparams"}
    with open(os.path.join(folder.output, "best_model.pdparams"), "rb") as file:
        assert file.read() == content(0, "model.pdparams")


def test_random_damage_anywhere_is_never_trusted(tmp_path):
    rng = random.Random(0)
    folder = CheckpointFolder(str(tmp_path))
    one = write(folder, 0)
    for _ in range(50):
        path = one.file(rng.choice(FILES))
        with open(path, "r+b") as file:
            place = rng.randrange(os.path.getsize(path))
            file.seek(place)
            before = file.read(1)
            file.seek(place)
            file.write(bytes([before[0] ^ (1 << rng.randrange(8))]))
        assert folder.last_good()[0] is None
        with open(path, "r+b") as file:
            file.seek(place)
            file.write(before)
        assert folder.last_good()[0] is not None
