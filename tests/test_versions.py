import pytest

from ppdet_ext import versions

PPYOLOE = "modeling/architectures/ppyoloe.py"


@pytest.mark.parametrize(
    "text, numbers",
    [
        ("2.6.2", (2, 6, 2)),
        ("2.6.2.post118", (2, 6, 2)),
        ("2.13rc0", (2, 13)),
        ("0.0.0", (0, 0, 0)),
        ("", ()),
    ],
)
def test_version_numbers(text, numbers):
    assert versions.version_numbers(text) == numbers


def test_package_version_knows_import_names(monkeypatch):
    assert versions.package_version("no-such-package-here") is None
    installed = {"paddlepaddle-gpu": "2.6.2.post118"}

    def version(name):
        if name not in installed:
            raise versions.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(versions.metadata, "version", version)
    assert versions.package_version("paddle") == "2.6.2.post118"
    assert versions.paddle_version() == (2, 6, 2)
    installed.clear()
    assert versions.paddle_version() is None


def test_this_environment_is_supported():
    versions.check_versions(tuple(versions.SUPPORTED))


@pytest.mark.parametrize(
    "version, here, message",
    [
        ("2.5.2", True, "paddle 2.5.2 is not supported .*>= 2.6, < 4.* pip install paddlepaddle==2.6.2"),
        ("4.0.0", True, "paddle 4.0.0 is not supported"),
        (None, False, "paddle is not installed; run: pip install paddlepaddle==2.6.2"),
    ],
)
def test_unsupported_versions_are_named_with_the_mend(monkeypatch, version, here, message):
    monkeypatch.setattr(versions, "package_version", lambda name: version)
    monkeypatch.setattr(versions, "is_importable", lambda name: here)
    with pytest.raises(ValueError, match=message):
        versions.check_versions(("paddle",))


@pytest.mark.parametrize(
    "paddle, converter, message",
    [
        ("2.6.2", "2.1.0", r"2.1.0 with paddle 2.6.2 is not supported .*< 2\).* paddle2onnx==1.3.1"),
        ("3.3.1", "1.3.1", r"1.3.1 with paddle 3.3.1 is not supported \(needs >= 2, < 3\).*==2.1.0"),
        ("2.6.2", "1.3.1", None),
        ("3.3.1", "2.1.0", None),
        ("0.0.0", "2.1.0", None),  # a nightly build
    ],
)
def test_each_paddle_has_its_own_paddle2onnx(monkeypatch, paddle, converter, message):
    found = {"paddle": paddle, "paddle2onnx": converter}
    monkeypatch.setattr(versions, "package_version", found.get)
    if message is None:
        versions.check_versions(("paddle2onnx",))
    else:
        with pytest.raises(ValueError, match=message):
            versions.check_versions(("paddle2onnx",))


@pytest.mark.parametrize("version", [None, "0.0.0"])
def test_checkouts_and_nightly_builds_pass(monkeypatch, version):
    monkeypatch.setattr(versions, "package_version", lambda name: version)
    monkeypatch.setattr(versions, "is_importable", lambda name: True)
    versions.check_versions(("paddle", "ppdet"))


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder `ppdet` that comes before the installed one, as a checkout on PYTHONPATH does."""
    package = tmp_path / "ppdet"
    (package / PPYOLOE).parent.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(versions.sys.modules, "ppdet", raising=False)
    return package


def test_a_checkout_takes_the_place_of_the_installed_ppdet(checkout):
    (checkout / PPYOLOE).write_text("")
    assert versions.package_version("ppdet") is None
    versions.check_versions(("ppdet",))


def test_a_checkout_older_than_2_6_is_refused(checkout):
    with pytest.raises(ValueError, match=f"{checkout} is a PaddleDetection older than 2.6; check out"):
        versions.check_versions(("ppdet",))
