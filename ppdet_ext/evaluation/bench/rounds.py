"""Rows measured in turns, a few steps of each, round after round: a drift of the machine hits all alike."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional

from tqdm import tqdm

from .load import OthersLoad
from .process import Worker, WorkerLost

MEASURED, NOT_MEASURED, FAILED = "measured", "not measured", "failed"


@dataclass
class Plan:
    """How long and with what to measure.

    Args:
        threads (int): CPU threads of every row.
        rounds (int): turns of each row.
        seconds (float): no round is begun that would end after so many seconds of measuring, but the first.
        steps (int): timed steps a turn; one more before them is not timed.
        warmup (int): steps of each row before the first round.
        answer_limit (float): seconds after which a row that does not answer counts as hung.

    Raises:
        ValueError: a number that is not positive.
    """

    threads: int
    rounds: int = 10
    seconds: float = 180.0
    steps: int = 3
    warmup: int = 5
    answer_limit: float = 300.0

    def __post_init__(self):
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} is {value}; give a number above 0")


@dataclass
class Case:
    """One row to be measured: its name, and the class that does it as `worker` loads it."""

    name: str
    target: str
    arguments: dict


@dataclass
class Measured:
    """What became of a case.

    Args:
        status (str): MEASURED; NOT_MEASURED, it cannot run here; or FAILED, it broke.
        reason (str | None): why it was not measured.
        info (dict): what the case says of itself.
        peak_mib (float | None): the most memory its process held.
        rests (bool): its threads were idle between its turns.
        cpu_s (float): CPU seconds of its process.
        rounds (list): for each round {phase: [seconds a step]}.
    """

    case: Case
    status: str = MEASURED
    reason: Optional[str] = None
    info: dict = field(default_factory=dict)
    peak_mib: Optional[float] = None
    rests: bool = True
    cpu_s: float = 0.0
    rounds: List[Dict[str, List[float]]] = field(default_factory=list)

    def take(self, worker, question):
        """Ask the worker; its answer, or None where there was none and the row is lost."""
        try:
            answer = worker.ask(question)
        except WorkerLost as error:
            answer = {"failed": str(error)}
        for key, status in (("refused", NOT_MEASURED), ("failed", FAILED)):
            if key in answer:
                self.status, self.reason, self.rounds = status, " ".join(answer[key].split()), []
                return None
        self.peak_mib, self.cpu_s = answer["peak_mib"], answer["cpu_s"]
        self.rests = self.rests and answer["rests"]
        return answer


def interleave(cases, plan, progress=True):
    """Measure cases side by side, each in a process of its own; only one computes at a time.

    Args:
        cases (list): Cases.
        plan (Plan): how long.
        progress (bool): a bar on stderr, if that is a terminal.

    Returns:
        tuple: one Measured a case, in their order, those that were measured with the same number of rounds;
        and the share of the cores that others took meanwhile, 0..1, or None where the system does not say.
    """
    results = [Measured(case) for case in cases]
    workers = {}
    with ExitStack() as stack:
        turns = len(cases) * (1 + plan.rounds)
        hidden = None if progress else True  # None: only where stderr is no terminal
        bar = stack.enter_context(tqdm(total=turns, unit="turn", leave=False, disable=hidden))
        for result in results:
            bar.set_postfix_str(f"loading {result.case.name}")
            _load(result, plan, workers, stack, results)
            bar.update()
        start, load = time.monotonic(), OthersLoad(sum(result.cpu_s for result in results))
        for number in range(plan.rounds):
            # Every other round backwards: a steady drift within a round cancels out.
            for result in results if number % 2 == 0 else results[::-1]:
                bar.set_postfix_str(result.case.name)
                _turn(result, plan, workers)
                bar.update()
            spent = time.monotonic() - start
            each = spent / (number + 1)
            possible = min(plan.rounds, max(number + 1, int(plan.seconds / each)))
            bar.total = len(cases) * (1 + possible)
            if number + 1 >= possible or not any(result.status == MEASURED for result in results):
                break
        others = load.share(sum(result.cpu_s for result in results))
    return results, others


def _load(result, plan, workers, stack, results):
    """Start the worker of a row and warm it up."""
    free, largest = _free_mib(), max((other.peak_mib or 0 for other in results), default=0)
    if free is not None and free < largest:
        result.status = NOT_MEASURED
        result.reason = f"only {free:.0f} MiB of memory are left beside the other rows; measure fewer rows"
        return
    worker = Worker(plan.threads, plan.answer_limit)
    stack.callback(worker.close)
    case = result.case
    question = {"case": case.target, "arguments": case.arguments, "warmup": plan.warmup}
    answer = result.take(worker, question)
    if answer is None:
        worker.close()
        return
    result.info = answer["info"]
    workers[id(result)] = worker


def _turn(result, plan, workers):
    """One turn of a row in one round."""
    if result.status != MEASURED:
        return
    worker = workers[id(result)]
    answer = result.take(worker, {"steps": plan.steps})
    if answer is None:
        worker.close()
    else:
        result.rounds.append(answer["seconds"])


def _free_mib():
    """Memory that can still be had, in MiB; None where the system does not say."""
    file = Path("/proc/meminfo")
    if not file.exists():
        return None
    for line in file.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024
    return None
