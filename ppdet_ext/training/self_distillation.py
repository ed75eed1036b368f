"""Self-distillation: a network learns from one of its own kind that was trained before it."""

import copy
import math
import os

import paddle
import paddle.distributed as dist
import paddle.nn.functional as F
from ppdet.core.workspace import register

from ppdet_ext.modeling.heads.dense import per_process
from ppdet_ext.modeling.heads.rows import level_rows
from ppdet_ext.nn.state_file import read_state_file

from . import distillation_losses as losses
from .distillation import check_positive, freeze

__all__ = ["SelfDistillation"]

# Share of the weight that is left in the last epoch: at the end, the labels teach alone.
LAST_SHARE = 0.01
# What a teacher may lack, since only its student has it, and what it may have, since only training used it.
STUDENT_ONLY, TEACHER_ONLY = "yolo_head.pred_direct.", "yolo_head.anchor_aided."


@register
class SelfDistillation:
    """Holds class scores and box distributions near those of a trained network of the same config.

    ``YOLODetector: {distillation: SelfDistillation}``; the head needs ``reg_max``, as its teacher's had.
    Every term is weighted by a cosine over the epochs, from 1 to 0.01.

    Args:
        teacher (str): ``.pdparams`` of the trained network. It is read when training begins.
        temperature (float): of classes and distributions.
        class_weight, box_weight (float): of the terms, beside the head's ``loss_weight`` of class and dfl.
        feature_weight (float): of the neck's maps (channel-wise distillation); 0 leaves them out, 10 is the
            published value.
        epoch (int): of the whole training; shared with the config's.

    Raises:
        ValueError: a number out of its range; no teacher, or one of another config.

    Source: YOLOv6 v3.0, arXiv:2301.05586, section 2.3. There the teacher normalises by its batch, here by its
    running statistics.
    """

    __shared__ = ["epoch"]

    def __init__(
        self, teacher=None, temperature=20.0, class_weight=1.0, box_weight=1.0, feature_weight=0.0, epoch=300
    ):
        check_positive(
            "SelfDistillation", temperature=temperature, class_weight=class_weight, box_weight=box_weight
        )
        if feature_weight:
            check_positive("SelfDistillation", feature_weight=feature_weight)
        self.teacher_file = teacher
        self.temperature = temperature
        self.class_weight, self.box_weight, self.feature_weight = class_weight, box_weight, feature_weight
        self.epochs = epoch
        self._teacher = None

    def attach(self, detector):
        """Makes a detector, in training mode, return 'loss_distill' and 'loss' with it.

        Args:
            detector (nn.Layer): with ``backbone``, ``neck`` and a ``yolo_head`` of this package that predicts
                distributions.

        Raises:
            ValueError: the head predicts none.
        """
        head = detector.yolo_head
        own = getattr(head, "_with_auxiliary", None)
        if own is None or not head.reg_max:
            raise ValueError(
                f"SelfDistillation: {type(head).__name__} predicts no distributions of box sides; set its "
                "reg_max: 16 (and direct_boxes: true for YOLOv6's n and s)"
            )

        def joined(found, maps, outputs, positives, targets):
            found = own(found, maps, outputs, positives, targets)
            if self._teacher is None:
                self._teacher = self._load_teacher(detector)
            loss = self._loss(head, outputs, positives, targets)
            return {**found, "loss": found["loss"] + loss, "loss_distill": loss}

        def keep(neck, inputs, feats):
            if neck.training:
                self._feats = list(feats)

        head._with_auxiliary = joined
        if self.feature_weight:
            detector.neck.register_forward_post_hook(keep)

    def share(self, epoch):
        """The weight of the terms in an epoch, counted from 0."""
        return 1 + (1 - math.cos(math.pi * epoch / self.epochs)) / 2 * (LAST_SHARE - 1)

    def _load_teacher(self, detector):
        if not self.teacher_file:
            raise ValueError(
                "SelfDistillation: no teacher; give the checkpoint of a training of the same config with "
                "-o SelfDistillation.teacher=FILE.pdparams"
            )
        file = os.path.expanduser(self.teacher_file)
        state = read_state_file(file if file.endswith(".pdparams") else f"{file}.pdparams")
        state = {name: value for name, value in state.items() if not name.startswith(TEACHER_ONLY)}
        teacher = copy.deepcopy(detector)
        teacher.yolo_head.keep_distributions()
        wanted = teacher.state_dict()
        wrong = sorted(
            name
            for name in set(wanted) | {name for name in state if not name.startswith(STUDENT_ONLY)}
            if name not in state or name not in wanted or list(state[name].shape) != list(wanted[name].shape)
        )
        if wrong:
            raise ValueError(
                f"{self.teacher_file}: not a teacher of this network, {wrong[0]} and {len(wrong) - 1} other "
                "parameters do not fit; it has to be of the same config, with the same reg_max"
            )
        teacher.set_state_dict(state)
        freeze(teacher)
        return teacher

    def _loss(self, head, outputs, positives, targets):
        teacher = self._teacher
        with paddle.no_grad():
            feats = teacher.neck(teacher.backbone(targets))
            goals = teacher.yolo_head.predict_levels(feats)
        logits, regression = map(level_rows, zip(*outputs))
        their_logits, their_regression = map(level_rows, zip(*goals))
        # A sum over the whole batch, and the gradients of its processes' parts will be averaged.
        class_loss = dist.get_world_size() * self._class_loss(logits, their_logits)
        loss = self.class_weight * head.loss_weight["class"] * class_loss
        count = per_process(
            paddle.full([], float(positives.count)), lambda everything: everything.clip(min=1.0)
        )
        quality = positives.quality.sum() if positives.count else paddle.zeros([])
        share = per_process(quality, lambda everything: everything) / positives.total
        if positives.count:
            rows = [positives.rows(values) for values in (regression, their_regression)]
            bins = [values.reshape([-1, 4, head.reg_channels]) for values in rows]
            divergence = losses.divergence_of_softmax(*bins, self.temperature).mean(-1).sum() / count
            loss = loss + self.box_weight * head.loss_weight["dfl"] * divergence * share
        if self.feature_weight:
            pairs = zip(self._feats, feats)
            loss = loss + self.feature_weight * sum(
                losses.channel_wise_loss(one.astype("float32"), other.astype("float32"))
                for one, other in pairs
            )
        return self.share(int(targets["epoch_id"])) * loss

    def _class_loss(self, logits, their_logits):
        """Divergence of the softmax over the probabilities of the classes, summed over everything."""
        one, other = F.sigmoid(logits), F.sigmoid(their_logits)
        return losses.divergence_of_softmax(one, other, self.temperature).sum()
