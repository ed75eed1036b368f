"""The rows of `deployment.py` that are PaddleDetection's, or go from file to boxes; each runs in a worker.

Protocol: `ppdet_ext.evaluation.bench.worker`.
"""

import os
import sys
import time
import types
from importlib.util import find_spec

import cv2
import numpy as np
import yaml

from ppdet_ext.runtime import Detector
from ppdet_ext.runtime.image import read_image
from ppdet_ext.runtime.preprocess import Preprocess, stack
from ppdet_ext.versions import package_version


class _Exported:
    """A network of PaddleDetection's own export: the inputs it takes for one image, and a timed run."""

    def __init__(self, folder, image):
        with open(os.path.join(folder, "infer_cfg.yml"), encoding="utf-8") as file:
            prepared = Preprocess(yaml.safe_load(file)["Preprocess"])(read_image(image))
        self.folder = folder
        self.feeds = {
            "image": stack([prepared]),
            "im_shape": prepared.im_shape[None],
            "scale_factor": prepared.scale_factor[None],
        }

    def step(self, number):
        """Seconds of the 'network', inputs and outputs copied."""
        start = time.perf_counter()
        self.outputs = self.run()
        return {"network": time.perf_counter() - start}

    def info(self):
        """Engine, model files and their size, shapes of the outputs."""
        files = [os.path.join(self.folder, name) for name in self.files]
        return {
            "engine": f"{self.package} {package_version(self.package)}",
            "precision": "fp32",
            "model_files": self.files,
            "model_mib": sum(map(os.path.getsize, files)) / 2**20,
            "outputs": [list(output.shape) for output in self.outputs],
        }


class PaddleInference(_Exported):
    """In Paddle Inference with oneDNN, set up as PaddleDetection's `deploy/python/infer.py` does."""

    package = "paddle"
    files = ["model.pdmodel", "model.pdiparams"]

    def __init__(self, folder, image, threads):
        from paddle.inference import Config, create_predictor

        super().__init__(folder, image)
        config = Config(*(os.path.join(folder, name) for name in self.files))
        config.disable_gpu()
        config.set_cpu_math_library_num_threads(threads)
        config.set_mkldnn_cache_capacity(10)
        config.enable_mkldnn()
        config.disable_glog_info()
        config.enable_memory_optim()
        config.switch_use_feed_fetch_ops(False)
        self.predictor = create_predictor(config)

    def run(self):
        """All outputs of one run."""
        predictor = self.predictor
        for name in predictor.get_input_names():
            predictor.get_input_handle(name).copy_from_cpu(self.feeds[name])
        predictor.run()
        return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]


class OnnxRuntime(_Exported):
    """Its ONNX file in ONNX Runtime, with ONNX Runtime's defaults."""

    package = "onnxruntime"
    files = ["model.onnx"]

    def __init__(self, folder, image, threads):
        import onnxruntime

        super().__init__(folder, image)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        file = os.path.join(folder, self.files[0])
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.feeds = {port.name: self.feeds[port.name] for port in self.session.get_inputs()}

    def run(self):
        """All outputs of one run."""
        return self.session.run(None, self.feeds)


class TheirDetector:
    """From an image file to boxes with the unmodified `deploy/python/infer.py` of a checkout.

    Args:
        checkout (str): the PaddleDetection checkout.
        folder (str): PaddleDetection's export with NMS inside.
        image (str): the file.
        threads (int): CPU threads.
    """

    def __init__(self, checkout, folder, image, threads):
        cv2.setNumThreads(threads)
        sys.path.insert(0, os.path.join(os.path.abspath(checkout), "deploy", "python"))
        if find_spec("imgaug") is None:
            # Its preprocess.py imports it for lane detection alone; nothing that runs here uses it.
            for name in ("imgaug", "imgaug.augmenters"):
                sys.modules[name] = types.ModuleType(name)
        import infer

        self.detector = infer.Detector(
            folder, device="CPU", run_mode="paddle", batch_size=1, cpu_threads=threads, enable_mkldnn=True
        )
        self.image = image

    def step(self, number):
        """Seconds from 'file to boxes', nothing drawn or saved."""
        start = time.perf_counter()
        self.found = self.detector.predict_image([self.image], visual=False)
        return {"file_to_boxes": time.perf_counter() - start}

    def info(self):
        """Engine, and what was found."""
        boxes = self.found["boxes"]
        boxes = boxes[np.argsort(-boxes[:, 1], kind="stable")]
        return {
            "engine": f"paddle {package_version('paddle')}",
            "precision": "fp32",
            "detections": len(boxes),
            "best": boxes[:10].astype(float).round(6).tolist(),
        }


class OurDetector:
    """From an image file to boxes with `ppdet_ext.runtime.Detector.predict`.

    Args:
        folder (str): our export.
        backend (str): the engine.
        image (str): the file.
        threads (int): CPU threads.
    """

    def __init__(self, folder, backend, image, threads):
        cv2.setNumThreads(threads)
        self.detector = Detector(folder, backend, threads)
        self.backend, self.image = backend, image

    def step(self, number):
        """Seconds from 'file to boxes'."""
        start = time.perf_counter()
        self.found = self.detector.predict(self.image)[0]
        return {"file_to_boxes": time.perf_counter() - start}

    def info(self):
        """Engine, and what was found, in PaddleDetection's order: label, score, box."""
        found = self.found
        best = np.column_stack([found.labels, found.scores, found.boxes])[:10]
        return {
            "engine": self.backend,
            "precision": "fp32",
            "detections": len(found),
            "best": best.astype(float).round(6).tolist(),
        }
