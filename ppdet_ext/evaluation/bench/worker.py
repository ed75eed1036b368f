"""The process that one row of a benchmark lives in: `python -m ppdet_ext.evaluation.bench.worker`.

A case is a class that a row is measured with: `Case(**arguments)` builds it, `step(number)` does all there is
to time once and gives {phase: seconds}, `info()` what is worth knowing of it, ready for JSON. The process
reads one JSON object a line and answers each with one:

    {"case": "package.module:Class" or "file.py:Class", "arguments": {...}, "warmup": 5}
        -> {"info": {...}, "peak_mib": 210.5, "rests": true, "cpu_s": 6.1}
    {"steps": 3}
        -> {"seconds": {"network": [0.1, 0.1, 0.1], ...}, "peak_mib": 215.0, "rests": true, "cpu_s": 6.9}

or, when the case cannot run here (ValueError, ImportError), {"refused": reason}; when it breaks, {"failed":
reason}. 'rests' is false where the threads of an idle engine keep the processor busy.
"""

import importlib
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

# An engine's threads may spin for a while after a run, OpenMP's for 0.2 s.
REST_LIMIT_S = 1.0
REST_WINDOW_S = 0.01


def load_class(name):
    """The class that 'package.module:Class' or 'path/file.py:Class' names."""
    place, _, attribute = name.rpartition(":")
    if place.endswith(".py"):
        sys.path.insert(0, str(Path(place).resolve().parent))  # for its own neighbours
        spec = importlib.util.spec_from_file_location(Path(place).stem, place)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    return getattr(module, attribute)


def peak_mib():
    """The most memory this process has held, in MiB; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: on Linux that begins with the memory of the process that started this one.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def rest():
    """Waits until no thread of this process computes, so that the next row has the processor to itself.

    Returns:
        bool: False if they still do after REST_LIMIT_S.
    """
    end = time.monotonic() + REST_LIMIT_S
    while time.monotonic() < end:
        used = time.process_time()
        time.sleep(REST_WINDOW_S)
        if time.process_time() - used < 0.2 * REST_WINDOW_S:
            return True
    return False


def answer(question, state):
    """Carries out one question; `state` keeps the case and the number of the next step."""
    if "case" in question:
        state["case"] = load_class(question["case"])(**question["arguments"])
        state["number"] = 0
        _steps(state, question["warmup"])
        return {"info": state["case"].info()}
    # The step before the timed ones wakes threads and fills caches that another row has had since.
    _steps(state, 1)
    seconds = {}
    for step in _steps(state, question["steps"]):
        for phase, value in step.items():
            seconds.setdefault(phase, []).append(value)
    return {"seconds": seconds}


def _steps(state, count):
    first = state["number"]
    state["number"] += count
    return [state["case"].step(number) for number in range(first, first + count)]


def main():
    """Answers until the input ends."""
    # What engines and checkouts print must not get between the answers: it goes where errors go.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    state = {}
    for line in sys.stdin:
        try:
            said = answer(json.loads(line), state)
            said.update(peak_mib=peak_mib(), rests=rest(), cpu_s=time.process_time())
        except (ValueError, ImportError) as error:
            said = {"refused": str(error)}
        except Exception as error:  # whatever an engine raises becomes the row's reason
            said = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main()
