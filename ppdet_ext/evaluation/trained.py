"""The model as trained, run the way PaddleDetection evaluates it: which every deployed form is held to."""

import numpy as np
import paddle
from ppdet.data.reader import Compose

from ppdet_ext.export.graph import RawGraph, deployed, head_of
from ppdet_ext.runtime.detections import Detections

from .coco import image_files, load_annotations
from .datasets import dataset_files


class TrainedModel:
    """A detector with PaddleDetection's evaluation transforms before it and its own NMS behind.

    Args:
        cfg: the config; its EvalReader gives the transforms, its EvalDataset the images and the truth.
        model (nn.Layer): with its weights.

    Raises:
        ValueError: the evaluation set is not there, or no COCO instances.
    """

    def __init__(self, cfg, model):
        self.cfg = cfg
        self.graph = RawGraph(model)
        self.graph.eval()
        self.nms = head_of(model).nms
        self.transforms = Compose(cfg.EvalReader["sample_transforms"], num_classes=cfg.num_classes)
        self.anno_file, self.image_dir = dataset_files()
        self.dataset = load_annotations(self.anno_file)
        categories = sorted(self.dataset["categories"], key=lambda category: category["id"])
        self.names = [str(category["name"]) for category in categories]

    def files(self):
        """Paths of the evaluation set's images, in the order of its annotation file."""
        return image_files(self.dataset, self.image_dir, self.anno_file)

    def reparameterize(self):
        """Puts the model into its deployed form, in place."""
        deployed(self.graph)

    def read(self, file):
        """An image file through PaddleDetection's transforms.

        Args:
            file (str | Path): the image.

        Returns:
            tuple: image [3, H, W] float32 and scale_factor [2] float32 (y, x).
        """
        sample = self.transforms({"im_file": str(file), "im_id": np.array([0]), "curr_iter": 0})
        return np.asarray(sample["image"], np.float32), np.asarray(sample["scale_factor"], np.float32)

    @paddle.no_grad()
    def raw(self, image):
        """Raw outputs for an image [3, H, W]: boxes [1, L, 4] and scores [1, C, L] in NumPy."""
        return tuple(output.numpy() for output in self.graph(paddle.to_tensor(image[None])))

    @paddle.no_grad()
    def detect(self, raw, scale_factor):
        """PaddleDetection's NMS on raw outputs: Detections in pixels of the original image."""
        boxes, scores = (paddle.to_tensor(output) for output in raw)
        boxes = boxes / paddle.to_tensor(np.tile(scale_factor[::-1], 2))
        found = self.nms(boxes, scores)[0].numpy().reshape(-1, 6)
        order = np.argsort(-found[:, 1], kind="stable")
        label, score, box = np.split(found[order], [1, 2], axis=1)
        return Detections(box, score[:, 0], label[:, 0].astype(np.int64), self.names)
