"""Building blocks of the networks: plain Paddle layers, no PaddleDetection."""

from .activation import ACTIVATIONS, build_activation
from .conv import ConvNormAct, SeparableConvNormAct
from .csp import CSPRepStage, CSPStage, RepResidualBlock
from .dropblock import DropBlock
from .ese import EffectiveSE
from .qarepvgg import QARepVGGBlock
from .rep_block import REP_BLOCKS, rep_block_class
from .reparameterize import reparameterize
from .repvgg import RepVGGBlock
from .spp import SPP

__all__ = [
    "ACTIVATIONS",
    "ConvNormAct",
    "CSPRepStage",
    "CSPStage",
    "DropBlock",
    "EffectiveSE",
    "QARepVGGBlock",
    "REP_BLOCKS",
    "RepResidualBlock",
    "RepVGGBlock",
    "SPP",
    "SeparableConvNormAct",
    "build_activation",
    "rep_block_class",
    "reparameterize",
]
