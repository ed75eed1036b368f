"""EfficientDet's neck: cells of nodes that add maps of several levels with learnt weights."""

import paddle.nn as nn
from ppdet.core.workspace import register, serializable

from ppdet_ext.nn import ConvNormAct, set_batch_norm

from ..parts import Part
from .bifpn_node import FusionNode, Resample
from .bifpn_topology import make_topology, map_names, output_maps
from .pyramid import Pyramid

__all__ = ["WeightedBiFPN"]

# EfficientDet's, as published (google/automl, efficientdet/hparams_config.py).
BATCH_NORM = {"epsilon": 1e-3, "momentum": 0.99}
# The finest level's name where the backbone tells no strides: stride 8.
USUAL_FINEST = 3


class Cell(nn.Layer):
    """Nodes, each of which reads the cell's inputs and the outputs of those before it.

    Args:
        topology (Topology): of these levels.
        first (int): l of the finest level.
        in_channels (list[int]): of the inputs, finest first.
        channels, fusion, act, separable: see :class:`FusionNode`.
    """

    def __init__(self, topology, first, in_channels, channels, fusion, act, separable):
        super().__init__()
        nodes = topology.nodes
        widths = list(in_channels) + [channels] * len(nodes)
        levels = [*range(first, first + len(in_channels)), *(node.level for node in nodes)]
        self.nodes = nn.LayerList(
            [
                FusionNode(
                    node.inputs,
                    [widths[number] for number in node.inputs],
                    [node.level - levels[number] for number in node.inputs],
                    node.level - first,
                    channels,
                    fusion,
                    act,
                    separable,
                    topology.norm_each,
                )
                for node in nodes
            ]
        )
        self.outputs = output_maps(nodes, first, len(in_channels))

    def forward(self, maps):
        """One map a level, finest first, from as many."""
        maps = list(maps)
        for node in self.nodes:
            maps.append(node(maps))
        return [maps[number] for number in self.outputs]


