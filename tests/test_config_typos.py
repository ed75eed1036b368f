"""Typos in a config are answered with the nearest right name; what other configs really hold passes."""

import ppdet_ext  # noqa: F401  before paddle

# isort: split
import pytest

from ppdet_ext.config import load_config, merge_file
from ppdet_ext.nearest import did_you_mean
from tests.test_config import DEMO, config_file, refused


@pytest.mark.parametrize(
    "text, words",
    [
        ("architecture: YOLODetektor", "'YOLODetektor' is not registered; did you mean 'YOLODetector'?"),
        ("architecture: ~", "'architecture' is missing"),
        ("ETHead: {reg_mxa: 3}", "ETHead has no option 'reg_mxa'; did you mean 'reg_max'?"),
        (
            "ETHead: {assigner: {name: TALLabelAsigner}}",
            "ETHead.assigner: no module is called 'TALLabelAsigner'; did you mean 'TALLabelAssigner'?",
        ),
        (
            "ETHead: {assigner: {name: TALLabelAssigner, topkk: 3}}",
            "TALLabelAssigner has no option 'topkk'; did you mean 'topk'?",
        ),
        ("ETHead: {nms: MultiClasNMS}", "no module is called 'MultiClasNMS'; did you mean 'MultiClassNMS'?"),
        (
            "YOLODetector: {backbone: CSPRepResNt}",
            "YOLODetector.backbone: no module is called 'CSPRepResNt'; did you mean 'CSPRepResNet'?",
        ),
        ("YOLODetector: {neck: CSPRepPANN}", "YOLODetector.neck: no module is called"),
        ("TrainReader: {sample_transforms: [{Decod: {}}]}", "is called 'Decod'; did you mean 'Decode'?"),
        ("EvalReader: {sample_transforms: [{Resize: {target_sise: 3}}]}", "did you mean 'target_size'?"),
        ("TestReader: {sample_transforms: [Decode]}", "'Decode' is no operator with its options"),
        (
            "TrainReader: {batch_sizee: 3}",
            "TrainReader has no option 'batch_sizee'; did you mean 'batch_size'?",
        ),
        ("TrainReader: {mixup_epochh: 3}", "did you mean 'mixup_epoch'?"),
        ("TrainReader: {batch_transforms: [{PadBach: {}}]}", "is called 'PadBach'; did you mean 'PadBatch'?"),
        (
            "TrainDataset: {name: COCODataSett}",
            "no dataset is called 'COCODataSett'; did you mean 'COCODataSet'?",
        ),
        ("TrainDataset: {dataset_dirr: x}", "did you mean 'dataset_dir'?"),
        ("OptimizerBuilder: {regularizer: {type: L3}}", "'L3' does not exist; choose L1 or L2"),
        ("OptimizerBuilder: {regularizer: {typ: L2}}", "did you mean 'type'?"),
        ("backbone: CSPRepResNet", "backbone: no command knows this key here; it belongs into YOLODetector"),
        ("save_dirr: x", "did you mean 'save_dir'?"),
        ("wieghts: x", "did you mean 'weights'?"),
        ("data_chek: {}", "did you mean 'data_check'?"),
        ("epoch: ten", "epoch is 'ten'; give a whole number"),
        ("ETHead:", "section 'ETHead' is empty"),
        ("ETHead: 5", "section 'ETHead' is 5"),
        ("metrik: COCO", "metrik: no command knows this key; did you mean 'metric'?"),
        ("Metric: COCO", "did you mean 'metric'?"),
        ("pretrained_weights: x.pdparams", "did you mean 'pretrain_weights'?"),
        ("pretrain_wights: x.pdparams", "did you mean 'pretrain_weights'?"),
        ("num_class: 3", "did you mean 'num_classes'?"),
        ("log_iters: 20", "did you mean 'log_iter'?"),
        ("use_emma: true", "did you mean 'use_ema'?"),
        ("worker_nums: 4", "did you mean 'worker_num'?"),
        ("emadecay: 0.99", "did you mean 'ema_decay'?"),
        ("epochs: 3", "did you mean 'epoch'?"),
        (
            "TestReader: {inputs_def: {image_shap: [3, 64, 64]}}",
            "TestReader.inputs_def has no option 'image_shap'; did you mean 'image_shape'?",
        ),
        ("TestReader: {inputs_def: {img_shape: [3, 64, 64]}}", "did you mean 'image_shape'?"),
        ("TrainReader: {inputs_def: {num_max_box: 9}}", "did you mean 'num_max_boxes'?"),
        ("TestReader: {inputs_def: [3, 64, 64]}", "TestReader.inputs_def is [3, 64, 64]; give a mapping"),
        ("ETHaed: {}", "section 'ETHaed' belongs to no registered module; did you mean 'ETHead'?"),
        ("CSPRepPan: {act: relu}", "did you mean 'CSPRepPAN'?"),
    ],
)
def test_a_typo_is_answered_with_the_nearest(text, words, tmp_path):
    path = config_file(tmp_path, text + "\n")
    refused(path, path, words)


