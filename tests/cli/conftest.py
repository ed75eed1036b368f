"""What tests of several verbs share."""

import pytest

from ..runtime.tiny_model import write_folder


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The tiny model's exported folder; no test writes into it."""
    return str(write_folder(tmp_path_factory.mktemp("export") / "tiny"))
