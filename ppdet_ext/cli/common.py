"""Arguments and steps that verbs share: those with a config, and those with an engine."""

import argparse

# The model that `ppdet-ext demo` trains, for the examples of the verbs.
TRAINED = (
    "-c configs/demo/ppyoloe_nano_demo.yml -o weights=output/demo/training/ppyoloe_nano_demo/model_final"
)
# Arguments that are no keys of the config.
OWN_ARGUMENTS = ("config", "opt", "slim_config", "json")


def boolean(text):
    """Reads true/false, yes/no, 1/0 (PaddleDetection's own flags take any text for true)."""
    value = text.strip().lower()
    if value in ("true", "yes", "1", "on"):
        return True
    if value in ("false", "no", "0", "off"):
        return False
    raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")


def add_config_arguments(parser, required=True):
    """-c, -o and --slim_config, as PaddleDetection's commands have them."""
    parser.add_argument("-c", "--config", required=required, help="config file (YAML)")
    parser.add_argument("-o", "--opt", nargs="*", metavar="KEY=VALUE", help="override keys of the config")
    parser.add_argument("--slim_config", help="config of a compression method")


def add_engine_arguments(parser):
    """--model, --backend, --device and --threads, of a verb that runs an exported folder in an engine."""
    add = parser.add_argument
    add("--model", required=True, metavar="FOLDER", help="the exported folder")
    add("--backend", default="onnxruntime", metavar="NAME", help="the engine")
    add_device_arguments(parser)


def add_device_arguments(parser, threads="the engine's choice"):
    """--device and --threads of an engine; ``threads`` (str): what their number is without the flag."""
    parser.add_argument("--device", metavar="NAME", help="cpu or gpu (default: the engine's own)")
    parser.add_argument("--threads", type=int, metavar="N", help=f"CPU threads (default: {threads})")


def add_tta_arguments(parser):
    """--tta and --tta-merge, for :func:`tta_of`."""
    parser.add_argument(
        "--tta",
        metavar="VIEWS",
        help="test-time augmentation: the network sees each image again, mirrored ('flip'), at other sizes "
        "('0.75,1.25' of its input size) or both ('flip,0.75,1.25'), once a view",
    )
    parser.add_argument(
        "--tta-merge",
        metavar="HOW",
        help="nms: the boxes of all views into one NMS (default); wbf: weighted box fusion",
    )


def tta_of(args):
    """The TTA of --tta and --tta-merge, None without them; ValueError where they name no views."""
    from ppdet_ext.runtime.tta import TTA

    if args.tta is None:
        if args.tta_merge is not None:
            raise ValueError("--tta-merge: merges views, which --tta names: --tta flip,0.75,1.25")
        return None
    views = TTA.of(args.tta, "--tta")
    return TTA.of(
        {"scales": views.scales, "flip": views.flip, "merge": args.tta_merge or views.merge}, "--tta-merge"
    )


def add_tta_to(cfg, args):
    """Puts what --tta and --tta-merge say into a config, in place of what stands there."""
    tta = tta_of(args)
    if tta is not None:
        cfg["test_time_augmentation"] = tta


def load_trainer(args):
    """The detector of a command's -c, -o and --slim_config, with its weights.

    For commands whose other arguments are not PaddleDetection's and must not become keys of the config.

    Returns:
        Trainer: in test mode; `model` is the detector, `cfg` the config.
    """
    slim_config = getattr(args, "slim_config", None)
    options = argparse.Namespace(config=args.config, opt=args.opt, slim_config=slim_config)
    cfg = prepare_config(options, "test")
    from ppdet_ext.training.trainer import Trainer

    trainer = Trainer(cfg, mode="test")
    trainer.load_weights(cfg.weights)
    return trainer


def prepare_config(args, mode):
    """Loads the config with the command's flags merged in, and chooses the device.

    Args:
        args (argparse.Namespace): of a verb with :func:`add_config_arguments`.
        mode (str): train, eval or test.

    Returns:
        the config, ready for a trainer.
    """
    from ppdet_ext.config import load_config, parse_overrides

    overrides = parse_overrides(args.opt)
    cfg = load_config(args.config, overrides)

    import paddle
    from ppdet.utils import check

    from ppdet_ext.nn.safe_pickle import guard_paddle

    guard_paddle()
    for key, value in vars(args).items():
        if key not in OWN_ARGUMENTS and not (value is None and key in cfg):
            cfg[key] = value
    for device in ("gpu", "npu", "xpu", "mlu"):
        cfg.setdefault(f"use_{device}", False)
    if cfg.use_gpu and not paddle.is_compiled_with_cuda():
        if "use_gpu" in overrides:
            raise ValueError(
                "use_gpu=true, but this PaddlePaddle is built for the CPU; install "
                "paddlepaddle-gpu (scripts/setup.sh --gpu) or drop the override"
            )
        print("this PaddlePaddle is built for the CPU: running there (use_gpu: false)")
        cfg.use_gpu = False
    device = next((d for d in ("gpu", "npu", "xpu", "mlu") if cfg[f"use_{d}"]), "cpu")
    paddle.set_device(device)
    if args.slim_config:
        from ppdet_ext.quantization.slim import build_slim

        cfg = build_slim(cfg, args.slim_config, overrides, mode, getattr(args, "resume", None))
    check.check_config(cfg)
    return cfg
