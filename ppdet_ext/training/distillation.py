"""Distillation: a frozen copy of the network, as it was at the start, teaches the one that trains."""

import paddle
import paddle.nn.functional as F
from ppdet.core.workspace import register

from ppdet_ext.modeling.heads.dense import per_process
from ppdet_ext.nearest import choice

from . import distillation_losses as losses

__all__ = ["FeatureDistillation", "OutputDistillation"]

FEATURE_LOSSES = ("cwd", "l2")


def check_positive(owner, **values):
    """Refuses (ValueError) options that are not numbers above 0."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise ValueError(f"{owner}: {name} is {value!r}; give a number above 0")


def freeze(network):
    """Puts a network into evaluation mode and stops all gradients at its parameters, for ever."""
    network.eval()
    for parameter in network.parameters():
        parameter.stop_gradient = True


class Distillation:
    """What the two kinds share: the teacher's run on each batch, and the loss that joins the others.

    The teacher is no part of the student: its parameters are in no checkpoint, optimiser, average or
    exchange of gradients. It is in evaluation mode for ever.

    Args:
        weight (float): of ``loss_distill`` in ``loss``.
    """

    def __init__(self, weight):
        check_positive(type(self).__name__, weight=weight)
        self.weight = weight
        self._teacher = None
        self._seen = []

    def attach(self, student, teacher):
        """Makes ``student(batch)``, in training mode, return 'loss_distill' and 'loss' with it.

        Args:
            student (nn.Layer): a detector with ``backbone``, ``neck`` and ``yolo_head``.
            teacher (nn.Layer): another of the same; is frozen.

        Raises:
            ValueError: the detector lacks one of the parts.
        """
        for part in ("backbone", "neck", "yolo_head"):
            if not hasattr(student, part):
                raise ValueError(
                    f"{type(self).__name__}: {type(student).__name__} has no {part}; distillation works with "
                    "detectors of backbone, neck and yolo_head"
                )
        freeze(teacher)
        self._teacher = teacher
        self._watch(student)
        student.register_forward_post_hook(self._join)

    def _join(self, student, inputs, outputs):
        if not student.training:
            return None
        seen, self._seen = self._seen, []
        with paddle.no_grad():
            teacher = self._teacher
            goals = self._goals(teacher, teacher.neck(teacher.backbone(inputs[0])))
        loss = self.weight * self._compare(seen, goals)
        return {**outputs, "loss": outputs["loss"] + loss, "loss_distill": loss}

    def _watch(self, student):
        """Sees to it that a run of the student in training mode leaves in ``_seen`` what is compared."""
        raise NotImplementedError

    def _goals(self, teacher, feats):
        """The teacher's side of the comparison, from its neck's maps."""
        raise NotImplementedError

    def _compare(self, seen, goals):
        """The loss [] of both sides."""
        raise NotImplementedError


@register
class FeatureDistillation(Distillation):
    """The neck's feature maps are held near the teacher's, the mean over the levels.

    Args:
        loss (str): cwd (where a channel looks) or l2 (what it says there).
        weight (float): of ``loss_distill`` in ``loss``.
        temperature (float): of cwd.
    """

    def __init__(self, loss="cwd", weight=1.0, temperature=1.0):
        super().__init__(weight)
        check_positive("FeatureDistillation", temperature=temperature)
        if loss not in FEATURE_LOSSES:
            raise ValueError(f"FeatureDistillation: loss '{loss}' is unknown; {choice(loss, FEATURE_LOSSES)}")
        self.loss = loss
        self.temperature = temperature

    def _watch(self, student):
        def keep(neck, inputs, feats):
            if neck.training:
                self._seen = list(feats)

        student.neck.register_forward_post_hook(keep)

    def _goals(self, teacher, feats):
        return feats

    def _compare(self, seen, goals):
        total = 0.0
        for student, teacher in zip(seen, goals):
            student, teacher = student.astype("float32"), teacher.astype("float32")
            if self.loss == "cwd":
                total = total + losses.channel_wise_loss(student, teacher, self.temperature)
            else:
                total = total + losses.squared_loss(student, teacher)
        return total / len(goals)


@register
class OutputDistillation(Distillation):
    """Class scores and box distributions are held near the teacher's, most where it sees an object.

    Both parts are in units of the sum of the teacher's best scores, as the head's own losses are in units of
    its soft targets. The head has to be one of this package.

    Args:
        weight (float): of ``loss_distill`` in ``loss``.
        box_weight (float): of the boxes in ``loss_distill``, beside 1 of the classes.
    """

    def __init__(self, weight=1.0, box_weight=1.0):
        super().__init__(weight)
        check_positive("OutputDistillation", box_weight=box_weight)
        self.box_weight = box_weight

    def _watch(self, student):
        head = student.yolo_head
        predict = getattr(head, "_predict", None)
        if predict is None:
            raise ValueError(
                f"OutputDistillation: {type(head).__name__} is no head of ppdet_ext; take distillation: "
                "FeatureDistillation"
            )

        def keep(level, class_map, box_map):
            outputs = predict(level, class_map, box_map)
            if head.training:
                self._seen.append(outputs)
            return outputs

        head._predict = keep

    def _goals(self, teacher, feats):
        return teacher.yolo_head.predict_levels(feats)

    def _compare(self, seen, goals):
        classes, boxes = self._joined(seen)
        their_classes, their_boxes = self._joined(goals)
        scores = F.sigmoid(their_classes).max(1)
        compare = losses.distribution_loss if self._teacher.yolo_head.reg_max else losses.distance_loss
        box_loss = compare(boxes, their_boxes, scores)
        loss = losses.class_loss(classes, their_classes) + self.box_weight * box_loss
        return loss / per_process(scores.sum(), lambda everything: everything.clip(min=1.0))

    @staticmethod
    def _joined(outputs):
        """Class logits [B, C, L] and box outputs [B, 4 * bins, L] of all levels, float32."""
        return [
            paddle.concat([level.astype("float32").flatten(2) for level in kind], axis=-1)
            for kind in zip(*outputs)
        ]
