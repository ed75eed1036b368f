"""Checks of a config against what exists, with the nearest right name in each refusal."""

import inspect
from copy import copy

from .nearest import did_you_mean, nearest

# Top-level keys that PaddleDetection's trainer and commands read and that few configs hold.
OPTIONAL_KEYS = """
    amp amp_level custom_black_list custom_white_list cycle_epoch ema_black_list ema_decay ema_decay_type
    ema_filter_no_grad export find_unused_parameters fuse_normalize init_loss_scaling map_type master_grad
    metric norm_type num_classes pretrain_strict pretrain_student_weights pretrain_teacher_weights
    pretrain_weights print_flops print_params progress_bar pruner save_dir slim ssod_method to_static trt
    use_ema use_fused_allreduce_gradients use_gpu use_mlu use_npu use_shared_memory use_vdl use_wandb use_xpu
    wandb weights worker_num exclude_nms exclude_post_process benchmark lr_reference snapshot_epoch log_iter
    width_mult depth_mult epoch architecture demo_data data_check freeze freeze_norm recompute class_weight
    early_stop_epochs test_time_augmentation
    report keep_checkpoints nan_check nan_policy nan_reload_limit nan_skip_limit
""".split()
# Keys whose number may be left to the trainer, as 'auto'.
AUTOMATIC = ("epoch", "snapshot_epoch")
# Keys that PaddleDetection counts with.
WHOLE_NUMBERS = ("epoch", "snapshot_epoch", "log_iter", "worker_num", "num_classes")
NUMBERS = ("depth_mult", "width_mult", "ema_decay")
METRICS = """COCO VOC SNIPERCOCO RBOX WiderFace KeyPointTopDownCOCOEval KeyPointTopDownMPIIEval
    KeyPointTopDownCOCOWholeBadyHandEval Pose3DEval MOT MCMOT KITTI ReID MOTDet CULaneMetric""".split()
# Where a reader lists its operators.
TRANSFORMS = ("sample_transforms", "batch_transforms")
# Two neighbouring letters swapped in a word of five are at 0.8.
TYPO = 0.8
# The same for names whose lengths differ by more than a letter.
LONG_TYPO = 0.85
# Options of readers that their classes take as **kwargs.
READER_OPTIONS = ("inputs_def", "mixup_epoch", "cutmix_epoch")
INPUTS = ("image_shape", "num_max_boxes")
PARTS = ("backbone", "neck", "yolo_head", "head")


def check_overrides(overrides, config, place="-o "):
    """Refuses a top-level key of ``-o`` that nobody knows and that looks like one that somebody does.

    Args:
        overrides (dict): what ``-o`` says.
        config (dict): what the files say, registered modules included.
        place (str): where the overrides stand, for messages.

    Raises:
        ValueError: names the key and the nearest known one.
    """
    known = {*map(str, config), *OPTIONAL_KEYS}
    for key, value in overrides.items():
        if isinstance(value, dict) and hasattr(config.get(key), "__dict__"):
            tag = type(config[key]).__name__
            raise ValueError(
                f"-o {key}: the config gives it whole, as !{tag}; write -o {key}='!{tag} {{...}}'"
            )
        close = None if str(key) in known else nearest(key, known, TYPO)
        if close:
            raise ValueError(f"{place}{key}: the config has no such key; did you mean '{close}'?")


def _check_file_keys(config, modules, path):
    """The same for files, but only where nothing else can be meant: configs hold keys of many tools."""
    for key, value in config.items():
        key = str(key)
        if key in modules or key in OPTIONAL_KEYS:
            continue
        if key in PARTS and isinstance(value, (str, dict)):
            raise ValueError(
                f"{path}: {key}: no command knows this key here; it belongs into {config['architecture']}"
            )
        word = key.lower()
        alike = [name for name in OPTIONAL_KEYS if abs(len(name) - len(word)) <= 1]
        close = nearest(word, alike, TYPO) or nearest(word, OPTIONAL_KEYS, LONG_TYPO)
        if key == "epochs" and value == config.get("epoch"):
            continue  # as PaddleDetection's DenseTeacher has it: epochs: &epochs 24, epoch: *epochs
        if isinstance(value, dict):
            close = next((name for name in modules if name.lower() == key.lower()), close)
        if close:
            raise ValueError(f"{path}: {key}: no command knows this key; did you mean '{close}'?")


