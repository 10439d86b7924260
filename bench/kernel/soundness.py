"""Soundness on this kernel: admitted random sets, run for real.

    python bench/kernel/soundness.py [SETS [SECONDS [SEED]]]

Each set is run once for each of its pods: that pod obeys its contract, with busy loops of its
WCETs, and all others burn CPU time without end. A job is late beyond the bound of its response
time (for SCHED_DEADLINE: its deadline). What the hypervisor stole meanwhile is shown; a late job
is explained where the kernel recorded some, or a CPU was seen to stand still, from a server period
before its release to its end.
Needs root, real-time groups and cpusets of cgroup v1; uses CPU 1, and CPU 0 for shared domains.
Load balancing of the machine is off for partitions, and is put back.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random

from tests.kernel.conftest import make_kubepods
from tests.kernel.deadline_scene import PREFIX, alone, balance_kept, put_back
from tests.kernel.soundness_nodes import Kind, random_node
from tests.kernel.soundness_run import Job, act
from tests.kernel.soundness_stage import set_stage
from tests.kernel.steal_log import STEAL_UNIT

_SETS = 6
_SECONDS = 5.0


def main() -> None:
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else _SETS
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else _SECONDS
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else time.monotonic_ns() % 1_000_000
    print(f"seed {seed}, {sets} sets of each kind, {seconds:g} s for each pod of a set")
    columns = ("sets", "jobs", "late", "missed", "unexplained", "worst/bound", "stolen, s")
    print(f"{'':24}" + "".join(f"{name:>13}" for name in columns))
    for kind in Kind if len(sys.argv) < 5 else [Kind[sys.argv[4]]]:
        jobs, stolen = _run(kind, sets, seconds, seed)
        _show(kind, sets, jobs, stolen)


def _run(kind: Kind, sets: int, seconds: float, seed: int) -> tuple[list[Job], float]:
    jobs: list[Job] = []
    stolen = _steal()
    for number in range(sets):
        node = random_node(Random(seed + number), kind)  # noqa: S311  # repeatable
        with ExitStack() as undo:
            undo.enter_context(alone())
            undo.enter_context(balance_kept())
            directory = Path(undo.enter_context(tempfile.TemporaryDirectory()))
            kubepods = make_kubepods(PREFIX, undo)
            undo.callback(put_back, directory / "memory.json")
            stage = set_stage(undo, kubepods, directory, kind, PREFIX)
            for victim in sorted({held.pod_uid for held in node.reservations}):
                jobs += act(stage, node, victim, seconds=seconds, seed=seed + number)
    return jobs, _steal() - stolen


def _show(kind: Kind, sets: int, jobs: Sequence[Job], stolen: float) -> None:
    judged = [job for job in jobs if job.obeyed]
    late = [job for job in judged if job.broke_bound]
    missed = [job for job in judged if job.missed]
    unexplained = [job for job in late if not _is_disturbed(job)]
    calm = (job.response / job.bound for job in judged if not _is_disturbed(job))
    worst = max(calm, default=0.0)
    figures = (sets, len(judged), len(late), len(missed), len(unexplained))
    print(
        f"{kind.value:24}"
        + "".join(f"{figure:13}" for figure in figures)
        + f"{worst:13.2f}{stolen:13.2f}",
        flush=True,
    )
    for job in unexplained:
        print(f"    {job}")


def _is_disturbed(job: Job) -> bool:
    """Whether the host took time meanwhile, told or not."""
    return job.steal >= STEAL_UNIT or job.stalled > 0


def _steal() -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("cpu1 "):
            return int(line.split()[8]) * STEAL_UNIT
    raise SystemExit("needs CPU 1")


if __name__ == "__main__":
    main()
