"""Evaluation by all processes of a distributed run, each of its share, with the numbers of one process."""

import contextlib
import time

import numpy as np
import paddle
import paddle.distributed as dist
from ppdet.engine.callbacks import ComposeCallback

from ppdet_ext.data_loader import stop_reading

# Whose metrics are fed batch by batch; for others, PaddleDetection's first process evaluates alone.
METRICS = ("COCO", "VOC")


def is_shared(trainer):
    """Whether every process takes part in the evaluations of a trainer."""
    return trainer._nranks > 1 and trainer.cfg.metric in METRICS


class OwnBatches(paddle.io.BatchSampler):
    """Of the batches of a sampler every N-th, beginning with the one of this process's rank.

    Whole batches, so that each is one that a single process would run: on some devices the last bits of an
    image's boxes depend on what else is in its batch.

    Args:
        batches (BatchSampler): that gives the same batches in every process.
        rank, processes (int): of this process, and N; by default those of the run.
    """

    def __init__(self, batches, rank=None, processes=None):
        self._batches = batches
        self._rank = dist.get_rank() if rank is None else rank
        self._processes = dist.get_world_size() if processes is None else processes

    def __iter__(self):
        for place, batch in enumerate(self._batches):
            if place % self._processes == self._rank:
                yield batch

    def __len__(self):
        return len(range(self._rank, len(self._batches), self._processes))


def leave_own_batches(reader):
    """Takes the batches of the other processes away from an evaluation's reader."""
    stop_reading(reader.loader)
    reader._batch_sampler = reader.dataloader.batch_sampler = OwnBatches(reader._batch_sampler)
    reader.loader = iter(reader.dataloader)


def evaluate_shared(trainer, reader):
    """Runs an evaluation to whose metrics each process brings what it found in its own batches.

    The first process feeds its metrics with all of it in the order of the dataset, as if it had been alone,
    and its callbacks are called as in PaddleDetection's evaluation; the others go on.

    Args:
        trainer: with the model, the metrics (of the first process) and the callbacks.
        reader: after :func:`leave_own_batches`.
    """
    status, leads = trainer.status, dist.get_rank() == 0
    callbacks = trainer._compose_callback if leads else ComposeCallback([])
    start = time.time()
    callbacks.on_epoch_begin(status)
    status["mode"] = "eval"
    trainer.model.eval()
    found = []
    with _first_process_weights(trainer.model), paddle.no_grad():
        for step, data in enumerate(reader):
            status["step_id"] = step
            callbacks.on_step_begin(status)
            with paddle.amp.auto_cast(**_precision(trainer)):
                outputs = trainer.model(data)
            found.append((_to_host(data, leave="image"), _to_host(outputs)))
            callbacks.on_step_end(status)
    everything = []
    dist.all_gather_object(everything, found)
    if leads:
        _conclude(trainer, everything)
        status["cost_time"] = time.time() - start
        callbacks.on_epoch_end(status)
    trainer._reset_metrics()


def _conclude(trainer, everything):
    """Feeds the metrics with what the processes found: batch i is the i // N-th of process i % N."""
    images = 0
    for place in range(sum(map(len, everything))):
        data, outputs = everything[place % len(everything)][place // len(everything)]
        for metric in trainer._metrics:
            metric.update(_to_tensors(data), _to_tensors(outputs))
        first = data[0] if isinstance(data, (list, tuple)) else data
        images += len(_values(first["im_id"]))
    trainer.status["sample_num"] = images
    for metric in trainer._metrics:
        metric.accumulate()
        metric.log()


def _precision(trainer):
    accelerated = any(trainer.cfg.get(f"use_{device}") for device in ("gpu", "npu", "mlu", "xpu"))
    return {
        "enable": bool(trainer.use_amp and accelerated),
        "custom_white_list": trainer.custom_white_list,
        "custom_black_list": trainer.custom_black_list,
        "level": trainer.amp_level,
    }


@contextlib.contextmanager
def _first_process_weights(model):
    """The model has the first process's weights meanwhile: without SyncBatchNorm, statistics differ."""
    state = [value for value in model.state_dict().values() if value.is_floating_point()]
    own = [value.clone() for value in state]
    for value in state:
        dist.broadcast(value, src=0)
    yield
    for value, before in zip(state, own):
        value.set_value(before)


class _Values:
    """A tensor on its way to another process."""

    def __init__(self, array):
        self.array = array


def _to_host(values, leave=None):
    if isinstance(values, paddle.Tensor):
        return _Values(values.numpy())
    if isinstance(values, dict):
        return {name: _to_host(value) for name, value in values.items() if name != leave}
    if isinstance(values, (list, tuple)):
        return [_to_host(value, leave) for value in values]
    return values


def _to_tensors(values):
    if isinstance(values, _Values):
        return paddle.to_tensor(values.array)
    if isinstance(values, dict):
        return {name: _to_tensors(value) for name, value in values.items()}
    if isinstance(values, list):
        return [_to_tensors(value) for value in values]
    return values


def _values(values):
    return values.array if isinstance(values, _Values) else np.asarray(values)
