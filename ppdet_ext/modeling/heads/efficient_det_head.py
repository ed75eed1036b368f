"""EfficientDet's head."""

import paddle
import paddle.nn.functional as F
from ppdet.core.workspace import register

from ..anchor_boxes import anchor_boxes, anchor_shapes, decode_boxes, encode_boxes
from ..assigners.argmax_iou import IGNORED
from ..losses import check_weight, sigmoid_focal_loss, weight_at
from .dense import CLASS_BIAS, DenseHead, per_process
from .rows import level_rows
from .shared_net import SharedNet

__all__ = ["EfficientDetHead"]


@register
class EfficientDetHead(DenseHead):
    """Two nets of separable convolutions that all levels share, over anchors.

    .. code-block:: text

        level --+-- (3x3 -- BN of the level -- act) x repeats -- 3x3 --> A x C class logits
                +-- (3x3 -- BN of the level -- act) x repeats -- 3x3 --> A x 4 codes

    Levels come finest first. State-dict keys, with R the repeat and LEVEL from 0 at the finest:

    .. code-block:: text

        {class,box}_net.repeats.R.conv.depthwise.weight                     [C, 1, 3, 3]
        {class,box}_net.repeats.R.conv.pointwise.{weight,bias}              [C, C, 1, 1]
        {class,box}_net.repeats.R.bn.LEVEL.{weight,bias,_mean,_variance}    [C]
        {class,box}_net.predict.depthwise.weight                            [C, 1, 3, 3]
        {class,box}_net.predict.pointwise.{weight,bias}                     [A x (classes or 4), C, 1, 1]

    Args:
        in_channels (list[int]): of each level, all equal.
        num_classes (int): C.
        fpn_strides (list[int]): of each level, rising, input pixels.
        num_repeats (int): convolutions of each net before the one that predicts.
        anchor_scale (float): side of the smallest square anchor, in strides.
        num_scales (int): anchor sizes within an octave.
        aspect_ratios (list): of the anchors, as :func:`anchor_shapes` takes them. Some published weights
            belong to the pairs [1.0, 1.0], [1.4, 0.7] and [0.7, 1.4].
        separable (bool): False for dense 3x3 convolutions.
        act (str): of both nets.
        alpha, gamma (float): of the focal loss.
        delta (float): of Huber's loss, in codes.
        box_loss_weight (float | dict): of 'loss_box' in 'loss'; ``{from: 0, to: 50}`` moves with the epoch,
            see :func:`weight_at`.
        assigner: called as :class:`ArgmaxIoUAssigner`.
        nms: PaddleDetection's MultiClassNMS, :class:`SoftNMS` or the like.
        exclude_nms, exclude_post_process (bool): PaddleDetection's switches for its own exporter.
        epoch (int): of the whole training; shared with the config's.

    Raises:
        ValueError: strides that do not rise, levels of different widths, or anchors without a size.

    Source: arXiv:1911.09070, section 4; google/automl 6a54c87, efficientdet/det_model_fn.py for the losses.
    """

    class_layers = ("class_net.predict",)
    __shared__ = ["num_classes", "exclude_nms", "exclude_post_process", "epoch"]
    __inject__ = ["assigner", "nms"]

    def __init__(
        self,
        in_channels=(64, 64, 64, 64, 64),
        num_classes=80,
        fpn_strides=(8, 16, 32, 64, 128),
        num_repeats=3,
        anchor_scale=4.0,
        num_scales=3,
        aspect_ratios=(1.0, 2.0, 0.5),
        separable=True,
        act="swish",
        alpha=0.25,
        gamma=1.5,
        delta=0.1,
        box_loss_weight=50.0,
        assigner="ArgmaxIoUAssigner",
        nms="MultiClassNMS",
        exclude_nms=False,
        exclude_post_process=False,
        epoch=300,
    ):
        super().__init__(in_channels, num_classes, fpn_strides, nms, exclude_nms, exclude_post_process)
        _check_levels(self.in_channels, self.fpn_strides)
        self.shapes = anchor_shapes(anchor_scale, num_scales, aspect_ratios)
        self.assigner = assigner
        self.alpha, self.gamma, self.delta = alpha, gamma, delta
        check_weight("EfficientDetHead: box_loss_weight", box_loss_weight)
        self.box_loss_weight, self.epochs = box_loss_weight, epoch

        def net(outputs, bias):
            outputs = outputs * len(self.shapes)
            return SharedNet(in_channels[0], outputs, len(in_channels), num_repeats, separable, act, bias)

        self.class_net = net(num_classes, CLASS_BIAS)
        self.box_net = net(4, 0.0)

    def predict_level(self, level, feat):
        """Class logits [B, A * C, h, w] and codes [B, A * 4, h, w] of a level, an anchor's together."""
        return self.class_net(feat, level), self.box_net(feat, level)

    def forward(self, feats, targets=None):
        """Losses in training, raw outputs in evaluation.

        Args:
            feats (list[Tensor]): ``[B, C, h_i, w_i]``, in the order of ``fpn_strides``.
            targets (dict | None): in training: 'gt_class' [B, n, 1] int, 'gt_bbox' [B, n, 4] xyxy input
                pixels, 'pad_gt_mask' [B, n, 1]. n may be 0.

        Returns:
            dict | tuple: in training 'loss', 'loss_cls' and 'loss_box', the last without its weight. In
            evaluation scores [B, C, L] in [0, 1], codes [B, L, 4] (ty, tx, th, tw) and anchors [L, 4] xyxy
            input pixels, in the order of :func:`anchor_boxes`.
        """
        self._check_count(feats)
        maps = list(zip(*self.predict_levels(feats)))
        anchors = anchor_boxes(feats, self.fpn_strides, self.shapes)
        if self.training:
            return self._losses(*maps, anchors, targets)
        # Levels are joined first, so that a deployed graph has one of each op after. By reshape, since Paddle
        # Lite's optimizer dies of flatten; with the channels told, no shape is left to compute.
        count = len(self.shapes)
        logits, codes = (
            paddle.concat([m.reshape([0, count * size, -1]) for m in kind], axis=-1)
            for kind, size in zip(maps, (self.num_classes, 4))
        )
        logits = logits.reshape([0, count, self.num_classes, -1]).transpose([0, 2, 3, 1])
        scores = F.sigmoid(logits.reshape([0, self.num_classes, -1]))
        return scores, codes.transpose([0, 2, 1]).reshape([0, -1, 4]), anchors

    def decode(self, outputs):
        scores, codes, anchors = outputs
        return decode_boxes(codes, anchors), scores

    def _losses(self, class_maps, box_maps, anchors, targets):
        logits = level_rows(class_maps).reshape([-1, self.num_classes])
        codes = level_rows(box_maps).reshape([-1, 4])
        matches = self.assigner(anchors, targets["gt_bbox"], targets["pad_gt_mask"]).flatten()
        index = paddle.nonzero(matches >= 0).flatten()
        count = index.shape[0]
        total = per_process(paddle.full([], float(count)), lambda everything: everything + 1)
        ignored = paddle.zeros([0], dtype="int64")
        if getattr(self.assigner, "ignores", True):
            ignored = paddle.nonzero(matches == IGNORED).flatten()
        class_index = labels = index
        # Keeps the box net in the graph, which a distributed run waits for.
        loss_box = codes.sum() * 0.0
        if count:
            boxes, labels, at = _truth_of(index, matches, anchors, targets)
            class_index = index * self.num_classes + labels
            loss_box = F.smooth_l1_loss(  # Paddle's is Huber's
                paddle.gather(codes, index), encode_boxes(boxes, at), reduction="none", delta=self.delta
            )
            if self.class_weight is not None:
                loss_box = loss_box * paddle.gather(self.class_weight, labels).unsqueeze(-1)
            loss_box = loss_box.sum()
        # Outside of the branch above: a graph of Paddle 3 has no None in one.
        weights = None if self.class_weight is None else paddle.gather(self.class_weight, labels)
        loss_cls = sigmoid_focal_loss(logits, class_index, ignored, self.alpha, self.gamma, weights) / total
        loss_box = loss_box / (4 * total)
        box_weight = self.box_loss_weight
        if isinstance(box_weight, dict):
            box_weight = weight_at(box_weight, int(targets["epoch_id"]), self.epochs)
        return {
            "loss": loss_cls + box_weight * loss_box,
            "loss_cls": loss_cls,
            "loss_box": loss_box,
        }

    @classmethod
    def from_config(cls, cfg, input_shape):
        strides = [spec.stride for spec in input_shape]
        wanted = list(cfg["fpn_strides"])
        if all(strides) and strides != wanted and strides[::-1] == wanted:
            raise ValueError(
                f"{cls.__name__}: the neck's levels come coarsest first, with strides {strides}, but "
                f"fpn_strides says {wanted}; set coarsest_first: false of the neck"
            )
        return super().from_config(cfg, input_shape)


