"""Memory of a gunicorn master and its workers, and its growth."""

import statistics
from collections.abc import Sequence
from pathlib import Path

_KB = 1024


class Memory:
    """At one instant, in MB (10^6 bytes).

    ``worker`` is the resident size of the worker. ``total`` is that of all processes with shared
    pages counted once: what they have written (a proportional share each), and the files that the
    worker has mapped, which are the master's as well. It does not depend on who else runs Python.
    """

    def __init__(self, master: int) -> None:
        text = Path(f"/proc/{master}/task/{master}/children").read_text()
        workers = [int(pid) for pid in text.split()]
        everyone = (master, *workers)
        self.worker = max(
            _field(Path(f"/proc/{pid}/status"), "VmRSS") for pid in workers or [master]
        )
        self.written = sum(
            _field(Path(f"/proc/{pid}/smaps_rollup"), "Pss_Anon") for pid in everyone
        )
        self.total = self.written + max(
            _field(Path(f"/proc/{pid}/status"), "RssFile") for pid in everyone
        )

    def __repr__(self) -> str:
        return f"worker {self.worker:.1f} MB resident, all processes {self.total:.1f} MB"


def growth(samples: Sequence[tuple[float, float]]) -> str:
    """How (seconds, MB) change over the second half: a fitted line with its error, and the range.

    The error is the standard error of the slope, as if samples were independent.
    """
    half = [(at, size) for at, size in samples if at >= samples[-1][0] / 2]
    sizes = [size for _, size in half]
    spread = f"{min(sizes):.2f} to {max(sizes):.2f} MB"
    if len(half) < 3:  # two points are always on a line
        return spread
    times = [at for at, _ in half]
    slope, offset = statistics.linear_regression(times, sizes)
    errors = sum((size - offset - slope * at) ** 2 for at, size in half)
    error = (errors / (len(half) - 2)) ** 0.5 / (statistics.pstdev(times) * len(half) ** 0.5)
    return f"{spread}, {slope * 3600:+.2f} MB an hour (standard error {error * 3600:.2f})"


def _field(path: Path, name: str) -> float:
    lines = (line.split() for line in path.read_text().splitlines())
    return next(int(words[1]) * _KB / 1e6 for words in lines if words[0] == f"{name}:")
