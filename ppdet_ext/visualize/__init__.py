"""Pictures and plots: detections on images, contact sheets, training curves, benchmarks, fusion weights."""

from .bench_plot import plot_bench
from .curves import plot_training
from .draw import draw_boxes, draw_detections
from .fusion_plot import draw_fusion_weights
from .grid import contact_sheet
from .operating_plot import plot_operating_points
from .ranking_plot import plot_ranking
from .save import write_image
from .topology_plot import draw_topology

__all__ = [
    "contact_sheet",
    "draw_boxes",
    "draw_detections",
    "draw_fusion_weights",
    "draw_topology",
    "plot_bench",
    "plot_operating_points",
    "plot_ranking",
    "plot_training",
    "write_image",
]