def _check_unregistered(section, config, modules, path):
    """Refuses a section of no module that has nearly the name, and options, of one.

    The others nothing reads; PaddleDetection's own configs have some, of modules that are gone, and one that
    says what the module's section says, too.
    """
    options = config[section]
    fitting = [name for name, schema in modules.items() if schema.schema.keys() >= options.keys()]
    close = nearest(section, fitting, TYPO)
    right = config.get(close)
    if close and not (options and isinstance(right, dict) and options.items() <= right.items()):
        raise ValueError(
            f"{path}: section '{section}' belongs to no registered module; did you mean '{close}'?"
        )


def check_names(config, modules, path):
    """Refuses a config that names what does not exist or gives a value nobody can use.

    Args:
        config (dict): merged.
        modules (dict): PaddleDetection's registered modules, name to schema.
        path (str): the config's file, for messages.

    Raises:
        ValueError: names the section, the wrong name or value and the nearest right one.
    """
    architecture = config.get("architecture")
    if architecture is None:
        raise ValueError(f"{path}: 'architecture' is missing; name one, such as YOLODetector")
    if str(architecture) not in modules:
        raise ValueError(
            f"{path}: architecture '{architecture}' is not registered{did_you_mean(architecture, modules)}"
        )
    for key in WHOLE_NUMBERS:
        if key in AUTOMATIC and config.get(key) == "auto":
            continue
        if key in config and type(config[key]) is not int:
            raise ValueError(f"{path}: {key} is {config[key]!r}; give a whole number")
    for key in NUMBERS:
        if key in config and (isinstance(config[key], bool) or not isinstance(config[key], (int, float))):
            raise ValueError(f"{path}: {key} is {config[key]!r}; give a number")
    if config.get("metric", "COCO") not in METRICS:
        raise ValueError(
            f"{path}: metric '{config['metric']}' does not exist{did_you_mean(config['metric'], METRICS)}"
        )
    _check_file_keys(config, modules, path)
    _check_schedule(config, path)
    for section, values in config.items():
        schema = modules.get(section)
        if schema is None:
            if isinstance(values, dict) and str(section)[:1].isupper():
                _check_unregistered(section, config, modules, path)
            continue
        if isinstance(values, dict):
            _check_section(section, values, schema, {*modules, *config}, modules, path)
            for stage in TRANSFORMS:
                _check_transforms(f"{path}: {section}.{stage}", values.get(stage))
            _check_inputs(f"{path}: {section}.inputs_def", values.get("inputs_def"))
        elif values is None or isinstance(values, (str, int, float, list)):
            found = "is empty" if values is None else f"is {values!r}"
            raise ValueError(f"{path}: section '{section}' {found}; give it options, or leave it out")


def _check_transforms(place, operators):
    """A reader's operators exist, and take the options that they are given."""
    from ppdet.data import transform

    known = [name for name in dir(transform) if inspect.isclass(getattr(transform, name))]
    for operator in operators or []:
        if not isinstance(operator, dict):
            raise ValueError(f"{place}: '{operator}' is no operator with its options; write - Decode: {{}}")
        for name, options in operator.items():
            if name not in known:
                raise ValueError(f"{place}: no operator is called '{name}'{did_you_mean(name, known)}")
            taken = inspect.signature(getattr(transform, name)).parameters
            if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
                continue
            for option in options or {}:
                if option not in taken:
                    raise ValueError(f"{place}: {name} has no option '{option}'{did_you_mean(option, taken)}")


def _check_inputs(place, inputs):
    """A reader's `inputs_def`: a mapping, and no key of it nearly one that is read."""
    if inputs is not None and not isinstance(inputs, dict):
        raise ValueError(f"{place} is {inputs!r}; give a mapping, such as image_shape: [3, 640, 640]")
    for key in inputs or {}:
        close = "" if key in INPUTS else did_you_mean(key, INPUTS)
        if close:
            raise ValueError(f"{place} has no option '{key}'{close}")


