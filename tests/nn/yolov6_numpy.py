"""YOLOv6's blocks, backbones and necks once more, in float64 NumPy and written out from their figures.

Each takes a layer for its numbers and says itself how they are joined. BatchNorms have the published epsilon
(:data:`EPSILON`), whatever the layer's says.
"""

import numpy as np

from .reference import array, batch_norm, convolution, max_pool, silu, transposed_convolution

EPSILON = 1e-3
ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "silu": silu}


def conv_norm(layer, x, stride=1, epsilon=EPSILON):
    return batch_norm(convolution(x, array(layer.conv.weight), stride=stride), layer.bn, epsilon)


def conv_norm_act(layer, x, act, stride=1, epsilon=EPSILON):
    return ACTIVATIONS[act](conv_norm(layer, x, stride, epsilon))


def block(kind, act, epsilon=EPSILON):
    """(layer, x, stride=1) -> what a 3x3 block of the kind makes of x."""

    def plain(layer, x, stride=1):
        return conv_norm_act(layer, x, act, stride, epsilon)

    def repvgg(layer, x, stride=1):
        y = conv_norm(layer.conv1, x, stride, epsilon) + conv_norm(layer.conv2, x, stride, epsilon)
        if x.shape == y.shape:
            y = y + batch_norm(x, layer.identity, epsilon)
        return ACTIVATIONS[act](y)

    def qarepvgg(layer, x, stride=1):
        y = conv_norm(layer.conv1, x, stride, epsilon)
        y = y + convolution(x, array(layer.conv2.weight), stride=stride)
        if x.shape == y.shape:
            y = y + x
        return ACTIVATIONS[act](batch_norm(y, layer.bn, epsilon))

    return {"conv": plain, "repvgg": repvgg, "qarepvgg": qarepvgg}[kind]


def stack(one):
    """(layer, x) -> a row of blocks; `one` is a :func:`block`."""

    def run(layer, x):
        for part in layer:
            x = one(part, x)
        return x

    return run


def bottle_rep(layer, x, one):
    return one(layer.conv2, one(layer.conv1, x)) + array(layer.alpha)[0] * x


def bep_c3(one, act, epsilon=EPSILON):
    """(layer, x) -> a cross-stage-partial stage of :func:`bottle_rep`."""

    def run(layer, x):
        deep = conv_norm_act(layer.conv1, x, act, epsilon=epsilon)
        for part in layer.blocks:
            deep = bottle_rep(part, deep, one)
        aside = conv_norm_act(layer.conv2, x, act, epsilon=epsilon)
        return conv_norm_act(layer.conv3, np.concatenate([deep, aside], 1), act, epsilon=epsilon)

    return run


def pyramid(x):
    """Three pools of 5, 9 and 13 beside their input: what one of 5 sees once, twice and three times."""
    return np.concatenate([x, *(max_pool(x, size) for size in (5, 9, 13))], 1)


def sppf(layer, x, act):
    return conv_norm_act(layer.conv2, pyramid(conv_norm_act(layer.conv1, x, act)), act)


def csp_sppf(layer, x, act):
    deep = x
    for part in layer.before:
        deep = conv_norm_act(part, deep, act)
    deep = pyramid(deep)
    for part in layer.after:
        deep = conv_norm_act(part, deep, act)
    return conv_norm_act(layer.out, np.concatenate([conv_norm_act(layer.aside, x, act), deep], 1), act)


def upsample(layer, x):
    return transposed_convolution(x, array(layer.weight), array(layer.bias), 2)


def bi_fusion(layer, coarser, level, finer, act="relu"):
    finer = conv_norm_act(layer.downsample, conv_norm_act(layer.conv2, finer, act), act, 2)
    maps = [upsample(layer.upsample, coarser), conv_norm_act(layer.conv1, level, act), finer]
    return conv_norm_act(layer.conv3, np.concatenate(maps, 1), act)


def backbone(net, image, one, body, pool):
    """Every stage's output; `body` and `pool` are (layer, x) -> x."""
    x, found = one(net.stem, image, 2), []
    for number, stage in enumerate(net.stages):
        x = body(stage.body, one(stage.down, x, 2))
        if number == len(net.stages) - 1:
            x = pool(stage.spp, x)
        found.append(x)
    return found


def neck(net, maps, body, act="relu"):
    """Three levels, coarsest first, of three maps, finest first; of four for BiFusion."""
    *finest, c3, c4, c5 = maps

    def join(number, coarser, level, finer):
        if finest:
            return bi_fusion(net.join[number], coarser, level, finer, act)
        return np.concatenate([upsample(net.join[number], coarser), level], 1)

    def down(number, x, aside):
        return np.concatenate([conv_norm_act(net.down[number], x, act, 2), aside], 1)

    p5 = conv_norm_act(net.reduce[0], c5, act)
    p4 = conv_norm_act(net.reduce[1], body(net.top_down[0], join(0, p5, c4, c3)), act)
    n3 = body(net.top_down[1], join(1, p4, c3, finest[0] if finest else None))
    n4 = body(net.bottom_up[0], down(0, n3, p4))
    n5 = body(net.bottom_up[1], down(1, n4, p5))
    return [n5, n4, n3]
