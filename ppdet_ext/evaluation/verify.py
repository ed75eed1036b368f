"""Whether what was exported does what was trained, hop by hop:

trained form -> re-parameterised -> static graph -> each engine, from image file to detections.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from ppdet_ext.export.normalization import Normalization
from ppdet_ext.runtime import Detector
from ppdet_ext.runtime.backends import BACKENDS, MODELS, DeviceRefused, why_absent
from ppdet_ext.runtime.config import InferConfig
from ppdet_ext.runtime.image import read_image
from ppdet_ext.runtime.manifest import load_manifest, precision_of
from ppdet_ext.runtime.preprocess import Preprocess

from .coco import evaluate
from .hops import FAILED, NOT_MEASURED, PASSED, Answers, Judge

# Plain Paddle runs the exported graph as it stands: the hop before the engines.
STATIC_GRAPH = "paddle"
# They run the folder's Paddle model.
PADDLES = ("paddle", "paddle_inference")
# The two ways of preprocessing may differ by so much, in the network's units; they are bit-equal but for a
# normalisation inside the graph.
INPUT_GATE = 1e-5


def verify(folder, files, trained=None, backends=None, compared=16, progress=True, threads=None, device=None):
    """Holds an exported folder against the model as trained.

    Args:
        folder (str): the exported folder.
        files (list): image files; with ``trained``, all of its evaluation set, in its order.
        trained (TrainedModel | None): the model as trained; it is re-parameterised. Without it the folder's
            own Paddle model, run by plain Paddle, is the reference.
        backends (list | None): engines to try; by default all.
        compared (int): images, evenly spread, whose raw outputs are compared.
        progress (bool): a bar a hop, where stderr is a terminal.
        threads (int | None): CPU threads of each engine, None for its own choice.
        device (str | None): 'cpu' or 'gpu' for each engine, None for its own. One that does not run there is
            not measured. The static graph runs where Paddle is set to.

    Returns:
        dict: 'model', 'images', 'hops' (rows of :class:`Judge`; the first one is the reference) and 'ok':
        nothing failed.

    Raises:
        ValueError: the folder is not an exported one, or an image cannot be read.
    """
    run = _Run(folder, files, trained, compared, progress)
    names = backends or [name for name in BACKENDS if name != STATIC_GRAPH]
    rows = [run.reference]
    if trained:
        rows += [run.preprocessing(), run.reparameterized(), run.backend("static graph", STATIC_GRAPH)]
    rows += [run.backend(name, name, threads, device) for name in names]
    return {
        "model": str(folder),
        "images": len(files),
        "compared_images": len(run.compared),
        "hops": rows,
        "ok": not any(row["status"] == FAILED for row in rows),
    }


class _Run:
    """The forms of one model over one set of images."""

    def __init__(self, folder, files, trained, compared, progress):
        self.folder, self.files, self.trained, self.progress = folder, files, trained, progress
        count = min(compared, len(files))
        self.compared = {i * len(files) // count for i in range(count)}
        self.inputs = {}
        self.manifest = load_manifest(folder)
        self.raw_outputs = not InferConfig.load(folder).nms_inside
        if trained:
            answers, hop = self._trained_form("trained form"), "trained form"
        else:
            answers, hop = self._detector(Detector(folder, STATIC_GRAPH), "static graph"), "static graph"
        self.judge = Judge(answers, self._ap)
        total = sum(map(len, answers.found))
        self.reference = {"hop": hop, "status": PASSED, "detections": total, "ap": answers.ap}

    def _bar(self, items, hop):
        return tqdm(items, desc=hop, unit="img", leave=False, disable=None if self.progress else True)

    def _ap(self, found):
        if self.trained is None:
            return None
        ap = evaluate(found, self.trained.anno_file, self.trained.image_dir, progress=False)["ap"]
        return None if ap is None else 100 * ap

    def _trained_form(self, hop):
        """Answers of the model in Paddle, whatever form it is in."""
        answers = Answers()
        for number, file in enumerate(self._bar(self.files, hop)):
            image, scale_factor = self.trained.read(file)
            raw = self.trained.raw(image)
            if number in self.compared:
                answers.raw[number] = raw
                self.inputs[number] = image
            answers.found.append(self.trained.detect(raw, scale_factor))
        return answers

    def _detector(self, detector, hop):
        """Answers of an engine, from the image files on."""
        answers = Answers()
        for number in sorted(self.compared) if self.raw_outputs else ():
            image = detector.preprocess(read_image(self.files[number])).pixels
            images = np.repeat(image[None], detector.batch_size or 1, axis=0)
            answers.raw[number] = tuple(output[:1] for output in detector.backend.run(images))
        answers.found = list(self._bar(detector.stream(self.files), hop))
        return answers

    def preprocessing(self):
        """Whether the runtime prepares an image as PaddleDetection's evaluation does."""
        inside = self.manifest.get("input", {}).get("normalization") == "inside"
        normalize = Normalization.of_reader(self.trained.cfg.TestReader) if inside else lambda images: images
        config = InferConfig.load(self.folder)
        preprocess = Preprocess(config.preprocess, config.file)
        row = {"hop": "preprocessing", "status": PASSED, "raw_error": 0.0}
        for number, expected in self.inputs.items():
            image = normalize(preprocess(read_image(self.files[number])).pixels[None])[0]
            if image.shape != expected.shape:
                reason = f"it gives {list(image.shape)}, PaddleDetection's evaluation {list(expected.shape)}"
                return {**row, "status": FAILED, "reason": reason}
            row["raw_error"] = max(row["raw_error"], float(np.abs(image - expected).max()))
        if row["raw_error"] > INPUT_GATE:
            reason = f"pixels differ by up to {row['raw_error']:.3g} from PaddleDetection's evaluation"
            row.update(status=FAILED, reason=reason)
        return row

    def reparameterized(self):
        """The deployed form, still in Paddle."""
        self.trained.reparameterize()
        return self.judge.judge("re-parameterised", "fp32", self._trained_form("re-parameterised"))

    def backend(self, hop, name, threads=None, device=None):
        """An engine on the exported folder; an engine or a file that is absent is not measured."""
        reason = why_absent(name, self.folder)
        if reason is None and name in PADDLES and not self.raw_outputs:
            reason = "the Paddle model has NMS inside in PaddleDetection's form, for its deploy programs"
        if reason is not None:
            return {"hop": hop, "status": NOT_MEASURED, "reason": reason}
        file = next(file for file in MODELS[name] if (Path(self.folder) / file).is_file())
        try:
            answers = self._detector(Detector(self.folder, name, threads, device), hop)
            row = self.judge.judge(hop, precision_of(self.manifest, file, "fp32"), answers)
            return {**row, "file": file}
        except DeviceRefused as error:
            return {"hop": hop, "status": NOT_MEASURED, "reason": str(error)}
        except ValueError as error:
            return {"hop": hop, "status": FAILED, "file": file, "reason": str(error)}
