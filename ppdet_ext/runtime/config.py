"""`infer_cfg.yml`: what an exported folder says about its model."""

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

import yaml

INFER_CFG = "infer_cfg.yml"


@dataclass
class InferConfig:
    """The part of `infer_cfg.yml` that running the model needs.

    Args:
        file (str): path of the file, for errors.
        names (list): class names, `label_list`.
        preprocess (list): entries of `Preprocess`, each a dict with a 'type'.
        nms (dict): settings of `NMS`.
        batch_size (int | None): the one batch size that the model takes, None for any.
        nms_inside (bool): the model ends in detections, not in raw boxes and scores.
        free_size (bool): it takes images of any size whose sides are multiples of `stride`.
        stride (int | None): of its coarsest feature map, input pixels; None where the file does not say.
    """

    file: str
    names: List[str]
    preprocess: List[dict]
    nms: dict
    batch_size: Optional[int] = None
    nms_inside: bool = False
    free_size: bool = False
    stride: Optional[int] = None

    @classmethod
    def load(cls, folder):
        """Read and check `infer_cfg.yml` of an exported folder.

        Raises:
            ValueError: the folder or the file is missing, it is not YAML, or a key is missing or of the wrong
                kind.
        """
        folder = Path(folder)
        file = folder / INFER_CFG
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder; give the folder that 'ppdet-ext export' made")
        if not file.is_file():
            raise ValueError(f"{folder}: has no {INFER_CFG}; give the folder that 'ppdet-ext export' made")
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{file}: is not plain YAML ({reason}); export the model again") from None
        if not isinstance(content, dict):
            raise ValueError(f"{file}: is not a table of settings; export the model again")
        if content.get("outputs") not in ("raw", "nms"):
            raise ValueError(
                f"{file}: does not say 'outputs: raw', so the model may hold PaddleDetection's NMS; "
                f"export it with 'ppdet-ext export'"
            )
        for key, kind in (("label_list", list), ("Preprocess", list), ("NMS", dict)):
            if not isinstance(content.get(key), kind) or not content[key]:
                raise ValueError(
                    f"{file}: key '{key}' is missing or not a {kind.__name__}; export the model again"
                )
        return cls(
            str(file),
            [str(name) for name in content["label_list"]],
            content["Preprocess"],
            content["NMS"],
            content.get("batch_size"),
            content["outputs"] == "nms",
            bool(content.get("use_dynamic_shape")),
            max(content["fpn_stride"]) if content.get("fpn_stride") else None,
        )
