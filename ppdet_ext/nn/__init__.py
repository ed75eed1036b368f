"""Building blocks of the networks: plain Paddle layers, no PaddleDetection."""

from .activation import ACTIVATIONS, build_activation
from .bep import YOLOV6_BATCH_NORM, BepC3, BottleRep, RepStack, block_builder
from .bi_fusion import BiFusion
from .conv import ConvNormAct, SeparableConvNormAct, set_batch_norm
from .csp import CSPRepStage, CSPStage, RepResidualBlock
from .dropblock import DropBlock
from .ese import EffectiveSE
from .image_conv import image_convolution
from .mbconv import MBConv, SqueezeExcite
from .qarepvgg import QARepVGGBlock
from .rep_block import REP_BLOCKS, rep_block_class
from .rep_scales import load_rep_scales
from .reparameterize import reparameterize
from .repopt import RepOptBlock, RepOptSearchBlock
from .repvgg import RepVGGBlock
from .same_pad import SameConv2D, SameMaxPool2D, same_padding
from .separable import SeparableConv2D
from .spp import CSPSPPF, SPP, SPP_BLOCKS, SPPF
from .weighted_fusion import WeightedFusion

__all__ = [
    "ACTIVATIONS",
    "BepC3",
    "BiFusion",
    "block_builder",
    "BottleRep",
    "build_activation",
    "ConvNormAct",
    "CSPRepStage",
    "CSPSPPF",
    "CSPStage",
    "DropBlock",
    "EffectiveSE",
    "image_convolution",
    "load_rep_scales",
    "MBConv",
    "QARepVGGBlock",
    "rep_block_class",
    "REP_BLOCKS",
    "reparameterize",
    "RepOptBlock",
    "RepOptSearchBlock",
    "RepResidualBlock",
    "RepStack",
    "RepVGGBlock",
    "SameConv2D",
    "SameMaxPool2D",
    "same_padding",
    "SeparableConv2D",
    "SeparableConvNormAct",
    "set_batch_norm",
    "SPP",
    "SPP_BLOCKS",
    "SPPF",
    "SqueezeExcite",
    "WeightedFusion",
    "YOLOV6_BATCH_NORM",
]
