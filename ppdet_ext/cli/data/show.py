"""`ppdet-ext data show`: a dataset at a glance."""

import math
from pathlib import Path

from ..json_output import add_json_argument, give_json

EXAMPLE = """
ppdet-ext data show --anno dataset/demo/annotations/val.json --images dataset/demo/images/val
ppdet-ext data show -c configs/demo/ppyoloe_nano_demo.yml
"""


def add_arguments(parser):
    parser.add_argument("--anno", metavar="FILE.json", help="COCO file")
    parser.add_argument(
        "--images", metavar="FOLDER", help="the folder that the names of the images count from"
    )
    parser.add_argument(
        "-c",
        "--config",
        metavar="CFG",
        help="instead of these: what a training gets to see, its augmentations included",
    )
    parser.add_argument("-o", "--opt", nargs="*", metavar="KEY=VALUE", help="with -c: override keys")
    parser.add_argument(
        "--out", "--output", default="output/data_show", metavar="FOLDER", help="where the pictures go"
    )
    parser.add_argument("--count", type=int, default=16, metavar="N", help="pictures on the sheet")
    parser.add_argument("--class", dest="name", metavar="NAME", help="only pictures with this class")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, other pictures")
    parser.add_argument(
        "--input-size", type=int, default=640, metavar="PIXELS", help="side of the detector's input"
    )
    add_json_argument(parser, "the figures and where the pictures are")


def run(args):
    for name in ("count", "input_size"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(args, name)}: give a number from 1 up")
    if args.config:
        if args.anno or args.images or args.name:
            raise ValueError("-c takes its images from the config; drop --anno, --images and --class")
        return _show_training(args)
    if not (args.anno and args.images):
        raise ValueError("give --anno FILE.json and --images FOLDER, or -c CONFIG")
    return _show_dataset(args)


def _show_training(args):
    """A sheet of samples as the config's TrainReader makes them."""
    from ppdet_ext.config import load_config
    from ppdet_ext.data.preview import augmented_pictures
    from ppdet_ext.visualize import write_image
    from ppdet_ext.visualize.annotation_sheet import annotation_sheet

    cfg = load_config(args.config, args.opt)
    pictures = list(augmented_pictures(cfg, args.count, seed=args.seed))
    sheet = Path(args.out) / "training.jpg"
    write_image(sheet, annotation_sheet(pictures, columns=math.ceil(math.sqrt(len(pictures)))))
    print(f"{sheet}: {len(pictures)} samples of the first epoch")
    give_json(args, {"sheet": sheet, "samples": len(pictures)})
    return 0


def _show_dataset(args):
    """A sheet of pictures as they are, plots and figures."""
    from ppdet_ext.data.coco_file import read_coco, write_json
    from ppdet_ext.data.sample import annotated_pictures, choose_images, label_of
    from ppdet_ext.data.statistics import box_sides, dataset_statistics
    from ppdet_ext.visualize import write_image
    from ppdet_ext.visualize.annotation_sheet import annotation_sheet
    from ppdet_ext.visualize.dataset_plot import plot_dataset

    dataset = read_coco(args.anno)
    only = None if args.name is None else label_of(dataset, args.name, args.anno)
    images = choose_images(dataset, args.count, only, args.seed)
    folder = Path(args.out)
    sheet, plot, numbers = (
        folder / name for name in ("contact_sheet.jpg", "statistics.png", "statistics.json")
    )
    pictures = annotated_pictures(dataset, images, args.images)
    write_image(sheet, annotation_sheet(pictures, columns=math.ceil(math.sqrt(len(images))), only=only))
    print(f"{sheet}: {len(images)} of {len(dataset['images'])} pictures")
    statistics = dataset_statistics(dataset, args.input_size)
    write_json(numbers, statistics)
    plot_dataset(statistics, box_sides(dataset, args.input_size), plot, Path(args.anno).name)
    sizes = statistics["box_sizes_at_input"]
    print(
        f"{plot}, {numbers.name}: {statistics['images']} images, {statistics['boxes']} boxes of "
        f"{len(statistics['classes'])} classes; at {args.input_size} pixels {sizes['small']} small, "
        f"{sizes['medium']} medium, {sizes['large']} large"
    )
    give_json(args, {"sheet": sheet, "plot": plot, **statistics})
    return 0
