"""Datasets for PaddleDetection's readers beyond its own."""

import os

from ppdet.core.workspace import register, serializable
from ppdet.data import source
from ppdet.data.source.coco import COCODataSet
from ppdet.utils.logger import setup_logger

from .coco_file import write_json
from .labels import read_labels
from .voc import read_voc

logger = setup_logger("ppdet.data")

__all__ = ["VOCFolderDataSet"]


@register
@serializable
class VOCFolderDataSet(COCODataSet):
    """A Pascal VOC folder as it is, trained on and evaluated by COCO's rules.

    The annotations are read once into a COCO file in ``cache_dir``; nothing is written beside the data.

    Args:
        dataset_dir (str): with Annotations/, JPEGImages/ and ImageSets/Main/.
        split (str): a list in ImageSets/Main, or in the folder itself, without '.txt'.
        label_list (str): text file, one class a line.
        cache_dir (str): for the COCO file.
        The others: as PaddleDetection's COCODataSet.
    """

    def __init__(
        self,
        dataset_dir=None,
        split="train",
        label_list=None,
        cache_dir="output/annotations",
        data_fields=("image",),
        sample_num=-1,
        allow_empty=True,
        empty_ratio=1.0,
        repeat=1,
    ):
        name = os.path.basename(os.path.normpath(dataset_dir or "voc"))
        super().__init__(
            dataset_dir=dataset_dir,
            image_dir="JPEGImages",
            anno_path=os.path.abspath(os.path.join(cache_dir, f"{name}_{split}.json")),
            data_fields=list(data_fields),
            sample_num=sample_num,
            allow_empty=allow_empty,
            empty_ratio=empty_ratio,
            repeat=repeat,
        )
        self.split = split
        self.label_list = label_list
        self.cache_dir = cache_dir

    def check_or_download_dataset(self):
        """Reads the folder and writes the COCO file. Nothing is downloaded.

        Raises:
            ValueError: see :func:`ppdet_ext.data.voc.read_voc`; or the list of labels is missing.
        """
        if not self.label_list or not os.path.isfile(self.label_list):
            raise ValueError(f"label_list {self.label_list}: no such file; one class name a line")
        converted = read_voc(self.dataset_dir, self.split, read_labels(self.label_list))
        for line in converted.dropped:
            logger.warning(f"{line}; left out")
        for line in converted.notes:
            logger.warning(line)
        self.image_dir = os.path.relpath(converted.image_dir, self.dataset_dir)
        write_json(self.anno_path, converted.dataset)  # the same bytes in every process of a run

    def get_anno(self):
        """str: path of the COCO file."""
        return self.anno_path


# 'TrainDataset: {name: ...}' is looked up here, and not in the workspace.
source.VOCFolderDataSet = VOCFolderDataSet
