import numpy as np
import pytest

from ppdet_ext.runtime.image import read_image
from ppdet_ext.visualize import write_image


def test_colours_come_back(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = tmp_path / "neu" / "bild ä.png"
    write_image(path, image)
    np.testing.assert_array_equal(read_image(path), image)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_unknown_formats(tmp_path):
    for name in ("a.xyz", "a"):
        with pytest.raises(ValueError, match="use .jpg or .png"):
            write_image(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