@pytest.mark.parametrize(
    "override, words",
    [
        ("ETHead.reg_mxa=3", "ETHead has no option 'reg_mxa'; did you mean 'reg_max'?"),
        ("ETHaed.reg_max=3", "-o ETHaed: the config has no such key; did you mean 'ETHead'?"),
        ("eopch=3", "-o eopch: the config has no such key; did you mean 'epoch'?"),
        ("ETHead.assigner.name=TALLabelAsigner", "did you mean 'TALLabelAssigner'?"),
        ("YOLODetector.backbone=CSPRepResNt", "did you mean 'CSPRepResNet'?"),
        ("architecture=YOLODetektor", "did you mean 'YOLODetector'?"),
        ("epoch", "write key=value"),
        ("=3", "write key=value"),
        ("epoch=[1", "not valid YAML"),
    ],
)
def test_a_wrong_override_is_answered_too(override, words):
    refused(DEMO, words, overrides=[override])


def test_what_configs_of_paddledetection_hold_passes(tmp_path):
    """Keys of its trackers, semi-supervised and slimmed models, and names that a file gives its numbers."""
    path = config_file(
        tmp_path,
        """
        epochs: &epochs 24
        epoch: *epochs
        cosine_epochs: &cosine_epochs 240
        eval_height: &eval_height 96
        eval_size: &eval_size [*eval_height, *eval_height]
        det_weights: https://example.org/detector.pdparams
        reid_weights: output/reid
        pretrain_student_weights: student.pdparams
        pretrain_teacher_weights: teacher.pdparams
        ssod_method: DenseTeacher
        ema_start_iters: 3000
        use_warmup: &use_warmup True
        mot_metric: true
        map_type: 11point
        slim_method: PTQ
        IouType: bbox
        free: {a: 1}
        use_focal_loss: true
        TestReader: {inputs_def: {image_shape: [3, *eval_height, *eval_height]}}
        TrainReader: {inputs_def: {num_max_boxes: 90, fields: [image]}}
        """,
    )
    config = load_config(path)
    assert (config.epochs, config.det_weights[:5]) == (24, "https")


def test_a_section_of_a_module_that_is_gone_passes(tmp_path):
    """Nothing reads it; its name is like one of ours, its options are not."""
    load_config(config_file(tmp_path, "PPETHead: {num_queries: 300}\nETHeadLoss: {giou_weight: 2.0}\n"))


def test_a_section_that_repeats_the_right_one_passes(tmp_path):
    """An older name of a module, which some files give beside the newer one."""
    both = "ETHead: {reg_max: 8}\nPETHead: {reg_max: %d}\n"
    load_config(config_file(tmp_path, both % 8))
    path = config_file(tmp_path, both % 9)
    refused(path, "section 'PETHead' belongs to no registered module; did you mean 'ETHead'?")


def test_a_slim_config_may_name_its_pruner(tmp_path):
    load_config(DEMO)
    path = tmp_path / "prune.yml"
    path.write_text(
        "slim: Pruner\nPruner: {criterion: l1_norm, pruned_params: [], pruned_ratios: []}\npruner: x\n"
    )
    assert merge_file(str(path), {}).pruner == "x"
    path.write_text("slimm: Pruner\n")
    with pytest.raises(ValueError, match="slimm: .* did you mean 'slim'"):
        merge_file(str(path), {})


def test_nearest():
    assert did_you_mean("ETHaed", ["ETHead", "Other"]) == "; did you mean 'ETHead'?"
    assert did_you_mean("zzz", ["ETHead"]) == ""