def _truth_of(index, matches, anchors, targets):
    """What the positives have to learn.

    Args:
        index (Tensor): [P] int64, their places among all anchors of the batch.
        matches (Tensor): [B * L] int64, gts of their image.
        anchors (Tensor): [L, 4].
        targets (dict): as :meth:`EfficientDetHead.forward` takes them.

    Returns:
        tuple: boxes of their gts [P, 4], classes [P] int64, and their anchors [P, 4].
    """
    num_anchors, num_gts = anchors.shape[0], targets["gt_bbox"].shape[1]
    row = paddle.gather(matches, index) + index // num_anchors * num_gts
    boxes = paddle.gather(targets["gt_bbox"].reshape([-1, 4]), row)
    labels = paddle.gather(targets["gt_class"].flatten(), row).astype("int64")
    return boxes, labels, paddle.gather(anchors, index % num_anchors)


def _check_levels(in_channels, fpn_strides):
    """Refuses (ValueError) levels in the wrong order or of different widths."""
    for level in range(1, len(fpn_strides)):
        if fpn_strides[level] <= fpn_strides[level - 1]:
            raise ValueError(
                f"EfficientDetHead: fpn_strides {list(fpn_strides)} does not rise from level {level - 1} "
                f"to {level}; the finest level comes first"
            )
    if len(in_channels) != len(fpn_strides):
        raise ValueError(
            f"EfficientDetHead: in_channels {in_channels} and fpn_strides {list(fpn_strides)} are not of as "
            "many levels"
        )
    for level, channels in enumerate(in_channels):
        if channels != in_channels[0]:
            raise ValueError(
                f"EfficientDetHead: level {level} has {channels} channels but level 0 has {in_channels[0]}, "
                "and they share convolutions; take a neck of one width"
            )
