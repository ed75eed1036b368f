"""The reader of checkpoints: all that Paddle writes, and nothing that could run."""

import os
import pickle
import pickletools
import random
import zipfile
from collections import OrderedDict

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest
from paddle.framework.io import load as paddle_load

from ppdet_ext.nn import safe_pickle
from ppdet_ext.nn.safe_pickle import read_pickle
from ppdet_ext.nn.state_file import read_state_file


def training():
    """A network and an optimizer with a schedule inside a warm-up, one step old."""
    network = paddle.nn.Sequential(paddle.nn.Linear(3, 4), paddle.nn.BatchNorm1D(4))
    schedule = paddle.optimizer.lr.CosineAnnealingDecay(0.1, 10)
    schedule = paddle.optimizer.lr.LinearWarmup(schedule, 2, 0, 0.1)
    optimizer = paddle.optimizer.AdamW(schedule, parameters=network.parameters())
    network(paddle.randn([2, 3])).sum().backward()
    optimizer.step()
    return network, optimizer


def checkpoints():
    network, optimizer = training()
    return {
        "network": network.state_dict(),
        "optimizer": {**optimizer.state_dict(), "last_epoch": 3},
        "tensor": paddle.randn([2, 3]),
        "halves": {"bf16": paddle.ones([2], "bfloat16"), "fp16": paddle.ones([2], "float16")},
        "numbers": {"n": np.float32(3), "i": np.int64(2), "t": paddle.to_tensor(7), "b": True, "x": None},
        "nested": OrderedDict(
            a=[network.state_dict(), (1, "two", {3.0})], b={"c": np.arange(6).reshape(2, 3)}
        ),
    }


def assert_equal(found, expected):
    if isinstance(expected, paddle.Tensor):
        expected = expected.numpy()
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_equal(found[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert type(found) is type(expected) and len(found) == len(expected)
        for one, other in zip(found, expected):
            assert_equal(one, other)
    else:
        assert type(found) is type(expected) and np.asarray(found).dtype == np.asarray(expected).dtype
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("kind", ["network", "optimizer", "tensor", "halves", "numbers", "nested"])
def test_what_paddle_saves_is_read_as_paddle_reads_it(tmp_path, kind, protocol):
    path = str(tmp_path / "file")
    paddle.save(checkpoints()[kind], path, protocol=protocol)
    found = read_pickle(path)
    if isinstance(found, dict):
        found.pop("StructuredToParameterName@@", None)
    assert_equal(found, paddle_load(path))


def test_an_array_in_parts_is_joined(tmp_path):
    """Paddle writes arrays above 4 GB in parts with protocol 2 and 3; here they are small ones."""
    about = {"big": {"OriginShape": (2, 3), "slices": ["big@@.0", "big@@.1"]}}
    parts = {"big@@.0": np.arange(4.0), "big@@.1": np.arange(4.0, 6), "UnpackBigParamInfor@@": about}
    path = tmp_path / "file"
    path.write_bytes(pickle.dumps(parts, 2))
    assert_equal(read_pickle(str(path)), {"big": np.arange(6.0).reshape(2, 3)})


def test_an_array_as_static_graphs_save_it_is_read_without_eval(tmp_path):
    class Lod:
        def __reduce__(self):
            return eval, ("data", {"data": np.arange(3)})

    path = tmp_path / "file"
    path.write_bytes(pickle.dumps({"w": Lod()}, 2))
    assert_equal(read_pickle(str(path)), {"w": np.arange(3)})


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def global_pickle(module, name, argument):
    """A pickle that calls any name, whether this Python has it or not."""
    return b"c" + f"{module}\n{name}\n".encode() + b"(V" + argument.encode() + b"\ntR."


def malicious(witness):
    """Pickles that would leave a file behind, by what they try."""
    touch = f"touch {witness}"
    write = f"open({str(witness)!r}, 'w')"
    state = {"weight": np.ones(3)}
    yield "os.system", pickle.dumps({**state, "x": Calls(os.system, touch)})
    yield "posix.system", global_pickle("posix", "system", touch)
    yield "builtins.eval", pickle.dumps({**state, "x": Calls(eval, write)})
    yield "builtins.eval with names", pickle.dumps({**state, "x": Calls(eval, write, {"data": 1})})
    yield "builtins.exec", pickle.dumps({**state, "x": Calls(exec, write)})
    yield "builtins.getattr", global_pickle("builtins", "getattr", touch)
    yield "subprocess", global_pickle("subprocess", "getoutput", touch)
    yield "Python 2", global_pickle("__builtin__", "eval", write)
    yield "numpy's own", global_pickle("numpy.testing._private.utils", "runstring", write)
    yield "numpy's dotted", b"\x80\x04\x8c\x0bnumpy.dtype\x8c\x08__init__\x93."
    yield "a dotted name", b"\x80\x04\x8c\x05numpy\x8c\x14core.multiarray.scalar\x93."
    yield "paddle", global_pickle("paddle", "load", str(witness))
    yield "torch", global_pickle("torch.hub", "load", touch)
    yield "functools.partial", global_pickle("functools", "partial", touch)
    yield "in a key", pickle.dumps({Hashable(os.system, touch): 1})
    yield "in a state", b"\x80\x02ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00acos\nsystem\nsb."
    yield "in an array of objects", pickle.dumps(np.array([Calls(os.system, touch)], dtype=object))
    yield "codecs", global_pickle("_codecs", "lookup", "rot13")
    yield "an extension", b"\x80\x02\x82\x01."
    yield "a persistent id", b"\x80\x02X\x01\x00\x00\x00aQ."


class Hashable(Calls):
    __hash__ = object.__hash__


@pytest.mark.parametrize("number", range(20))
def test_a_malicious_pickle_is_one_line_and_nothing_runs(tmp_path, number):
    witness = tmp_path / "witness"
    name, content = list(malicious(witness))[number]
    path = tmp_path / "evil.pdparams"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_pickle(str(path))
    said = str(error.value)
    assert said.startswith(f"{path}: ") and "\n" not in said, name
    assert not witness.exists(), name


def test_the_refusal_names_what_would_have_run(tmp_path):
    path = tmp_path / "evil.pdparams"
    path.write_bytes(pickle.dumps({"weight": np.ones(3), "x": Calls(os.system, "true")}))
    with pytest.raises(ValueError, match=r"evil.pdparams: refused, since loading it would run '\w+\.system'"):
        read_state_file(str(path))


def test_the_malicious_pickles_would_run(tmp_path):
    """The witness is one: Python's own reader leaves it behind."""
    witness = tmp_path / "witness"
    for name, content in malicious(witness):
        if name in ("os.system", "builtins.eval", "in a key", "in an array of objects"):
            pickle.loads(content)
            assert witness.exists(), name
            witness.unlink()


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "the checkpoint is empty (0 bytes)"),
        (b"classes: 3\nnames: [a, b]\n", "would run 'lasses: 3.names: [a, b]'"),
        (b"hello", "not a readable Paddle checkpoint"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "not a readable Paddle checkpoint"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "written by PyTorch before 1.6"),
        (pickle.dumps([1, 2]), "holds no parameters (found list)"),
        (pickle.dumps({"epoch": 3}), "holds no parameters (found dict)"),
    ],
)
def test_other_files_are_one_line(tmp_path, content, words):
    path = tmp_path / "w.pdparams"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_state_file(str(path))
    assert str(error.value).startswith(f"{path}: ") and words in str(error.value)


