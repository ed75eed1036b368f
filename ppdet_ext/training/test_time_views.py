"""`test_time_augmentation` of a config, put into effect where a trainer evaluates and predicts."""

import contextlib

from ppdet_ext.data.views import reader_of_views
from ppdet_ext.modeling.detectors.dense import DenseDetector
from ppdet_ext.runtime.tta import TTA


class TestTimeViews:
    """The views that a trainer's readers give and its detector merges; nothing where the config names none.

    A training's own evaluations stay plain: they compare snapshots, at a share of the time.

    Args:
        cfg: the config; `test_time_augmentation` is as :meth:`TTA.of` takes it.
        trainer: its `model` is asked for when a reader is made.

    Raises:
        ValueError: bad settings.
    """

    def __init__(self, cfg, trainer):
        self.cfg = cfg
        self.trainer = trainer
        self.tta = TTA.of(cfg.get("test_time_augmentation"))

    def of_reader(self, section):
        """A context in which readers of a section of the config, when made, give all views.

        Args:
            section (str): EvalReader or TestReader.
        """
        if self.tta is None:
            return contextlib.nullcontext()
        return reader_of_views(self.cfg[section], self.tta, self._stride, section)

    def attach(self):
        """Tells the detector to merge the views.

        Raises:
            ValueError: the architecture is not one of ours.
        """
        if self.tta is not None:
            self._detector().tta = self.tta

    def _stride(self):
        return max(self._detector().head.fpn_strides)

    def _detector(self):
        for layer in self.trainer.model.sublayers(include_self=True):
            if isinstance(layer, DenseDetector):
                return layer
        raise ValueError(
            f"test_time_augmentation: works with YOLODetector and EfficientDet, not with the architecture "
            f"{self.cfg.architecture}; take it out"
        )
