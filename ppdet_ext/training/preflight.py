"""Before a training: the quick part of `ppdet-ext data check`, over the datasets of the config."""

import os
import shlex
from collections import Counter
from typing import NamedTuple

import paddle.distributed as dist
from ppdet.core.workspace import create
from ppdet.data.source.coco import COCODataSet
from ppdet.utils.download import DOWNLOAD_DATASETS_LIST
from ppdet.utils.logger import setup_logger

from ..data.check import KINDS, check_categories, check_leaks, check_part, in_order

logger = setup_logger("ppdet.engine")

# What the key `data_check` may say; YAML reads a bare off as false.
CHECKS = {"quick": True, "off": False, True: True, False: False, None: True}
# Reading an annotation file of so many bytes takes seconds.
LARGE = 30e6


class ConfiguredSet(NamedTuple):
    """A dataset of a config.

    Args:
        key (str): 'TrainDataset' or 'EvalDataset'.
        anno (str): its COCO annotation file.
        images (str): the folder that file names are relative to.
        keeps_bare (bool): images without boxes are trained on.
    """

    key: str
    anno: str
    images: str
    keeps_bare: bool


def configured_sets(cfg, keys=("TrainDataset", "EvalDataset")):
    """The datasets of a config that have a COCO annotation file, or are read into one.

    Args:
        cfg: PaddleDetection's global config.
        keys (tuple): which to look at.

    Returns:
        list[ConfiguredSet]: without those in another format, and those that PaddleDetection would download.

    Raises:
        ValueError: an annotation file is missing; a dataset can't be read into one.
    """
    found = []
    for key in keys:
        section = cfg.get(key)
        if section is None or isinstance(section, dict) and not section:
            continue
        dataset = create(key)()
        if not isinstance(dataset, COCODataSet) or not dataset.anno_path:
            continue
        root = dataset.dataset_dir
        if type(dataset).check_or_download_dataset is not COCODataSet.check_or_download_dataset:
            dataset.check_or_download_dataset()  # one of ours, which reads its format and downloads nothing
        anno = os.path.join(root, dataset.anno_path)
        if not os.path.isfile(anno):
            if os.path.basename(os.path.normpath(root)).lower() in DOWNLOAD_DATASETS_LIST:
                continue
            raise ValueError(f"{anno}: no such annotation file; set dataset_dir and anno_path of {key}")
        images = os.path.join(root, dataset.image_dir) or "."
        found.append(ConfiguredSet(key, anno, images, dataset.allow_empty))
    return found


def check_data(cfg):
    """Refuses datasets that would train wrongly, before anything is built; says what would only go to waste.

    No picture is opened. The first process of a distributed training looks, and all end.

    Args:
        cfg: PaddleDetection's global config; ``data_check: off`` leaves the check out, and ``eval``, the flag
            of the command, takes the evaluation set in.

    Raises:
        ValueError: one line about the first fault, with the number of the others.
    """
    asked = cfg.get("data_check")
    if asked not in (*CHECKS,):
        raise ValueError(f"data_check is {asked!r}; give quick or off")
    if not CHECKS[asked]:
        return
    if dist.get_world_size() == 1:
        _check(cfg)
        return
    said = [None]
    if dist.get_rank() == 0:
        try:
            _check(cfg)
        except (ValueError, OSError) as error:
            said = [str(error)]
    dist.broadcast_object_list(said, src=0)
    if said[0] is not None:
        raise ValueError(said[0])


def _check(cfg):
    keys = ("TrainDataset", "EvalDataset") if cfg.get("eval") else ("TrainDataset",)
    sets = configured_sets(cfg, keys)
    for found in sets:
        if os.path.getsize(found.anno) > LARGE:
            logger.info(
                f"{found.anno}: looking for what would train wrongly (data_check: off leaves that out)"
            )
    parts = [check_part(found.anno, found.images, cfg.num_classes, read_pictures=False) for found in sets]
    if len(parts) == 2:
        train, other = parts
        other.findings += check_categories(train.data, other.data)
        train.findings += check_leaks(train, other, similar=1)
    for found, part in zip(sets, parts):
        files = (
            f"{flag} {shlex.quote(os.fspath(path))}" for flag, path in zip(("--anno", "--images"), found[1:])
        )
        more = f"'ppdet-ext data check {' '.join(files)}' lists all"
        refused = _would(part, "refuse")
        if refused:
            besides = f"besides, {_counts(refused[1:])}; " if len(refused) > 1 else ""
            raise ValueError(f"{refused[0]} ({besides}{more}, data_check: off trains all the same)")
        wasted = _counts(f for f in _would(part, "warn") if f.kind != "image-bare" or not found.keeps_bare)
        if wasted:
            logger.warning(f"{found.anno}: {wasted}; {more}")


def _would(part, what):
    """Findings about which training does this, in the order of a report."""
    return in_order(finding for finding in part.findings if KINDS[finding.kind].training == what)


def _counts(findings):
    """'boxes without area: 3, ...', in the order given."""
    counts = Counter(finding.kind for finding in findings)
    return ", ".join(f"{KINDS[kind].title}: {count}" for kind, count in counts.items())


def check_loaded(dataset, loader, cfg):
    """What only the loaded training set can tell, whatever its format.

    Args:
        dataset: PaddleDetection's, parsed.
        loader: its reader.
        cfg: PaddleDetection's global config.

    Raises:
        ValueError: fewer images than a step takes, after which PaddleDetection would write an untrained
            checkpoint; more classes than ``num_classes``, of which it would take the last for one of the next
            cell.
    """
    if len(loader) < 1:
        raise ValueError(
            f"{dataset.get_anno()}: {len(dataset)} images make no step of {dist.get_world_size()} x "
            f"{cfg.TrainReader['batch_size']} images; lower TrainReader.batch_size"
        )
    classes = getattr(dataset, "catid2clsid", None) or getattr(dataset, "cname2cid", None) or {}
    if len(classes) > cfg.num_classes:
        raise ValueError(
            f"{dataset.get_anno()}: {len(classes)} classes, but num_classes is {cfg.num_classes}; set "
            f"num_classes: {len(classes)}"
        )
