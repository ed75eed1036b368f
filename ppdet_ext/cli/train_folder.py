"""`ppdet-ext train --data FOLDER`: from a folder of annotated pictures to the config that is trained."""

import os
import re
import shlex
from pathlib import Path

MODEL = "ppyoloe_plus_s"
# On the CPU a step of more images takes long and learns no more.
CPU_BATCH = 8
# A training set smaller than a few batches gets smaller ones.
LEAST_STEPS = 4
# More processes than this read faster than any of these networks trains.
CPU_WORKERS, GPU_WORKERS = 4, 8
# Options that only --data takes, by their place in the namespace.
OPTIONS = {
    "model": "--model",
    "kind": "--from",
    "labels": "--labels",
    "epochs": "--epochs",
    "batch": "--batch",
    "size": "--size",
    "pretrain": "--weights",
    "write_config": "--write-config",
    "force": "--force",
}


def add_arguments(parser):
    group = parser.add_argument_group(
        "without a config",
        "a folder in COCO's, Pascal VOC's or YOLO's layout; the config is written, and trained",
    )
    group.add_argument("--data", metavar="FOLDER", help="root of the dataset; it stays as it is")
    group.add_argument(
        "--model",
        metavar="NAME",
        help=f"a file configs/*/NAME_coco.yml: yolov6_n, efficientdet_d0, ... (default: {MODEL})",
    )
    group.add_argument("--epochs", type=int, metavar="N", help="default: by the number of images")
    group.add_argument(
        "--batch",
        type=int,
        metavar="N",
        help="images a step of each process (default: the model's, 8 on a CPU)",
    )
    group.add_argument("--size", type=int, metavar="PIXELS", help="side of the input (default: the model's)")
    group.add_argument(
        "--weights",
        dest="pretrain",
        metavar="FILE",
        help="checkpoint or URL to start from; none: from scratch (default: the model's)",
    )
    group.add_argument(
        "--from", dest="kind", metavar="LAYOUT", help="coco, voc or yolo (default: recognised)"
    )
    group.add_argument(
        "--labels", metavar="FILE", help="text file with a class a line, if the dataset names none"
    )
    group.add_argument(
        "--write-config", metavar="FILE.yml", help="the config (default: output/MODEL_DATA/MODEL_DATA.yml)"
    )
    group.add_argument("--force", action="store_true", default=None, help="replace a config that is there")


def take_options(args):
    """Takes the options of this file out of a namespace, where they would become keys of the config.

    Returns:
        dict | None: their values and 'data'; None where a config is trained.

    Raises:
        ValueError: --data and -c together, or neither; an option of --data without it.
    """
    options = {name: vars(args).pop(name) for name in ("data", *OPTIONS)}
    if options["data"] is not None:
        if args.config is not None:
            raise ValueError("--data writes a config and -c gives one: leave one of them out")
        return options
    if args.config is None:
        raise ValueError("nothing to train: give --data FOLDER, or -c FILE")
    given = [flag for name, flag in OPTIONS.items() if options[name] is not None]
    if given:
        raise ValueError(
            f"{given[0]} belongs to --data; with -c, edit {args.config} or override a key with -o"
        )
    return None


def write_config(args, options):
    """Recognises and converts the dataset and writes the config.

    Args:
        args (argparse.Namespace): of the command.
        options (dict): of :func:`take_options`.

    Returns:
        str: the config's file.

    Raises:
        ValueError: the folder, a name or a number can't be used; or another config is there.
    """
    from ppdet_ext.config import parse_overrides
    from ppdet_ext.data.coco_file import write_json
    from ppdet_ext.generated_config import Plan, config_text, pretrain_of
    from ppdet_ext.model_configs import configs_folder, find_model
    from ppdet_ext.runtime.records import write_whole

    for name in ("epochs", "batch", "size"):
        if options[name] is not None and options[name] < 1:
            raise ValueError(f"{OPTIONS[name]} {options[name]}: give a whole number from 1 up")
    configs = configs_folder()
    model = find_model(options["model"] or MODEL, configs)
    data = os.path.normpath(options["data"])
    save_dir = str(parse_overrides(args.opt).get("save_dir", "output"))
    file = options["write_config"] or _default_file(save_dir, model.name, data)
    if Path(file).suffix not in (".yml", ".yaml"):
        raise ValueError(f"--write-config {file}: a config file ends in .yml or .yaml")
    folder = Path(save_dir, Path(file).stem, "annotations")
    train, val, converted = _read(data, options, folder)
    _check_weights(pretrain_of(model, options["pretrain"])[0])
    gpu = args.processes == 1 and _has_gpu()
    images = len(train.dataset["images"])
    plan = Plan(
        file=file,
        command=_command(args, options),
        processes=args.processes,
        train=(train.anno, train.image_dir),
        val=(val.anno, val.image_dir),
        classes=[category["name"] for category in train.dataset["categories"]],
        save_dir=save_dir,
        evaluate=args.eval,
        epochs=options["epochs"],
        batch=options["batch"] or _batch(model, images, gpu, args.processes),
        size=options["size"],
        pretrain=options["pretrain"],
        gpu=gpu,
        workers=_workers(gpu, args.processes),
    )
    text = config_text(model, plan, configs)
    _check_free(file, text, options["force"])
    for anno, dataset in converted.items():
        write_json(anno, dataset)
    write_whole(file, text)
    print(f"config: {file}; edit it, and train it with 'ppdet-ext train -c {shlex.quote(file)}'", flush=True)
    return file


