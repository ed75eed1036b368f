"""Where the images and the truth of a config's datasets are."""

import os

from ppdet.core.workspace import create


def dataset_files(key="EvalDataset"):
    """Annotation file and image folder of a dataset of the config that was loaded last.

    Args:
        key (str): EvalDataset or TrainDataset.

    Returns:
        tuple[str, str]: COCO instances JSON, and the folder that its file names are relative to.

    Raises:
        ValueError: its folder is not there.
    """
    dataset = create(key)()
    root = dataset.dataset_dir or ""
    if not os.path.isdir(root):  # PaddleDetection would start a download
        raise ValueError(f"{key}.dataset_dir {root}: no such folder; set it with -o {key}.dataset_dir=FOLDER")
    dataset.check_or_download_dataset()
    return dataset.get_anno(), os.path.join(root, dataset.image_dir or "")
