"""Reading and preprocessing, the network, and post-processing at the same time, batch by batch, in order.

    source -> reader, with helpers -> network -> finisher -> the caller's loop
                 ^                                              |
                 +------------------ free slots ----------------+

Each stage is a thread; OpenCV, NumPy and the engines compute outside Python's lock. A batch holds a slot from
the first image read until the caller has its last result, so that the slots bound what is on its way.
"""

import atexit
import os
import queue
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor

# What a source yields to say that nothing more is there at the moment: the batch goes off as it is.
FLUSH = object()
# Threads that decode and preprocess; more than a few only take time from the network.
HELPERS = min(4, os.cpu_count() or 1)
# How long the end of a run waits for a source that is stuck in a read; then its thread is left to itself.
PATIENCE = 5.0


_RUNNING = weakref.WeakSet()


@atexit.register
def _end_all():
    """End what a program left open: Python takes the process down when it stops a thread inside an engine."""
    for pipeline in list(_RUNNING):
        pipeline.end()


class Batch:
    """Items on their way.

    Attributes:
        slot (Slot | None): holds their arrays; None for the end of all batches.
        items (list): what the source gave.
        prepared (list): a Future of each item.
        outputs (tuple | None): what the network gave.
        results (list): one an item.
        error (Exception | None): of the network, of what follows it, or, at the end, of the source.
    """

    def __init__(self, slot):
        self.slot = slot
        self.items, self.prepared, self.results = [], [], []
        self.outputs = self.error = None


def run_one(item, slot, work):
    """The result of one item, computed in the caller's thread; arguments as of `Pipeline`."""
    batch, future = Batch(slot), Future()
    try:
        future.set_result(work.prepare(item, 0, slot.row(0)))
    except Exception as error:  # told in the result, as in a Pipeline
        future.set_exception(error)
    batch.items, batch.prepared = [item], [future]
    work.run(batch)
    (result,) = work.finish(batch)
    return result


class Pipeline:
    """Stages around a network.

    Args:
        source (iterable): items, and FLUSH between them; its iterator is closed at the end if it can be.
        slots (list): Slots; so many batches are on their way at most.
        work (Work): its `prepare` is called by several threads at once, `run` and `finish` by one each.
        stop (threading.Event | None): once set, nothing more is read, and of what is on its way only what has
            come to the network gives results.

    Attributes:
        stuck (bool): after the end: a thread was left behind that still may write into the slots.
    """

    def __init__(self, source, slots, work, stop=None):
        self.source = source
        self.slots = slots
        self.work = work
        self.stop = stop if stop is not None else threading.Event()
        self.closed = threading.Event()
        self.stuck = False
        self.stages = []
        # Unbounded: the slots are what there is.
        self.free, self.read, self.ran, self.done = (queue.SimpleQueue() for _ in range(4))

    def results(self):
        """Generator of all results, in the order of the items.

        Closing it ends the threads. An exception of the source comes at its place, after the results before
        it; one of the network, or of what follows it, in place of the results of its batch.
        """
        for slot in self.slots:
            self.free.put(slot)
        self.stages = [
            threading.Thread(target=target, args=args, name=f"ppdet_ext {name}", daemon=True)
            for name, target, args in (
                ("reader", self._read, ()),
                ("network", self._stage, (self.read, self.ran, self._run)),
                ("finisher", self._stage, (self.ran, self.done, self._finish)),
            )
        ]
        for stage in self.stages:
            stage.start()
        _RUNNING.add(self)
        try:
            while True:
                batch = self.done.get()
                if batch.error is not None:
                    raise batch.error
                if batch.slot is None:
                    return
                yield from batch.results
                self.free.put(batch.slot)
        finally:
            self.end()

    def end(self):
        """End the threads; as closing the generator of `results` does."""
        self.closed.set()
        self.free.put(None)
        reader, *others = self.stages
        reader.join(PATIENCE)
        self.stuck = reader.is_alive()
        if not self.stuck:
            for stage in others:
                stage.join()

    def _read(self):
        """The reader's thread: fill slots until the source or the caller ends."""
        end = Batch(None)
        with ThreadPoolExecutor(HELPERS, "ppdet_ext helper") as helpers:
            items = None
            try:
                items = iter(self.source)
                self._fill_slots(items, helpers)
            except Exception as error:  # the caller's, raised in the caller's loop
                end.error = error
            finally:
                self._close(items, end)
                self.read.put(end)

    def _fill_slots(self, items, helpers):
        number, more = 0, True
        while more:
            slot = self.free.get()
            if slot is None:
                return
            batch, more = Batch(slot), False
            try:
                for item in items:
                    if self.stop.is_set() or self.closed.is_set():
                        return
                    if item is FLUSH:
                        if batch.items:
                            more = True
                            break
                        continue
                    row = slot.row(len(batch.items))
                    batch.items.append(item)
                    batch.prepared.append(helpers.submit(self.work.prepare, item, number, row))
                    number += 1
                    if len(batch.items) == slot.size:
                        more = True
                        break
            finally:
                if batch.items:
                    self.read.put(batch)

    @staticmethod
    def _close(items, end):
        close = getattr(items, "close", None)
        if close is not None:
            try:
                close()
            except Exception as error:  # the caller's, as above
                end.error = end.error or error

    def _stage(self, source, target, step):
        """A stage's thread: take a batch, do the step, hand it on; the one without a slot is the last."""
        while True:
            batch = source.get()
            if batch.slot is not None and batch.error is None and not self.closed.is_set():
                try:
                    step(batch)
                except Exception as error:  # handed to the caller's loop
                    batch.error = error
            target.put(batch)
            if batch.slot is None:
                return

    def _run(self, batch):
        for future in batch.prepared:
            future.exception()  # waits: helpers write into the slot
        if self.stop.is_set():
            batch.items, batch.prepared = [], []
        else:
            self.work.run(batch)

    def _finish(self, batch):
        batch.results = self.work.finish(batch)
