"""Building blocks of the networks: plain Paddle layers, no PaddleDetection."""

from .activation import ACTIVATIONS, build_activation
from .conv import ConvNormAct, SeparableConvNormAct
from .csp import CSPRepStage, CSPStage, RepResidualBlock
from .dropblock import DropBlock
from .ese import EffectiveSE
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
    "RepResidualBlock",
    "RepVGGBlock",
    "SPP",
    "SeparableConvNormAct",
    "build_activation",
    "reparameterize",
]
