"""``infer_cfg.yml``: what a program that runs the model must know."""

import os

import yaml

from ppdet_ext.runtime.nms import KINDS

from .graph import head_of
from .normalization import PLAIN_PIXELS


def write_infer_cfg(cfg, model, folder, image_shape, nms, plain_pixels=False):
    """Writes ``infer_cfg.yml`` as PaddleDetection does, with the NMS settings and the kind of outputs added.

    Args:
        cfg: the config; its TestReader gives the preprocessing and its TestDataset the class names.
        model: the detector; its head gives the NMS settings.
        folder (str): exists.
        image_shape (list): [B, 3, H, W].
        nms (bool): NMS is part of the graph.
        plain_pixels (bool): the normalisation is part of the graph.

    Returns:
        dict: the NMS settings written.

    Raises:
        ValueError: PaddleDetection knows no exporter for the architecture, the runtime does not know the
            head's NMS or no graph can hold it, or the number of class names differs from ``num_classes``.
    """
    from ppdet.engine import export_utils

    if not any(name in cfg.architecture for name in export_utils.TRT_MIN_SUBGRAPH):
        raise ValueError(
            f"PaddleDetection's exporter does not know the architecture '{cfg.architecture}'; "
            f"its name must hold one of {', '.join(export_utils.TRT_MIN_SUBGRAPH)}"
        )
    path = os.path.join(folder, "infer_cfg.yml")
    shape = [-1 if side is None else side for side in image_shape]
    export_utils._dump_infer_config(cfg, path, shape, model)
    with open(path, encoding="utf-8") as file:
        content = yaml.safe_load(file)
    if len(content["label_list"]) != cfg.num_classes:
        dataset = cfg.TestDataset
        source = dataset.get_anno() if hasattr(dataset, "get_anno") else None
        raise ValueError(
            f"num_classes is {cfg.num_classes} but {len(content['label_list'])} class names were found "
            f"({source or 'no annotation file: COCO names'}); correct num_classes or TestDataset.anno_path"
        )
    head = head_of(model)
    suppression = head.nms
    if nms and not getattr(suppression, "in_graph", True):
        raise ValueError(
            f"--nms: the head's nms, {type(suppression).__name__}, runs outside of graphs; export without it"
        )
    content["NMS"] = _nms_settings(suppression)
    content["outputs"] = "nms" if nms else "raw"
    content["fpn_stride"] = list(head.fpn_strides)  # under PicoDet's name for it
    if plain_pixels:
        for entry in content["Preprocess"]:
            if entry["type"] == "NormalizeImage":
                entry.update(PLAIN_PIXELS)
    if image_shape[0] is not None:
        content["batch_size"] = image_shape[0]
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump(content, file, sort_keys=False, allow_unicode=True)
    return content["NMS"]


def _nms_settings(nms):
    """The head's NMS as an entry of ``infer_cfg.yml``."""
    name = type(nms).__name__
    if name not in KINDS:
        raise ValueError(f"the runtime does not know the head's nms, {name}; take one of {', '.join(KINDS)}")
    settings = {key: getattr(nms, key, None) for key in (*KINDS[name][1], "nms_eta")}
    return {"name": name, **{key: value for key, value in settings.items() if value is not None}}
