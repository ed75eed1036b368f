"""What all dense heads share: the check of their levels, and the way from raw outputs to boxes."""

import math

import paddle
import paddle.distributed as dist
import paddle.nn as nn

# A probability of 0.01 for every class at the start keeps the first steps from drowning in background
# (RetinaNet, arXiv:1708.02002, section 4.1).
PRIOR_PROBABILITY = 0.01
CLASS_BIAS = -math.log((1 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY)


def check_strides(input_shape, fpn_strides, owner):
    """Compares the strides of incoming feature maps with those a head is set to.

    Args:
        input_shape (list[ShapeSpec]): of the neck's outputs; a stride of None is not checked.
        fpn_strides (list[int]): the head's.
        owner (str): the head's name, for the message.

    Raises:
        ValueError: names the first level that disagrees.
    """
    if len(input_shape) != len(fpn_strides):
        raise ValueError(
            f"{owner}: the neck gives {len(input_shape)} levels but fpn_strides has {len(fpn_strides)} "
            f"entries ({list(fpn_strides)}); give one stride a level"
        )
    for level, (spec, stride) in enumerate(zip(input_shape, fpn_strides)):
        if spec.stride and spec.stride != stride:
            raise ValueError(
                f"{owner}: level {level} comes with stride {spec.stride} but fpn_strides says {stride}; "
                f"set fpn_strides: {[s.stride for s in input_shape]}"
            )


def per_process(value, whole):
    """What each of N processes divides its loss by, so that together they learn what one of N batches would.

    Their gradients are averaged, so each divides by an N-th of what one process would divide by.

    Args:
        value (Tensor): [] float32, of this process; is summed over all.
        whole (callable): from the sum to what the loss of the whole batch is divided by.

    Returns:
        Tensor: [] float32, the same in every process.
    """
    processes = dist.get_world_size()
    if processes > 1:
        dist.all_reduce(value)
    return whole(value) / processes


def to_original(boxes, scale_factor):
    """Boxes of network pixels in pixels of the original images.

    Args:
        boxes (Tensor): [B, L, 4] xyxy.
        scale_factor (Tensor): [B, 2], y and x: input size over original size.
    """
    return boxes / scale_factor.flip(-1).tile([1, 2]).unsqueeze(1)


class DenseHead(nn.Layer):
    """Base of the heads that predict everywhere on the maps of several levels.

    A subclass's :meth:`forward` gives losses in training and, in evaluation, what its :meth:`decode` takes.

    Args:
        in_channels (list[int]): of each level.
        num_classes (int): C.
        fpn_strides (list[int]): of each level, input pixels.
        nms: PaddleDetection's MultiClassNMS or the like, used by :meth:`post_process`.
        exclude_nms, exclude_post_process (bool): PaddleDetection's switches for its own exporter.
    """

    # Layers whose last parameters have a row, or as many as there are anchors, for each class.
    class_layers = ()

    def __init__(self, in_channels, num_classes, fpn_strides, nms, exclude_nms, exclude_post_process):
        super().__init__()
        self.in_channels = list(in_channels)
        self.num_classes = num_classes
        self.fpn_strides = tuple(fpn_strides)
        self.nms = nms
        self.exclude_nms = exclude_nms
        self.exclude_post_process = exclude_post_process
        self.register_buffer("class_weight", None, persistable=False)

    def set_class_weight(self, weights):
        """Makes a positive of class c count ``weights[c]`` times in every loss term that it has a part in.

        The background of a class and the number that losses are divided by stay: nothing changes for the
        classes of weight 1.

        Args:
            weights (list[float]): of each class, above 0.

        Raises:
            ValueError: not one for each class.
        """
        if len(weights) != self.num_classes:
            raise ValueError(
                f"{type(self).__name__}: {len(weights)} class weights for {self.num_classes} classes"
            )
        self.class_weight = paddle.to_tensor([float(weight) for weight in weights], dtype="float32")

    def _check_count(self, feats):
        """Refuses (ValueError) more or fewer feature maps than levels."""
        if len(feats) != len(self.fpn_strides):
            raise ValueError(
                f"{type(self).__name__}: {len(feats)} feature maps for {len(self.fpn_strides)} fpn_strides"
            )

    def predict_level(self, level, feat):
        """Class logits and box outputs, [B, K, h, w] each, of a level's feature map [B, C_i, h, w]."""
        raise NotImplementedError

    def predict_levels(self, feats):
        """:meth:`predict_level` of each feature map, in the order of ``fpn_strides``."""
        return [self.predict_level(level, feat) for level, feat in enumerate(feats)]

    def decode(self, outputs):
        """Raw boxes of evaluation outputs.

        Args:
            outputs (tuple): what :meth:`forward` returns in evaluation.

        Returns:
            tuple(Tensor, Tensor): boxes [B, L, 4] xyxy in input pixels, scores [B, C, L].
        """
        raise NotImplementedError

    def post_process(self, outputs, scale_factor):
        """Boxes after NMS, as PaddleDetection's architectures ask for them.

        Args:
            outputs (tuple): what :meth:`forward` returns in evaluation.
            scale_factor (Tensor): [B, 2], y and x: input size over original size.

        Returns:
            tuple: boxes [sum(N_i), 6] (label, score, xyxy in original pixels), counts [B], kept indices.
            With ``exclude_nms`` boxes [B, L, 4] in original pixels, scores [B, C, L], None; with
            ``exclude_post_process`` [B, L, 4 + C] in input pixels, None, None.
        """
        boxes, scores = self.decode(outputs)
        if self.exclude_post_process:
            return paddle.concat([boxes, scores.transpose([0, 2, 1])], axis=-1), None, None
        boxes = to_original(boxes, scale_factor)
        if self.exclude_nms:
            return boxes, scores, None
        return self.nms(boxes, scores)

    @classmethod
    def from_config(cls, cfg, input_shape):
        check_strides(input_shape, cfg["fpn_strides"], cls.__name__)
        return {"in_channels": [s.channels for s in input_shape]}
