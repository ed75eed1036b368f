"""The lines of a config that change how a detector is trained, put into effect."""

import paddle
from ppdet.core.workspace import create

from ppdet_ext.modeling.backbones.staged import StagedBackbone

from .class_weight import class_weights
from .freeze import freeze


def apply_recipe(trainer):
    """Freezes, recomputes and weights classes as the config of a trainer says.

    ``freeze`` and ``freeze_norm`` (:func:`freeze`), ``recompute`` (:func:`recomputed` on the backbone's stem
    and stages) and ``class_weight`` (:func:`class_weights`).

    Args:
        trainer: with the model, the learning rate and the training set. Where something is frozen, its
            optimizer is made anew, and its ``cfg['ema_black_list']`` gets longer.

    Raises:
        ValueError: of these lines, one that can't be put into effect.
    """
    cfg, model = trainer.cfg, trainer.model
    if cfg.get("freeze"):
        frozen = freeze(model, cfg["freeze"], cfg.get("freeze_norm", True))
        cfg["ema_black_list"] = [*(cfg.get("ema_black_list") or []), *frozen]
        trainer.optimizer = create("OptimizerBuilder")(trainer.lr, model)
        if trainer.use_amp and trainer.amp_level == "O2":
            _, trainer.optimizer = paddle.amp.decorate(model, trainer.optimizer, level="O2")
    if cfg.get("recompute"):
        recompute_backbone(model)
    if getattr(getattr(model, "backbone", None), "use_checkpoint", False):
        # DataParallel exchanges gradients as the backward pass makes them, and misses those of a second run.
        cfg["use_fused_allreduce_gradients"] = True
    if cfg.get("class_weight"):
        head = getattr(model, "head", None)
        if not hasattr(head, "set_class_weight"):
            raise ValueError(f"class_weight: {type(model).__name__} has no head that takes class weights")
        head.set_class_weight(class_weights(cfg["class_weight"], trainer.dataset, cfg.num_classes))


def recompute_backbone(model):
    """Has stem and stages of a detector's backbone run by :func:`recomputed` in training.

    Raises:
        ValueError: a backbone that is not of this package.
    """
    backbone = getattr(model, "backbone", None)
    if not isinstance(backbone, StagedBackbone):
        raise ValueError(
            f"recompute: {type(backbone).__name__} can't be recomputed; the backbones of this package can"
        )
    backbone.use_checkpoint = True
