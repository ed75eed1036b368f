import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
VERSION = re.search(
    r'^__version__ = "([^"]+)"', (ROOT / "ppdet_ext" / "__init__.py").read_text(encoding="utf-8"), re.M
).group(1)
README = ROOT / "README.md"

EXTRAS = {
    "onnx": ["onnxruntime>=1.15"],
    "openvino": ["openvino>=2024.0"],
    "tensorrt": ["tensorrt>=10", "cuda-python>=12"],
    # The registry has wheels for these two Pythons only.
    "lite": ['paddlelite==2.13rc0; python_version == "3.8" or python_version == "3.10"'],
    # What paddleslim imports; paddleslim itself wants --no-deps (scripts/requirements/no-deps.txt).
    "slim": ["decorator", "pyzmq", "setuptools<80", "scikit-learn", "matplotlib", "pillow"],
    "convert": [
        "paddle2onnx>=1.3.1",
        "onnx>=1.14,<1.17",
        "onnxruntime>=1.15",
        "onnxslim>=0.1.60",
        "requests",
    ],
    "viz": ["matplotlib"],
    # What supervision imports; supervision itself wants --no-deps, or a second OpenCV comes with it
    # (scripts/requirements/no-deps.txt).
    "tracking": ["scipy", "matplotlib", "pillow", "defusedxml", "requests"],
    "dev": ["pytest", "pytest-timeout", "ruff"],
}

setup(
    name="ppdet_ext",
    version=VERSION,
    description="A native PaddlePaddle extension of PaddleDetection: detectors by name, and their deployment",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    author="The ppdet_ext authors",
    license="Apache-2.0",
    python_requires=">=3.8",
    packages=find_packages(include=["ppdet_ext", "ppdet_ext.*"]),
    # Light on purpose: a device needs these and one engine; training needs what scripts/setup.sh installs.
    install_requires=["numpy", "opencv-python-headless", "PyYAML", "shtab", "tqdm"],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["ppdet-ext = ppdet_ext.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