@register
@serializable
class WeightedBiFPN(Pyramid):
    """Cells in a row; each fuses every level with its neighbours, on the way down and on the way up.

    .. code-block:: text

        level  down                          up
        P7                                   P7 out = f(P7 in, P6 out)
        P6     P6 td = f(P6 in, P7 in)       P6 out = f(P6 in, P6 td, P5 out)
        P5     P5 td = f(P5 in, P6 td)       P5 out = f(P5 in, P5 td, P4 out)
        P4     P4 td = f(P4 in, P5 td)       P4 out = f(P4 in, P4 td, P3 out)
        P3     P3 out = f(P3 in, P4 td)

        f: each map at the node's width and size; their weighted sum; activation; separable 3x3; BatchNorm

    In the first cell, each edge from a map of the backbone has a 1x1 convolution and BatchNorm of its own
    where the widths differ. Sizes go up by nearest neighbour, down by max-pooling.

    State-dict keys, for cell c, node n and its edge e in the topology's order; P6 is ``extra.0``:

    .. code-block:: text

        extra.{i}.project.{conv, bn}.*                     where the widths differ: P6
        cells.{c}.nodes.{n}.edges.{e}.project.{conv, bn}.*
        cells.{c}.nodes.{n}.fuse.edge_weights              [edges]; none for fusion 'sum' or a single edge
        cells.{c}.nodes.{n}.block.conv.depthwise.weight    [W, 1, 3, 3]
        cells.{c}.nodes.{n}.block.conv.pointwise.*         [W, W, 1, 1]; block.conv.* [W, W, 3, 3] if dense
        cells.{c}.nodes.{n}.block.bn.*

    'tutorial' has ``extra.{i}.{conv, bn}.*`` and ``block.{depthwise, pointwise}.{conv, bn}.*`` instead, if
    dense ``block.{conv, bn}.*``. Every conv but the depthwise and the tutorial's nodes' has a bias.

    Args:
        in_channels (list[int]): of the incoming maps, finest first; set from the backbone.
        in_strides (list[int] | None): of the incoming maps; set from the backbone.
        out_channels (int): W, of every level.
        num_cells (int): cells in a row.
        num_levels (int | None): levels of the pyramid; those beyond the backbone's are pooled from its last
            map. By default, the backbone's alone.
        topology (str | list[dict]): see :func:`make_topology`.
        fusion (str): see :class:`WeightedFusion`.
        separable (bool): False makes the nodes' convolutions dense.
        act (str): of the nodes.
        coarsest_first (bool): order of the outputs: strides 32, 16, 8, as ETHead and EfficientRepHead want
            them. False is EfficientDetHead's, strides 8, 16, 32 and on.

    Raises:
        ValueError: levels, strides or a topology that do not fit.

    Source: EfficientDet, arXiv:1911.09070, section 3; google/automl, efficientdet/.
    """

    def __init__(
        self,
        in_channels=(40, 112, 320),
        in_strides=None,
        out_channels=64,
        num_cells=3,
        num_levels=None,
        topology="official",
        fusion="fast",
        separable=True,
        act="swish",
        coarsest_first=True,
    ):
        super().__init__()
        levels = len(in_channels) if num_levels is None else num_levels
        if levels < len(in_channels):
            raise ValueError(
                f"WeightedBiFPN: num_levels is {levels}, but {len(in_channels)} feature maps come in; set "
                "the backbone's return_idx"
            )
        if num_cells < 1:
            raise ValueError(f"WeightedBiFPN: num_cells is {num_cells}; give 1 or more")
        self.first_level = self._finest(in_strides)
        self.topology = make_topology(topology, self.first_level, levels)
        self.coarsest_first = coarsest_first
        widths = list(in_channels)
        self.extra = nn.LayerList()
        while len(widths) < levels:
            self.extra.append(self._coarser(widths[-1], out_channels))
            widths.append(out_channels)
        self.cells = nn.LayerList()
        for _ in range(num_cells):
            self.cells.append(
                Cell(self.topology, self.first_level, widths, out_channels, fusion, act, separable)
            )
            widths = [out_channels] * levels
        strides = [in_strides[0] * 2**i if in_strides else None for i in range(levels)]
        self._channels = widths
        self._strides = strides[::-1] if coarsest_first else strides
        set_batch_norm(self, **BATCH_NORM)

    @staticmethod
    def _finest(strides):
        """l of the finest level, of stride 2**l."""
        if not strides:
            return USUAL_FINEST
        first = strides[0].bit_length() - 1
        if list(strides) != [2 ** (first + i) for i in range(len(strides))]:
            raise ValueError(
                f"WeightedBiFPN: feature maps of strides {list(strides)}, where each has to be twice the one "
                "before, and a power of two; set the backbone's return_idx"
            )
        return first

    def _coarser(self, in_channels, channels):
        """What makes a level of half the size."""
        if self.topology.strided:
            return ConvNormAct(in_channels, channels, 3, 2, same=True, bias=True)
        return Resample(in_channels, channels, 1)

    def forward(self, feats, for_mot=False):
        """Fuses the feature maps.

        Args:
            feats (list[Tensor]): ``[B, C_i, H / s_i, W / s_i]``, finest first. An odd side is halved upwards.
            for_mot (bool): accepted because PaddleDetection's architectures pass it; has no effect.

        Returns:
            list[Tensor]: ``[B, W, h, w]``, one map a level, in the order of ``coarsest_first``.
        """
        maps = list(feats)
        for coarser in self.extra:
            maps.append(coarser(maps[-1]))
        for cell in self.cells:
            maps = cell(maps)
        return maps[::-1] if self.coarsest_first else maps

    def parts(self):
        """The levels beyond the backbone's, then the nodes of each cell (list[Part])."""
        levels, extra = len(self._channels), len(self.extra)
        maps = list(range(levels))  # what a cell reads, by the numbers of Part
        nodes = [Part("in", (layer,), (levels - extra + i - 1,)) for i, layer in enumerate(self.extra)]
        names = map_names(self.topology.nodes, self.first_level, levels)[levels:]
        for number, cell in enumerate(self.cells):
            for name, node in zip(names, cell.nodes):
                reads = tuple(maps[offset] for offset in node.inputs)
                nodes.append(Part(name.split()[1], (node,), reads, f"cell {number + 1}"))
                maps.append(levels - extra + len(nodes) - 1)
            maps = [maps[offset] for offset in cell.outputs]
        return nodes

    def fusion_weights(self):
        """What each node makes of the maps that it reads, for a plot.

        Returns:
            list[list[dict]]: for each cell its nodes: 'name' ('P4 td'), 'edges' (list[str], 'P4 in') and
            'weights' (list[float]) of these. They are the same in both forms.
        """
        nodes, levels = self.topology.nodes, len(self._channels)
        names = map_names(nodes, self.first_level, levels)
        return [
            [
                {
                    "name": names[levels + number],
                    "edges": [names[offset] for offset in node.inputs],
                    "weights": cell.nodes[number].weights(),
                }
                for number, node in enumerate(nodes)
            ]
            for cell in self.cells
        ]
