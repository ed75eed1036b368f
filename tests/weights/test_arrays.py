"""Files of named arrays: what torch itself wrote, and everything that is none."""

import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from ppdet_ext.weights.arrays import OLD_TORCH_START, read_arrays

FOLDER = Path(__file__).with_name("reference")


def test_tensors_that_torch_wrote():
    found = read_arrays(str(FOLDER / "tensors.pt"))
    base = np.arange(24, dtype="float32").reshape(4, 6)
    expected = {
        "half": np.float16([0.5, -2.0, 65504.0]),
        "double": np.float64([[1.0], [1e-300]]),
        "transposed": base.T,
        "part": base[1:3, 2:5],
        "parameter": np.ones((2, 1, 1, 1), "float32"),
        "scalar": np.int64(7),
        "empty": np.zeros((0, 3), "float32"),
    }
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)
    found["part"][:] = -1  # an array of its own, writable
    assert found["transposed"].min() == 0


def test_a_state_dict_that_torch_wrote():
    found = read_arrays(str(FOLDER / "layers.pt"))
    shapes = {name: value.shape for name, value in found.items()}
    assert shapes == {
        "0.weight": (2, 1, 1, 1),
        "0.bias": (2,),
        **{f"1.{leaf}": (2,) for leaf in ("weight", "bias", "running_mean", "running_var")},
        "1.num_batches_tracked": (),
    }
    np.testing.assert_array_equal(found["1.running_var"], 1)


def test_npz(tmp_path):
    np.savez(tmp_path / "a.npz", first=np.float16([1, 2]), second=np.ones((2, 3)))
    found = read_arrays(str(tmp_path / "a.npz"))
    assert list(found) == ["first", "second"] and found["first"].dtype == np.float16


