import numpy as np
import pytest
import yaml

from ppdet_ext.export.device_cfg import write_device_cfg

RESIZE = {"type": "Resize", "target_size": [320, 416], "keep_ratio": False, "interp": 2}
NORMALIZE = {
    "type": "NormalizeImage",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "is_scale": True,
}
PERMUTE = {"type": "Permute"}
CONTENT = {
    "outputs": "raw",
    "Preprocess": [RESIZE, NORMALIZE, PERMUTE],
    "NMS": {"name": "MultiClassNMS", "nms_top_k": 1000, "nms_eta": 1.0},
    "label_list": ["person", "traffic light"],
}


def written(folder, **change):
    """The lines of the file."""
    text = yaml.safe_dump({**CONTENT, **change}, allow_unicode=True)
    (folder / "infer_cfg.yml").write_text(text, encoding="utf-8")
    path = write_device_cfg(folder)
    assert path == str(folder / "detector.txt")
    data = (folder / "detector.txt").read_bytes()
    assert data.endswith(b"\n") and b"\r" not in data
    return data.decode("utf-8").split("\n")[:-1]


def test_all_lines(tmp_path):
    assert written(tmp_path) == [
        "format 1",
        "Resize 320 416 0 2",
        "NormalizeImage 1 mean_std 0.485 0.456 0.406 0.229 0.224 0.225",
        "score_threshold 0.05",
        "nms_top_k 1000",
        "keep_top_k 100",
        "nms_threshold 0.5",
        "normalized 1",
        "background_label -1",
        "label person",
        "label traffic light",
    ]


def test_defaults_of_operators(tmp_path):
    operators = [
        {"type": "Resize", "target_size": 64},
        {"type": "NormalizeImage", "norm_type": "none", "is_scale": 0},
        {"type": "Pad", "size": [96, 64]},
        {"type": "Pad", "size": 96, "fill_value": 114},
        {"type": "PadStride", "stride": -1},
        {"type": "PadStride", "stride": 32},
    ]
    assert written(tmp_path, Preprocess=[PERMUTE, *operators])[1:7] == [
        "Resize 64 64 1 1",
        "NormalizeImage 0 none 0.485 0.456 0.406 0.229 0.224 0.225",
        "Pad 96 64 127.5 127.5 127.5",
        "Pad 96 96 114.0 114.0 114.0",
        "PadStride 0",
        "PadStride 32",
    ]


def test_numbers_keep_every_bit(tmp_path):
    mean = [0.1 + 0.2, 1e-7, 1 / 3]
    lines = written(tmp_path, Preprocess=[{**NORMALIZE, "mean": mean}, PERMUTE], NMS={"nms_threshold": 2 / 3})
    words = [line.split(" ") for line in lines]
    assert [float(word) for word in words[1][3:6]] == mean
    assert float(dict(words[2:8])["nms_threshold"]) == 2 / 3
    fill = np.float32([0.1, 0.2, 0.3])  # the runtime's precision
    pad = {"type": "Pad", "size": [8, 8], "fill_value": fill.tolist()}
    line = written(tmp_path, Preprocess=[pad, PERMUTE])[1]
    np.testing.assert_array_equal(np.float32(line.split(" ")[3:]), fill)


def test_names(tmp_path):
    names = [" two  spaces ", "Fußgänger", "人", "7"]
    lines = written(tmp_path, label_list=[*names[:3], 7])
    assert lines[-4:] == ["label " + name for name in names]


@pytest.mark.parametrize(
    "change, said",
    [
        (
            {"NMS": {"name": "SoftNMS"}},
            "NMS 'SoftNMS' is not known on a device; set its name to MultiClassNMS",
        ),
        ({"NMS": {"name": "MultiClasNMS"}}, "NMS 'MultiClasNMS' is not known; did you mean 'MultiClassNMS'?"),
        ({"NMS": {"nms_top_k": 0}}, "NMS setting 'nms_top_k' is 0; give a whole number"),
        (
            {"Preprocess": [{"type": "LetterBoxResize", "target_size": [64, 64]}, PERMUTE]},
            "Preprocess operator LetterBoxResize is not known on a device; take Resize, Pad, ",
        ),
        (
            {"Preprocess": [{**RESIZE, "interp": 4}, PERMUTE]},
            "Preprocess operator Resize has interp 4; take one of 0, 1, 2, 3",
        ),
        (
            {"Preprocess": [NORMALIZE, RESIZE, PERMUTE]},
            "Preprocess operator Resize stands behind another operator; put it first",
        ),
        ({"Preprocess": [RESIZE]}, "Preprocess has no Permute"),
        ({"label_list": ["a", "b\nc"]}, "label_list has 'b\\nc'; take the line break out"),
        ({"outputs": "nms"}, "the model has NMS inside; export it without --nms for a device"),
    ],
)
def test_refused(tmp_path, change, said):
    with pytest.raises(ValueError) as error:
        written(tmp_path, **change)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'infer_cfg.yml'}: {said}")
    assert "\n" not in message
    assert not (tmp_path / "detector.txt").exists()
