"""The batches of a training, epoch by epoch, so that a resumed run reads what the uninterrupted one does."""

from ppdet_ext.data.reader.stream import Stream
from ppdet_ext.data_loader import stop_reading

from .seeds import derived_seed, seed_epoch


class EpochReader:
    """Gives each epoch what belongs to it from its first image on.

    PaddleDetection starts to read an epoch at the end of the one before, when its datasets do not yet know
    the epoch that they read for, with the random numbers that the last epoch has left.

    Args:
        loader: PaddleDetection's reader of a training, or one with ``fast: true``.
        seed (int): of the run.
    """

    def __init__(self, loader, seed):
        self._loader = loader
        self._seed = seed
        self._attempt = None

    def batches(self, epoch, attempt):
        """The batches of an epoch.

        Args:
            epoch (int): from 0.
            attempt (int): how often the run has gone back to a checkpoint: other random numbers each time.
        """
        loader = self._loader
        loader.dataset.set_epoch(epoch)
        if isinstance(loader.dataloader, Stream):
            if attempt != self._attempt:
                loader.dataloader.restart(derived_seed(self._seed, attempt))
                self._attempt = attempt
            seed_epoch(self._seed, epoch, attempt)
            return iter(loader.dataloader)
        # What a reader began when it was made serves the first epoch.
        if epoch > 0 or attempt:
            stop_reading(loader.loader)
            seed_epoch(self._seed, epoch, attempt)
            # By its count of images some operators grow stronger.
            loader.dataset._curr_iter = epoch * len(loader) * loader.batch_size
            if hasattr(loader._batch_sampler, "set_epoch"):
                loader._batch_sampler.set_epoch(epoch)
            loader.loader = iter(loader.dataloader)
        return loader.loader