def write(path, pickled, storages=(), order=b"little"):
    """A file of torch's layout around any pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", order)
        for key, data in enumerate(storages):
            archive.writestr(f"archive/data/{key}", data)
    return str(path)


class Reference:
    """Pickles as a name of another package."""

    def __init__(self, name, arguments):
        self.name, self.arguments = name, arguments

    def __reduce__(self):
        return self.name, self.arguments


class Storage:
    def __init__(self, kind, count):
        self.kind, self.count = kind, count


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", value.kind, "0", "cpu", value.count)


@pytest.fixture
def torch(monkeypatch):
    """Modules of torch's names, so that a pickle can point to them."""
    made = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
    for name, module in made.items():
        monkeypatch.setitem(sys.modules, name, module)

    def _rebuild_tensor_v2():
        pass

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    made["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2
    made["torch"].FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
    return made


def dump(tmp_path, value):
    with open(tmp_path / "value.pkl", "wb") as file:
        Pickler(file, protocol=2).dump(value)
    return (tmp_path / "value.pkl").read_bytes()


def tensor(torch, offset, shape, strides, count=6):
    storage = Storage(torch["torch"].FloatStorage, count)
    rebuild = torch["torch._utils"]._rebuild_tensor_v2
    return Reference(rebuild, (storage, offset, shape, strides, False, OrderedDict()))


@pytest.mark.parametrize("order", ["little", "big"])
def test_byte_order(torch, tmp_path, order):
    data = struct.pack(("<" if order == "little" else ">") + "6f", *range(6))
    pickled = dump(tmp_path, {"a": tensor(torch, 1, (2, 2), (2, 1))})
    found = read_arrays(write(tmp_path / "a.pt", pickled, [data], order.encode()))["a"]
    np.testing.assert_array_equal(found, [[1, 2], [3, 4]])
    assert found.dtype == np.dtype("float32") and found.dtype.isnative


@pytest.mark.parametrize(
    "offset, shape, strides",
    [
        (0, (7,), (1,)),
        (3, (2, 2), (2, 1)),
        (-1, (2,), (1,)),
        (5, (2,), (-1,)),
        (0, (2, -3), (1, 1)),
        (0, (10**9, 10**9), (0, 0)),
        (0, (2, 2), (1,)),
        (0, (4,), (10**18,)),
        (0, "x", (1,)),
        (0.5, (2,), (1,)),
    ],
)
def test_a_tensor_stays_within_its_storage(torch, tmp_path, offset, shape, strides):
    pickled = dump(tmp_path, {"a": tensor(torch, offset, shape, strides)})
    path = write(tmp_path / "a.pt", pickled, [np.arange(6, dtype="<f4").tobytes()])
    with pytest.raises(ValueError, match="a.pt: not readable") as raised:
        read_arrays(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("storages", [[], [b"\0" * 20], [b"\0" * 28]])
def test_a_storage_holds_what_it_says(torch, tmp_path, storages):
    pickled = dump(tmp_path, {"a": tensor(torch, 0, (2,), (1,))})
    with pytest.raises(ValueError, match="not readable"):
        read_arrays(write(tmp_path / "a.pt", pickled, storages))


def run_code(marker):
    Path(marker).write_text("ran")


def test_no_code_of_a_file_is_run(tmp_path):
    marker = tmp_path / "marker"
    pickled = pickle.dumps({"a": Reference(run_code, (str(marker),))}, protocol=2)
    with pytest.raises(ValueError, match="holds more than tensors"):
        read_arrays(write(tmp_path / "a.pt", pickled))
    np.savez(tmp_path / "a.npz", a=np.array([Reference(run_code, (str(marker),))], object))
    with pytest.raises(ValueError, match="not readable"):
        read_arrays(str(tmp_path / "a.npz"))
    assert not marker.exists()


def test_whole_modules_are_refused_with_the_way_out():
    with pytest.raises(ValueError) as raised:
        read_arrays(str(FOLDER / "module.pt"))
    said = str(raised.value)
    assert "module.pt: holds more than tensors (torch.nn.modules.container.Sequential)" in said
    assert "state_dict(), 'module_state.pt')" in said and "\n" not in said
    # The one-liner is Python.
    compile(said.split('python -c "')[1].rstrip('"'), "said", "exec")


def test_types_that_numpy_lacks_are_refused():
    with pytest.raises(ValueError, match="torch.BFloat16Storage"):
        read_arrays(str(FOLDER / "bfloat16.pt"))


@pytest.mark.parametrize(
    "value, message",
    [
        ({"a": 1}, "entry 'a' is int, not a tensor; give the state dict itself"),
        ({"state_dict": {"a": 1}}, "entry 'state_dict' is dict"),
        ({}, "holds no state dict"),
        ([1, 2], "found list"),
    ],
)
def test_other_pickles_are_refused(tmp_path, value, message):
    with pytest.raises(ValueError, match=message):
        read_arrays(write(tmp_path / "a.pt", pickle.dumps(value)))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["layers.pt", "narrow_n.npz"])
def test_truncated_files(tmp_path, name, share):
    data = (FOLDER / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=name) as raised:
        read_arrays(str(path))
    assert "\n" not in str(raised.value)


def test_damaged_files(tmp_path):
    data = bytearray((FOLDER / "layers.pt").read_bytes())
    random = np.random.RandomState(0)
    path = tmp_path / "a.pt"
    for place in random.randint(0, len(data), 200):
        damaged = bytearray(data)
        damaged[place] ^= 1 + random.randint(255)
        path.write_bytes(damaged)
        try:
            read_arrays(str(path))
        except ValueError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "neither a state dict"),
        (b"hello", "neither a state dict"),
        (OLD_TORCH_START + b"more", "from before torch 1.6"),
        (pickle.dumps({"a": 1}), "neither a state dict"),
    ],
)
def test_other_files(tmp_path, data, message):
    path = tmp_path / "a.pt"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_arrays(str(path))


def test_no_file(tmp_path):
    for path in (tmp_path, tmp_path / "none.pt"):
        with pytest.raises(ValueError, match="no such file"):
            read_arrays(str(path))
