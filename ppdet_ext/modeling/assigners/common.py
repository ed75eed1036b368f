"""What the label assigners share: the choice of mode, conflicts between gts, and the targets.

An assigner ends in three small tensors, from which the dense targets are written once:
`gt_index: [B, L]` int64 (0 where nothing is assigned), `positive: [B, L]` bool and
`soft: [B, L]` float32.

Modes. `batch` is one vectorised pass of Paddle operations over `[B, n, L]`, without a
synchronisation with the host: for GPUs. `per_image` visits real gts only, and of them only the
anchors that can matter, in NumPy: for CPUs, where Paddle's broadcast comparisons and arithmetic
cost 20 to 60 times NumPy's. It leaves to Paddle the operations whose bits or whose order of ties
NumPy doesn't share: power, norm, standard deviation and top-k.
"""

import numpy as np
import paddle

from ..boxes import iou, planes

MODES = ("auto", "batch", "per_image")
# Rows of [rows, L] worked on at once: a few megabytes, so that neither the cache nor the peak
# memory feels the number of gts.
CHUNK = 64
# A multiple of the width, in floats, of every vector unit (AVX-512 holds 16).
_LANES = 64


def check_mode(mode):
    """`mode` itself; ValueError if there is no such mode."""
    if mode not in MODES:
        raise ValueError(f"mode: no such value {mode!r}; choose one of {', '.join(MODES)}")
    return mode


def is_per_image(mode, tensor):
    """Whether to work image by image: what `mode` says, or where `tensor` lies if it is 'auto'.

    A static graph (`--to_static`) has no place and no NumPy: it works on the batch.
    """
    if mode == "auto":
        return paddle.in_dynamic_mode() and tensor.place.is_cpu_place()
    return mode == "per_image"


def as_float32(tensor):
    """The tensor in single precision: predictions under AMP may come in half."""
    # A cast to the same type is a copy on Paddle 2.6.
    return tensor if tensor.dtype == paddle.float32 else tensor.astype("float32")


def check_gts(gt_labels, gt_bboxes, pad_gt_mask):
    """Raises ValueError unless the gts are `[B, n, 1]`, `[B, n, 4]` and `[B, n, 1]`."""
    batch, count = gt_bboxes.shape[:2]
    for name, tensor, last in (
        ("gt_bboxes", gt_bboxes, 4),
        ("gt_labels", gt_labels, 1),
        ("pad_gt_mask", pad_gt_mask, 1),
    ):
        if list(tensor.shape) != [batch, count, last]:
            raise ValueError(
                f"{name}: shape {list(tensor.shape)}, expected {[batch, count, last]} as gt_bboxes says"
            )


