"""Asks the kernel in memory what it offers for SCHED_DEADLINE, as the daemon does at its start."""

from fractions import Fraction
from pathlib import Path

from daemons.rubicante.kernel.system import Wait
from daemons.rubicante.mechanisms.deadline.assembly import ask_for_deadline
from daemons.rubicante.mechanisms.deadline.discovery import DeadlineSupport, Partitions
from daemons.rubicante.mechanisms.paths import KernelPaths
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.domains import PROC, V1, V2, DomainKernel

DEBUG = Path("/debug/sched")
PODS = V2 / "kubepods"
BALANCE = "cpuset.sched_load_balance"
TICK = Nanoseconds(4 * NS_PER_MS)


def ask(
    kernel: DomainKernel,
    memory: Path,
    *,
    cores: set[int],
    version: int = 1,
    allowed: bool = False,
    held: dict[int, Fraction] | None = None,
    wait: Wait = lambda _: None,
    patience: float = 0.5,
) -> tuple[DeadlineSupport, Partitions | None]:
    return ask_for_deadline(
        system=kernel,
        attributes=kernel,
        paths=KernelPaths(
            proc=PROC,
            debug=DEBUG,
            saved_values=memory,
            cpusets=V1 if version == 1 else None,
            unified=V2 if version == 2 else None,
            pods=PODS if version == 2 else None,
        ),
        prefix="k40s-rt",
        cores=cores,
        tick=TICK,
        held=held or {},
        load_balance_off=allowed,
        start_probe=kernel,
        wait=wait,
        patience=patience,
    )
