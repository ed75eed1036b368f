"""deploy/paddle_lite/cpp, built once a session with the host's g++."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import pytest

from .lite_cpp import HERE, compile_with

BUILDS = {
    "optimised": ["-O2"],
    "sanitised": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}


@pytest.fixture(autouse=True)
def opencvs_own_arithmetic():
    """On Intel's and AMD's processors OpenCV leaves cubic resizing to IPP, whose rounding is its secret."""
    before = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    yield
    cv2.ipp.setUseIPP(before)


@pytest.fixture(scope="session", params=BUILDS)
def build(request, tmp_path_factory):
    """A folder with `process_check` and the objects it is made of, and the flags of the build."""
    folder = tmp_path_factory.mktemp(request.param)
    flags = BUILDS[request.param]
    sources = [
        file for file in (HERE / "src").glob("*.cc") if file.name not in ("main.cc", "lite_network.cc")
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda source: compile_with(flags, folder, "-c", source), sources))
    compile_with(flags, folder, *folder.glob("*.o"), "-o", "process_check")
    (folder / "process_check.o").unlink()
    return folder, flags


@pytest.fixture
def program(build):
    return build[0] / "process_check"