def apply_as_dense(function, values, shape, flat=None):
    """Applies an element-wise function to some elements of a dense tensor, with the dense bits.

    On CPUs Paddle's power and norm differ by a unit in the last place between the vector loop and
    the scalar loop that finishes the last few elements. So values are padded to whole vectors,
    and those that would end a dense tensor of this shape are put at the end.

    Args:
        function: from a Paddle tensor to one of the same leading size.
        values: `[P, ...]` float32 array.
        shape: shape of the dense tensor.
        flat: `[P]` positions of the values in the flattened dense tensor, ascending; None if
            none of them is among its last 64.

    Returns:
        `[P, ...]` array of the results.
    """
    total = int(np.prod(shape))
    tail_start = total - total % _LANES
    body = len(values) if flat is None else int(np.searchsorted(flat, tail_start))
    padded = -(-body // _LANES) * _LANES
    if len(values) == padded == body:
        return function(paddle.to_tensor(values)).numpy() if body else values
    size = padded if body == len(values) else padded + total - tail_start
    position = np.arange(len(values))
    if body < len(values):
        position[body:] = flat[body:] - tail_start + padded
    buffer = np.zeros((size,) + values.shape[1:], values.dtype)
    buffer[position] = values
    return function(paddle.to_tensor(buffer)).numpy()[position]


def resolve_claims(image, gt, anchor, gt_bboxes, real, other_boxes, eps):
    """Gives every claimed anchor to one gt.

    An anchor that several gts claim goes to the gt it overlaps most, among **all** rows of its
    image: also one that didn't claim it, and the first of equals.

    Args:
        image, gt, anchor: `[P]` indices of the claims.
        gt_bboxes: `[B, n, 4]` array. real: `[B, n]` bool array, False in padded rows.
        other_boxes: `[B, L, 4]` array, or `[1, L, 4]` for all images: what gts are compared with.
        eps: of the IoU.

    Returns:
        `[B, L]` int64 array: the gt of each anchor, -1 for none.
    """
    batch, num_anchors = len(gt_bboxes), other_boxes.shape[1]
    owner = np.full((batch, num_anchors), -1, "int64")
    owner[image, anchor] = gt
    claims = np.bincount(image * num_anchors + anchor, minlength=batch * num_anchors)
    claims = claims.reshape(batch, num_anchors)
    # A padded row without area overlaps nothing, and as the later of equals it never wins:
    # what follows the last row of substance can be left out.
    x1, y1, x2, y2 = planes(gt_bboxes)
    substance = real | ((x2 > x1) & (y2 > y1))
    for b in np.flatnonzero((claims > 1).any(axis=1)):
        contested = np.flatnonzero(claims[b] > 1)
        rows = np.flatnonzero(substance[b])[-1] + 1
        boxes = other_boxes[b if len(other_boxes) > 1 else 0][contested]
        overlaps = iou(planes(gt_bboxes[b, :rows, None]), planes(boxes[None]), eps)
        owner[b, contested] = overlaps.argmax(axis=0)
    return owner


def resolve_mask(claims, ious):
    """`resolve_claims` for dense tensors, without synchronising with the host.

    Args:
        claims: `[B, n, L]` float32, 1 where a gt claims an anchor.
        ious: `[B, n, L]`.

    Returns:
        `gt_index: [B, L]` int64 and `positive: [B, L]` bool.
    """
    count = claims.sum(axis=1)
    gt_index = paddle.where(count > 1, ious.argmax(axis=1), claims.argmax(axis=1))
    return gt_index, count > 0


def _place(shape, index, values):
    """Zeros of `shape` with `values: [P]` at distinct flat positions `index: [P]`.

    A scatter, since put_along_axis_ copies the whole tensor first on Paddle 2.6.
    """
    flat = paddle.zeros([int(np.prod(shape))])
    return flat.scatter_(index, values).reshape(shape)


def dense_mask(gt_index, positive, num_gts):
    """`[B, num_gts, L]` float32: 1 where the gt of a positive anchor is."""
    batch, num_anchors = gt_index.shape
    image = paddle.arange(batch, dtype="int64").unsqueeze(-1)
    anchor = paddle.arange(num_anchors, dtype="int64")
    index = (image * num_gts + gt_index) * num_anchors + anchor
    # Anchors without a gt write 0, so that none need be selected.
    return _place([batch, num_gts, num_anchors], index.flatten(), positive.astype("float32").flatten())


def build_targets(gt_index, positive, soft, gt_labels, gt_bboxes, bg_index, num_classes, mask=None):
    """Writes the targets that PaddleDetection's heads take.

    Args:
        gt_index: `[B, L]` int64, 0 where nothing is assigned. positive: `[B, L]` bool.
        soft: `[B, L]` float32, the score of the class where positive.
        gt_labels: `[B, n, 1]` int32 or int64. gt_bboxes: `[B, n, 4]` float32.
        bg_index: the label of an unassigned anchor; classes above it move down one column.
        mask: the dense mask, where it has been made already.

    Returns:
        `labels: [B, L]` of the dtype of `gt_labels`; `boxes: [B, L, 4]`, those of gt 0 where
        nothing is assigned; `scores: [B, L, num_classes]`; `mask: [B, n, L]` float32.
    """
    batch, num_gts = gt_bboxes.shape[:2]
    num_anchors = gt_index.shape[1]
    if mask is None:
        mask = dense_mask(gt_index, positive, num_gts)
    first = paddle.arange(batch, dtype="int64").unsqueeze(-1) * num_gts
    rows = (gt_index + first).flatten()
    labels = paddle.gather(gt_labels.flatten(), rows).reshape([batch, num_anchors])
    labels = paddle.where(positive, labels, paddle.full_like(labels, bg_index))
    boxes = paddle.gather(gt_bboxes.reshape([-1, 4]), rows).reshape([batch, num_anchors, 4])

    column = labels.astype("int64")
    soft = soft * (column != bg_index).astype("float32")
    column = (column - (column > bg_index).astype("int64")).clip(0, num_classes - 1)
    index = paddle.arange(batch * num_anchors, dtype="int64") * num_classes + column.flatten()
    scores = _place([batch, num_anchors, num_classes], index, soft.flatten())
    return labels, boxes, scores, mask


def empty_targets(batch, num_anchors, num_gts, dtype, bg_index, num_classes):
    """The targets of a batch without gts: all background, and a mask of `[B, num_gts, L]`."""
    return (
        paddle.full([batch, num_anchors], bg_index, dtype=dtype),
        paddle.zeros([batch, num_anchors, 4]),
        paddle.zeros([batch, num_anchors, num_classes]),
        paddle.zeros([batch, num_gts, num_anchors]),
    )


def anchor_strides(anchor_points, num_anchors_list):
    """The stride of each anchor, read off the spacing of the points of its level.

    Args:
        anchor_points: `[L, 2]` float32 tensor, xy, input pixels, a regular grid a level.
        num_anchors_list: anchors a level.

    Returns:
        `[L]` float32 tensor, input pixels.

    Raises:
        ValueError: the levels don't add up to L.
    """
    if sum(num_anchors_list) != anchor_points.shape[0]:
        raise ValueError(
            f"num_anchors_list: {list(num_anchors_list)} adds up to "
            f"{sum(num_anchors_list)}, but there are {anchor_points.shape[0]} points"
        )
    strides = []
    for level in paddle.split(anchor_points, list(num_anchors_list), axis=0):
        # Neighbours differ along one axis. A lone point stands in the middle of its cell.
        step = (level[1] - level[0]).abs() if level.shape[0] > 1 else level[0] * 2
        strides.append(step.max().reshape([1]).expand([level.shape[0]]))
    return paddle.concat(strides)
