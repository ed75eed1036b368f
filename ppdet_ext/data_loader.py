"""Mends of Paddle's DataLoader: what its readers die of is said, and its workers end when nobody reads."""

from __future__ import annotations

import contextlib
import glob
import inspect
import multiprocessing
import os
import re
import sys


def mend_data_loader() -> None:
    """Makes an exception in a dataset reach the caller as itself, and workers end with their process.

    Without workers, Paddle 2.6 waits forever: the reading thread dies of an image that can't be decoded, and
    nobody tells the queue that it feeds. With workers, Paddle says that a queue was killed, below a worker's
    traceback; of a worker that the system has killed it gives the traceback of what ran in the main process.

    Workers of a process that is killed wait for ever, each with its 250 MB: they mean to look every five
    seconds whether it still lives, but hand the seconds to `get` as its `block`; and they take whose child
    they are once they have started for their parent, who may be dead by then.
    """
    from paddle.io import multiprocess_utils
    from paddle.io.dataloader import dataloader_iter, worker

    if hasattr(worker, "_mended"):
        return
    worker._mended = True

    class WorkerException(worker._WorkerException):
        def __init__(self, worker_id, exc_info=None):
            super().__init__(worker_id, exc_info)
            self.text = str((exc_info or sys.exc_info())[1])

        def reraise(self):
            if issubclass(self.exc_type, ValueError):  # of the user's input, in one line
                raise ValueError(self.text)
            super().reraise()

    class ParentWatchDog(worker.ParentWatchDog):
        def __init__(self):
            super().__init__()
            self._parent_pid = multiprocessing.parent_process().pid

    worker.ParentWatchDog = ParentWatchDog
    WorkerException.__module__, WorkerException.__qualname__ = worker.__name__, "_WorkerException"
    worker._WorkerException = dataloader_iter._WorkerException = WorkerException
    dataloader_iter._worker_loop = _work
    for reader in (dataloader_iter._DataLoaderIterSingleProcess, dataloader_iter._DataLoaderIterMultiProcess):
        if hasattr(reader, "_exit_thread_unexpectedly"):
            _mend_reader(reader)
    look = multiprocess_utils.core._throw_error_if_process_failed

    def look_and_explain():
        try:
            look()
        except Exception as error:
            reason = re.search(r"killed by signal: [^.]*|exited unexpectedly[^.]*", str(error))
            raise _dead_worker(reason.group() if reason else error) from None

    multiprocess_utils.core._throw_error_if_process_failed = look_and_explain


class _Requests:
    """What a worker is asked for, by a queue whose `get` takes seconds."""

    def __init__(self, queue):
        self._queue = queue

    def get(self, seconds):
        return self._queue.get(timeout=seconds)


def _work(*args):
    """Paddle's `_worker_loop`, in the worker."""
    from paddle.io.dataloader.worker import _worker_loop

    bound = inspect.signature(_worker_loop).bind(*args)
    bound.arguments["indices_queue"] = _Requests(bound.arguments["indices_queue"])
    _worker_loop(*bound.args)
    if os.getppid() != multiprocessing.parent_process().pid:  # nobody takes the batches that are underway
        queue = bound.arguments["out_queue"]
        queue.cancel_join_thread()
        queue.close()
        if queue._thread:  # puts the last one into shared memory
            queue._thread.join(timeout=10)
        _drop_batches(os.getpid())


def _dead_worker(reason) -> ChildProcessError:
    return ChildProcessError(
        f"a worker of the reader has died ({reason}); if memory ran out, lower worker_num or "
        "TrainReader.batch_size"
    )


def _mend_reader(reader) -> None:
    """Keeps what the thread of an iterator dies of, and raises it where batches are taken."""
    read, take = reader._thread_loop, reader.__next__

    def read_or_tell(self, *args):
        try:
            read(self, *args)
        except Exception as error:
            self._failure = error
            self._exit_thread_unexpectedly()

    def take_or_raise(self):
        try:
            return take(self)
        except StopIteration:
            raise
        except Exception:  # the queue's own complaint that it was killed, maybe before the thread has died
            self._thread.join(timeout=10)
            if self._failure is None:
                dead = [w.exitcode for w in getattr(self, "_workers", ()) if w.exitcode]
                if dead:
                    raise _dead_worker(f"exit status {dead[0]}") from None
                raise
        # An iterator that its own error points back at is left to the garbage collector, which closes the
        # queues to its workers before it asks them to end.
        failure, self._failure = self._failure, None
        raise failure

    reader._failure = None
    reader._thread_loop, reader.__next__ = read_or_tell, take_or_raise


def stop_reading(iterator) -> None:
    """Ends an iterator of Paddle's DataLoader before its end, and waits until nothing more is read.

    Without workers its thread would otherwise wait for ever to hand the next batch over, and draw random
    numbers until then. With workers, batches that nobody has taken would stay in shared memory for good.
    """
    if not hasattr(iterator, "_workers") and not iterator._shutdown:
        iterator._thread_done_event.set()
        if iterator._blocking_queue:
            iterator._blocking_queue.close()
        if iterator._thread:
            iterator._thread.join()
    iterator._try_shutdown_all()
    for worker in getattr(iterator, "_workers", ()):
        _drop_batches(worker.pid)


def _drop_batches(pid) -> None:
    """Takes a worker's batches out of shared memory; what is in use stays mapped."""
    for batch in glob.glob(f"/dev/shm/paddle_{pid}_*"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(batch)
