from ppdet_ext.cli import main

ARGUMENTS = ["--size", "96", "--train", "3", "--val", "2"]


def test_demo_is_made_then_kept_then_refused(tmp_path, capsys):
    out = str(tmp_path / "demo")
    assert main(["data", "demo", "--out", out, *ARGUMENTS]) == 0
    assert "demo: 3 training and 2 validation images of 96 px, made" in capsys.readouterr().out
    assert len(list((tmp_path / "demo" / "images" / "train").iterdir())) == 3
    assert main(["data", "demo", "--out", out, *ARGUMENTS]) == 0
    assert "kept" in capsys.readouterr().out
    assert main(["data", "demo", "--out", out, *ARGUMENTS, "--seed", "4"]) == 2
    assert "seed 0 instead of 4" in capsys.readouterr().err


def test_bad_sizes_end_with_2(tmp_path, capsys):
    assert main(["data", "demo", "--out", str(tmp_path / "demo"), "--size", "3"]) == 2
    assert "size is 3; give a whole number from 64 up" in capsys.readouterr().err
