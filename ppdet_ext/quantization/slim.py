"""A ``--slim_config``: PaddleDetection's methods, and the one of ours, whose weights are loaded whole."""

from ppdet_ext.config import check_tags, merge_file
from ppdet_ext.nearest import did_you_mean
from ppdet_ext.training.checkpoints.loading import load_pretrained

from .qat import MEND, DetectorQAT

# What PaddleDetection's build_slim_model knows by name; any other is a registered class.
METHODS = ("Distill", "OFA", "DistillPrune", "PTQ", "UnstructuredPruner")


def build_slim(cfg, path, overrides, mode, resume=None):
    """Merges a slim config over a loaded one and builds its model, as PaddleDetection's build_slim_model.

    What ``-o`` says wins over the file, also for ``pretrain_weights``.

    Args:
        cfg: from :func:`ppdet_ext.config.load_config`.
        path (str): the slim config.
        overrides (dict): of ``-o``.
        mode (str): train, eval or test.
        resume (str | None): the checkpoint that a training goes on from.

    Returns:
        the config, with ``slim``, ``slim_type`` and, for most methods, the ``model``.

    Raises:
        ValueError: a file that can't be read, an unknown key, method or option; for :class:`DetectorQAT`
            also weights that are missing or do not fit to the last one.
    """
    from ppdet.core import workspace

    given = check_tags(path)
    method = given.get("slim")
    modules = workspace.get_registered_modules()
    if method is None:
        raise ValueError(f"{path}: 'slim' is missing; name a method, such as slim: DetectorQAT")
    if method not in METHODS and method not in modules:
        known = did_you_mean(method, [*METHODS, *modules]) or "; QAT is slim: DetectorQAT"
        raise ValueError(f"{path}: slim '{method}' does not exist{known}")
    if method != "DetectorQAT":
        from ppdet.slim import build_slim_model

        cfg = build_slim_model(cfg, path, mode=mode)
        workspace.merge_config(overrides)
        return cfg
    architecture = cfg.architecture
    cfg = merge_file(path, overrides)
    if cfg.architecture != architecture:
        raise ValueError(f"{path}: architecture is {cfg.architecture}; QAT trains the {architecture} of -c")
    _build_qat(cfg, path, mode, resume, "pretrain_weights" in given or "pretrain_weights" in overrides)
    return cfg


def _build_qat(cfg, path, mode, resume, has_weights):
    from ppdet.core import workspace

    if cfg.get("use_ema") and cfg.get("ema_filter_no_grad"):
        raise ValueError(f"{path}: ema_filter_no_grad: true averages the ranges of QAT to 0; set it to false")
    # The config's own are what its float training starts from.
    weights = cfg.get("pretrain_weights") if has_weights else None
    cfg["pretrain_weights"] = weights
    slim: DetectorQAT = workspace.create(cfg.slim)
    model = workspace.create(cfg.architecture)
    if mode == "train" and (resume is None or slim.distillation):
        if weights is None:
            purpose = "distillation needs the float teacher's" if slim.distillation else MEND.split(";")[0]
            raise ValueError(f"{path}: no weights; {purpose}; -o pretrain_weights={cfg.weights}")
        load_pretrained(model, weights, mend=MEND)
    cfg["slim_type"], cfg["slim"], cfg["model"] = cfg.slim, slim, slim(model)
    if mode != "train":
        load_pretrained(cfg["model"], cfg.weights)
