"""Drawing and writing beside what else goes on."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor


class Background:
    """Does jobs in threads of its own while the caller goes on.

    Args:
        threads (int): with one, jobs are done in the order given.
        waiting (int): so many jobs may be open; then `do` waits for the oldest.
    """

    def __init__(self, threads=1, waiting=8):
        self._pool = ThreadPoolExecutor(threads, "ppdet_ext background")
        self._open = deque()
        self._waiting = waiting

    def do(self, function, *args):
        """Have `function(*args)` done; an exception of an earlier job is raised here or by `close`."""
        while len(self._open) >= self._waiting or self._open and self._open[0].done():
            self._open.popleft().result()
        self._open.append(self._pool.submit(function, *args))

    def close(self):
        """Wait for all jobs; the first exception of one is raised."""
        self._pool.shutdown()
        while self._open:
            self._open.popleft().result()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
