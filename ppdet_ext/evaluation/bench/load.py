"""What else the machine computes while rows are measured: a busy machine makes figures worthless."""

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
# Columns of the line 'cpu' that are work: user, nice, system, irq, softirq, and what the host stole.
WORK = (0, 1, 2, 5, 6, 7)


class OthersLoad:
    """The share of the processor that other processes take between two moments.

    Args:
        own_s (float): CPU seconds that the rows' processes have used until now.
    """

    def __init__(self, own_s):
        self.start = self._now(own_s)

    def share(self, own_s):
        """The share since the start.

        Args:
            own_s (float): CPU seconds that the rows' processes have used until now.

        Returns:
            float: 0..1 of all cores; None where the system does not say.
        """
        wall, work, own = (end - start for end, start in zip(self._now(own_s), self.start))
        if not STAT.exists() or wall <= 0:
            return None
        return min(max((work - own) / (wall * os.cpu_count()), 0.0), 1.0)

    @staticmethod
    def _now(own_s):
        """Seconds: of the clock, of all work, of ours."""
        return time.monotonic(), work_s(), own_s + time.process_time()


def work_s():
    """CPU seconds that the machine has worked since it started; 0 where it does not say."""
    if not STAT.exists():
        return 0.0
    columns = STAT.read_text().split("\n", 1)[0].split()[1:]
    return sum(int(columns[at]) for at in WORK) / os.sysconf("SC_CLK_TCK")