def _check_section(section, values, schema, names, modules, path):
    is_architecture = schema.category == "architecture"
    taken = _options(section, values, schema, modules, path)
    for key, value in values.items():
        if key not in taken.schema:
            known = {*taken.schema, *(READER_OPTIONS if section.endswith("Reader") else ())}
            close = None if key in known else nearest(key, known, TYPO)
            if close or taken.strict:
                end = f"; did you mean '{close}'?" if close else did_you_mean(key, known)
                raise ValueError(f"{path}: {section} has no option '{key}'{end}")
        if key in schema.inject or (is_architecture and key in PARTS):
            name = value.get("name") if isinstance(value, dict) else value
            if isinstance(name, str) and name not in names:
                raise ValueError(
                    f"{path}: {section}.{key}: no module is called '{name}'{did_you_mean(name, modules)}"
                )
            if isinstance(value, dict) and name in modules:
                options = {k: v for k, v in value.items() if k != "name"}
                _check_section(name, options, modules[name], names, modules, path)


def _options(section, values, schema, modules, path):
    """The schema of what a section's options go to: of a dataset, the class that its 'name' names."""
    name = values.get("name")
    if not section.endswith("Dataset") or name is None:
        return schema
    if name not in modules:
        raise ValueError(f"{path}: {section}: no dataset is called '{name}'{did_you_mean(name, modules)}")
    taken = copy(modules[name])
    taken.schema = {**taken.schema, "name": None}
    return taken


def _check_regularizer(regularizer, path):
    """An L1 or L2 with its factor, or none."""
    place = f"{path}: OptimizerBuilder.regularizer"
    if not isinstance(regularizer, dict):
        return
    for key in regularizer:
        if key not in ("type", "factor"):
            raise ValueError(f"{place} has no option '{key}'{did_you_mean(key, ('type', 'factor'))}")
    if regularizer.get("type") not in ("L1", "L2"):
        raise ValueError(f"{place}: '{regularizer.get('type')}' does not exist; choose L1 or L2")


def _check_schedule(config, path):
    """The optimiser and the schedulers exist, take their options, and the rate is a number."""
    from paddle import optimizer as paddle_optimizers
    from ppdet.optimizer import optimizer as ppdet_optimizers

    rate = config.get("LearningRate") or {}
    base_lr, schedulers = rate.get("base_lr", 0.0), rate.get("schedulers") or []
    if base_lr != "auto" and not isinstance(base_lr, (int, float)):
        raise ValueError(f"{path}: LearningRate.base_lr is {base_lr!r}; give a number, or auto")
    if schedulers != "auto" and not isinstance(schedulers, list):
        raise ValueError(f"{path}: LearningRate.schedulers is {schedulers!r}; give a list, or auto")
    for scheduler in [] if schedulers == "auto" else schedulers:
        if isinstance(scheduler, dict):
            options = {key: value for key, value in scheduler.items() if key != "name"}
            _check_call(f"{path}: LearningRate.schedulers", scheduler.get("name"), options, ppdet_optimizers)
    builder = config.get("OptimizerBuilder") or {}
    _check_regularizer(builder.get("regularizer"), path)
    optimiser = builder.get("optimizer")
    if isinstance(optimiser, dict) and optimiser.get("type") != "AdamWDL":
        options = {k: v for k, v in optimiser.items() if k not in ("type", "param_groups")}
        _check_call(f"{path}: OptimizerBuilder.optimizer", optimiser.get("type"), options, paddle_optimizers)


def _check_call(place, name, options, module):
    """A class of that name is in the module, and takes these options."""
    known = [n for n in dir(module) if inspect.isclass(getattr(module, n)) and n[:1].isupper()]
    if name not in known:
        raise ValueError(f"{place}: '{name}' does not exist{did_you_mean(name, known)}")
    taken = inspect.signature(getattr(module, name)).parameters
    for option in options:
        if option not in taken:
            raise ValueError(
                f"{place}: {name} takes no '{option}'{did_you_mean(option, taken)}; a _BASE_ file may give it"
            )
