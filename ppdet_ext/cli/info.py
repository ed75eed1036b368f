"""`ppdet-ext info`: what a network consists of and costs, or what an exported folder holds."""

import argparse
from pathlib import Path

from .common import prepare_config
from .json_output import add_json_argument, give_json

EXAMPLE = """
ppdet-ext info -c configs/ppyoloe/ppyoloe_s_coco.yml --picture output/ppyoloe_s.png
ppdet-ext info -c configs/demo/ppyoloe_bifpn_nano_demo.yml --size 320
ppdet-ext info output/demo/exported
"""
OF_A_CONFIG = ("opt", "size", "weights", "picture")


def add_arguments(parser):
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("folder", nargs="?", metavar="FOLDER", help="an exported folder")
    source.add_argument("-c", "--config", metavar="CFG", help="a config (YAML)")
    parser.add_argument("-o", "--opt", nargs="*", metavar="KEY=VALUE", help="with -c: override its keys")
    parser.add_argument(
        "--size", type=int, metavar="PIXELS", help="with -c: side of a square image (default: the config's)"
    )
    parser.add_argument(
        "--weights", metavar="FILE", help="with -c: a checkpoint, for its fusion weights (default: none)"
    )
    parser.add_argument(
        "--picture",
        metavar="FILE",
        help="with -c: draw the network, a PNG; fusion weights go beside it, to FILE_fusion.png",
    )
    add_json_argument(parser, "all figures")


def run(args):
    if args.folder is not None:
        return _folder(args)
    from ppdet_ext.versions import is_importable

    if args.picture and Path(args.picture).suffix.lower() != ".png":
        raise ValueError(f"--picture {args.picture}: is written as PNG; give a name that ends with .png")
    if args.picture and not is_importable("matplotlib"):
        raise ValueError("--picture needs matplotlib, which is not installed; pip install matplotlib")
    if args.size is not None and args.size < 1:
        raise ValueError(f"--size is {args.size}; give a side in pixels, such as 640")
    cfg = prepare_config(argparse.Namespace(config=args.config, opt=args.opt, slim_config=None), "test")
    from ppdet_ext.evaluation.network_profile import profile_network
    from ppdet_ext.evaluation.network_table import fusion_table, network_table
    from ppdet_ext.export.graph import RawGraph

    model, weights = _model(cfg, args)
    fusion_of = getattr(getattr(model, "neck", None), "fusion_weights", None)
    fusion = fusion_of() if fusion_of else None
    profile = profile_network(RawGraph(model), args.size or _size(cfg))
    print(network_table(profile, cfg.filename))
    if fusion:
        of = f"of {weights}" if weights else "as at the start of a training: no --weights"
        print(f"\nfusion weights, {of}\n\n{fusion_table(fusion)}")
    pictures = _draw(args.picture, cfg.filename, profile, fusion) if args.picture else []
    if pictures:
        print("\n" + "\n".join(map(str, pictures)))
    document = {"config": args.config, "weights": weights, **profile, "fusion_weights": fusion}
    give_json(args, {**document, "pictures": pictures})
    return 0


def _folder(args):
    from ppdet_ext.evaluation.exported_folder import describe_folder, folder_table

    given = [name for name in OF_A_CONFIG if getattr(args, name) is not None]
    if given:
        flag = "-o" if given[0] == "opt" else f"--{given[0]}"
        raise ValueError(f"{flag} is for a config, and {args.folder} is an exported folder; give -c CONFIG")
    account = describe_folder(args.folder)
    print(folder_table(account))
    give_json(args, account)
    return 0


def _model(cfg, args):
    """The detector of a config, and the checkpoint that it has the weights of, None for none."""
    from ppdet.core.workspace import create

    from ppdet_ext.config import parse_overrides
    from ppdet_ext.training.checkpoints.loading import load_pretrained

    model = create(cfg.architecture)
    weights = args.weights or parse_overrides(args.opt).get("weights")
    if weights:
        load_pretrained(model, weights)
    return model, weights


def _size(cfg):
    """The side of the config's images at inference."""
    from ppdet_ext.config import input_size

    height, width = input_size(cfg)
    if height != width or height < 1:
        raise ValueError(f"{cfg.filename}: images of {height}x{width}; give the side of a square, --size")
    return height


def _draw(file, name, profile, fusion):
    """The pictures of a network and, where it has any, of its fusion weights; the files."""
    from ppdet_ext.visualize import draw_fusion_weights, draw_topology

    file = Path(file)
    draw_topology(profile, file, name)
    if not fusion:
        return [file]
    companion = file.with_name(f"{file.stem}_fusion{file.suffix}")
    draw_fusion_weights(fusion, companion, f"Fusion weights of {name}")
    return [file, companion]
