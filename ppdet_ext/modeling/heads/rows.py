"""From maps to rows."""

import paddle


def level_rows(maps):
    """Puts the maps of all levels into one list of rows.

    Args:
        maps (list[Tensor]): [B, K, h_i, w_i].

    Returns:
        Tensor: [B, L, K] float32; L cells, level by level, in the order of :func:`anchor_points`.
    """
    return paddle.concat([values.flatten(2).transpose([0, 2, 1]) for values in maps], axis=1).astype(
        "float32"
    )
