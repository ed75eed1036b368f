"""A nano detector on its way to INT8, made once for all tests of this folder."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import pytest

from ppdet_ext.compat import quantizes


def _tiny(factory, swish):
    if not quantizes():
        pytest.skip("PaddleSlim quantises with Paddle 2.6 only")
    from tests.quantization.tiny_int8 import Tiny

    return Tiny(factory.mktemp("swish" if swish else "relu"), swish)


@pytest.fixture(scope="session")
def relu(tmp_path_factory):
    return _tiny(tmp_path_factory, False)


@pytest.fixture(scope="session")
def swish(tmp_path_factory):
    return _tiny(tmp_path_factory, True)


@pytest.fixture(params=["relu", "swish"])
def tiny(request):
    return request.getfixturevalue(request.param)