def _default_file(save_dir, model, data):
    stem = re.sub(r"[^\w-]+", "_", os.path.basename(os.path.abspath(data))).strip("_") or "data"
    return Path(save_dir, f"{model}_{stem}", f"{model}_{stem}.yml").as_posix()


def _read(data, options, folder):
    """(part to train, part to evaluate, what is to be written: dataset by file); says what was found."""
    from ppdet_ext.data.dataset_folder import HELD_OUT, KINDS, hold_out, read_folder
    from ppdet_ext.data.labels import read_labels

    names = read_labels(options["labels"]) if options["labels"] else None
    found = read_folder(data, options["kind"] or "auto", names)
    train, val, said = found.train, found.val, ""
    if val is None:
        train, val = hold_out(train)
        said = f" (no validation part: {100 * HELD_OUT:g} % are held out, look-alikes on one side)"
    classes = len(train.dataset["categories"])
    print(
        f"dataset: a {KINDS[found.kind]} folder, {classes} class{'es' * (classes != 1)}, "
        f"{len(train.dataset['images'])} + {len(val.dataset['images'])} images{said}"
    )
    for note in found.notes:
        print(f"  {note}")
    parts, converted = [], {}
    for name, part in (("train", train), ("val", val)):
        anno = part.anno or (folder / f"{name}.json").as_posix()
        if part.anno is None:
            converted[anno] = part.dataset
        parts.append(part._replace(anno=anno, image_dir=Path(part.image_dir).as_posix()))
    return (*parts, converted)


def _has_gpu():
    import paddle

    return paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0


def _batch(model, images, gpu, processes):
    usual = model.readers["TrainReader"]["batch_size"]
    return max(min(usual if gpu else min(usual, CPU_BATCH), images // (LEAST_STEPS * processes)), 1)


def _workers(gpu, processes):
    """Processes that read pictures, for the cores that the training leaves."""
    free = (os.cpu_count() or 1) // processes - 1
    return max(min(free, GPU_WORKERS if gpu else CPU_WORKERS), 0)


def _command(args, options):
    """The command again, for the config's comment."""
    words = ["ppdet-ext", "train", "--data", options["data"], "--model", options["model"] or MODEL]
    for name, flag in OPTIONS.items():
        if name not in ("model", "force") and options[name] is not None:
            words += [flag, str(options[name])]
    if args.processes > 1:
        words += ["--processes", str(args.processes)]
    return " ".join(map(shlex.quote, words))


def _check_free(file, text, force):
    """A config that is there is only replaced by the same one, or where it is told so."""
    if force or not os.path.lexists(file):
        return
    try:
        if Path(file).read_text(encoding="utf-8") == text:
            return
    except UnicodeDecodeError:
        pass
    raise ValueError(
        f"{file}: is already there and says something else (edited, or of other options); train it with "
        f"'ppdet-ext train -c {shlex.quote(file)}', write another with --write-config FILE.yml, or replace "
        "it with --force"
    )


def _check_weights(weights):
    """The checkpoint is there, and one from a URL is downloaded before anything is written."""
    from ppdet.utils.checkpoint import get_weights_path, is_url

    if weights is None:
        return
    if not is_url(weights):
        if not any(os.path.isfile(path) for path in (weights, f"{weights}.pdparams")):
            raise ValueError(f"--weights {weights}: no such checkpoint; give a .pdparams, a URL, or none")
        return
    try:
        get_weights_path(weights)
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ValueError(
            f"{weights}: can't be downloaded ({reason}); give --weights FILE with a checkpoint, or --weights "
            "none to train from scratch"
        ) from None
