"""Which images are measured, and what is doubtful about them."""

import json
import shutil

import cv2
import numpy as np
import pytest
import yaml

from ppdet_ext.quantization.calibration import (
    FEW,
    CalibrationImages,
    calibration_warnings,
    find_calibration_images,
)

COUNT = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten images in a folder, and beside it a COCO JSON that lists every second one."""
    root = tmp_path_factory.mktemp("calibration")
    (root / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        cv2.imwrite(str(root / "images" / f"{i}.png"), rng.integers(0, 255, (20, 30, 3)).astype("uint8"))
    records = [{"id": i, "file_name": f"{i}.png", "width": 30, "height": 20} for i in range(0, COUNT, 2)]
    dataset = {"images": records, "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    (root / "half.json").write_text(json.dumps(dataset))
    return root


def names(files):
    return [file.name for file in files]


@pytest.mark.parametrize(
    "count, chosen",
    [(1, [0]), (2, [0, 5]), (3, [0, 3, 6]), (9, range(9)), (10, range(10)), (64, range(10))],
)
def test_evenly_spread_over_a_folder(folder, count, chosen):
    found = find_calibration_images(str(folder / "images"), count)
    assert names(found) == [f"{i}.png" for i in chosen]


def test_a_dataset(folder):
    source = str(folder / "half.json")
    assert names(find_calibration_images(source, 3, str(folder / "images"))) == ["0.png", "2.png", "6.png"]
    with pytest.raises(ValueError, match="half.json.*0.png"):
        find_calibration_images(source, 3)  # beside the JSON there are none


@pytest.mark.parametrize("source", ["nowhere", "nowhere.json", "empty"])
def test_no_images(tmp_path, source):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=source) as error:
        find_calibration_images(str(tmp_path / source), 8)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("count", [0, -3])
def test_no_count(folder, count):
    with pytest.raises(ValueError, match=f"--images is {count}; give a whole number from 1 up"):
        find_calibration_images(str(folder / "images"), count)


def test_a_few_images_are_told(folder):
    files = find_calibration_images(str(folder / "images"), 3)
    (line,) = calibration_warnings(files, ())
    assert line.startswith("only 3 calibration images") and str(FEW) in line
    assert calibration_warnings(files * FEW, ()) == []


def test_images_of_the_evaluation_set_are_told_under_any_name(folder, tmp_path):
    files = find_calibration_images(str(folder / "images"), COUNT)
    evaluated = [shutil.copy(file, tmp_path / f"copy {i}") for i, file in enumerate(files[:4])]
    # As large as an image, and another one; and a file that is not there.
    impostor = tmp_path / "impostor"
    impostor.write_bytes(b"x" * files[5].stat().st_size)
    _, line = calibration_warnings(files, [*evaluated, impostor, tmp_path / "nowhere"])
    assert line.startswith("4 of 10 calibration images are in the evaluation set")
    _, line = calibration_warnings(files[:3], evaluated)
    assert line.startswith("all calibration images are in the evaluation set")
    assert len(calibration_warnings(files, [impostor])) == 1


def test_images_as_the_network_gets_them(folder, tmp_path):
    resize = {"type": "Resize", "target_size": [16, 32], "keep_ratio": False, "interp": 1}
    normalize = {"type": "NormalizeImage", "is_scale": True, "norm_type": "none"}
    normalize.update(mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0])
    config = {"arch": "YOLO", "outputs": "raw", "label_list": ["thing"]}
    config.update(NMS={"nms_threshold": 0.7}, Preprocess=[resize, normalize, {"type": "Permute"}])
    (tmp_path / "infer_cfg.yml").write_text(yaml.safe_dump(config))
    files = find_calibration_images(str(folder / "images"), 4)
    images = CalibrationImages(files, tmp_path)
    assert len(images) == 4 and len(images[1:3]) == 2 and len(list(images)) == 4
    pixels = cv2.resize(cv2.imread(str(files[2]))[..., ::-1], (32, 16), interpolation=1)
    expected = pixels.transpose(2, 0, 1).astype("float32") / 255
    np.testing.assert_allclose(images[2], expected, atol=1e-6)
    np.testing.assert_array_equal(images[1:3][1], images[2])
    resize["keep_ratio"] = True
    (tmp_path / "infer_cfg.yml").write_text(yaml.safe_dump(config))
    with pytest.raises(ValueError, match="gives images of many sizes"):
        CalibrationImages(files, tmp_path)
