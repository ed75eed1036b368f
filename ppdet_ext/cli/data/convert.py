"""`ppdet-ext data convert`: annotations of other formats as COCO instances."""

from ppdet_ext.data.convert import FORMATS

from ..json_output import add_json_argument, give_json

EXAMPLE = """
ppdet-ext data convert dataset/bccd --split train --out dataset/bccd/annotations/train.json
ppdet-ext data convert --from yolo dataset/coco128 --out dataset/coco128/annotations/all.json
ppdet-ext data convert --from labelme photos --labels labels.txt --out annotations.json
"""


def add_arguments(parser):
    parser.add_argument("source", metavar="FOLDER", help="root of the dataset; it stays as it is")
    parser.add_argument(
        "--from", dest="kind", default="auto", choices=["auto", *FORMATS], help="format of the annotations"
    )
    parser.add_argument(
        "--out", "--output", required=True, metavar="FILE.json", help="the COCO file to write"
    )
    parser.add_argument(
        "--split", metavar="NAME", help="only this list of images, or folder of a part; all, if left out"
    )
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="text file with a class a line, which get the ids 1, 2, ...; left out: the dataset's own "
        "list, or the classes found, sorted",
    )
    parser.add_argument(
        "--unlabelled",
        choices=["negative", "skip"],
        help="YOLO and LabelMe: what a picture without label file is: one without objects (the default), "
        "or left out",
    )
    add_json_argument(parser, "what was written and left out")
    parser.add_argument("--force", action="store_true", help="replace FILE.json if it is there")


def run(args):
    from ppdet_ext.data.coco_file import check_free, write_json
    from ppdet_ext.data.convert import convert_dataset
    from ppdet_ext.data.labels import read_labels

    from .printing import class_table, counts, dataset_keys, print_capped

    check_free([args.out], args.force)
    names = read_labels(args.labels) if args.labels else None
    (dataset, image_dir, dropped, notes), kind = convert_dataset(
        args.source, args.kind, split=args.split, names=names, unlabelled=args.unlabelled
    )
    write_json(args.out, dataset)
    print_capped(dropped, "; left out")
    for note in notes:
        print(note)
    for line in class_table({"all": dataset}):
        print(line)
    print(f"{args.out}: written, from {FORMATS[kind][1]}; images are named from {image_dir} on")
    for line in dataset_keys(args.source, image_dir, args.out, len(dataset["categories"])):
        print(f"  {line}")
    give_json(
        args,
        {
            "file": args.out,
            "format": kind,
            "images_folder": image_dir,
            **counts(dataset),
            "left_out": dropped,
            "notes": notes,
        },
    )
    return 0