def test_a_zip_archive_is_told_from_a_checkpoint(tmp_path):
    path = tmp_path / "model.pdparams"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}))
    with pytest.raises(ValueError, match="a zip archive, such as PyTorch and NumPy write"):
        read_state_file(str(path))


def test_every_truncation_and_any_damage_is_an_answer_or_one_line(tmp_path):
    """A checkpoint cut at every byte, and with bytes changed at random: never another exception."""
    path = tmp_path / "w.pdparams"
    paddle.save({"w": np.arange(6, dtype="float32").reshape(2, 3), "n": {"lr": 0.1, "step": 3}}, str(path))
    whole = path.read_bytes()
    rng = random.Random(0)
    damaged = [whole[:length] for length in range(len(whole))]
    for _ in range(800):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        damaged.append(bytes(content))
    refused = 0
    for content in damaged:
        if _huge(content):
            continue
        path.write_bytes(content)
        try:
            read_pickle(str(path))
        except ValueError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")
    assert refused > 600


def _huge(content):
    """Whether a damaged pickle asks for a place in the memo that takes gigabytes."""
    try:
        return any(
            op.name in ("LONG_BINPUT", "PUT") and arg > 10**6 for op, arg, _ in pickletools.genops(content)
        )
    except Exception:
        return False


def test_a_pickle_that_holds_itself_is_refused(tmp_path):
    loop = {}
    loop["self"] = [loop]
    path = tmp_path / "w.pdparams"
    path.write_bytes(pickle.dumps(loop))
    with pytest.raises(ValueError, match="not a readable Paddle checkpoint"):
        read_pickle(str(path))


def test_shared_containers_cost_no_more_than_one(tmp_path):
    """A few bytes that unfold to 10**12 lists, were each read again."""
    shared = [0]
    for _ in range(12):
        shared = [shared] * 10
    path = tmp_path / "w.pdparams"
    path.write_bytes(pickle.dumps(shared))
    assert len(read_pickle(str(path))) == 10


def test_paddledetections_own_loading_goes_this_way_in_our_commands(tmp_path, monkeypatch):
    from ppdet.utils.checkpoint import load_pretrain_weight, load_weight

    monkeypatch.setattr(paddle, "load", paddle_load)
    safe_pickle.guard_paddle()
    network, optimizer = training()
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    paddle.save(network.state_dict(), str(tmp_path / "good.pdparams"))
    paddle.save({**optimizer.state_dict(), "last_epoch": 3}, str(tmp_path / "good.pdopt"))
    for value in network.state_dict().values():
        value.set_value(paddle.zeros_like(value))
    assert load_weight(network, str(tmp_path / "good"), optimizer) == 3
    assert all(np.array_equal(value, state[name]) for name, value in network.state_dict().items())
    evil = tmp_path / "evil.pdparams"
    evil.write_bytes(pickle.dumps({"x": Calls(os.system, f"touch {tmp_path / 'witness'}")}))
    for load in (load_weight, load_pretrain_weight):
        with pytest.raises(ValueError, match="refused, since loading it would run"):
            load(network, str(tmp_path / "evil"))
    assert not (tmp_path / "witness").exists()


def test_nothing_of_a_file_outlives_it(tmp_path):
    """A pickle that sets attributes on what it is given leaves this reader as it was."""
    name = b"\x8c\x15numpy.core.multiarray\x8c\x0c_reconstruct\x93"
    state = (
        b"N}\x8c\x0c__defaults__K\x01K\x02K\x03\x87s\x86"  # (None, {'__defaults__': (1, 2, 3)}): by setattr
    )
    path = tmp_path / "w.pdparams"
    path.write_bytes(b"\x80\x04" + name + state + b"b.")
    with pytest.raises(ValueError):
        read_pickle(str(path))
    assert not any(getattr(make, "__defaults__", None) for make in safe_pickle.KNOWN.values())
    paddle.save({"w": np.arange(3.0)}, str(path))
    assert_equal(read_pickle(str(path)), {"w": np.arange(3.0)})
