"""Times a fixed workload on this machine: integers, memory and branches.

Every kernel does the same operations everywhere and gives a checksum, so that a run that did
something else is noticed. Times are of the process's CPU, not of the wall.
"""

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from k40s.errors import K40sError
from workbench.progress import Progress

KERNELS_VERSION = 1
"""Grows with any change of the kernels: runs of different versions cannot be compared."""

KERNELS = ("integer", "memory", "branch")

_MASK = (1 << 64) - 1
_INTEGER_STEPS = 40_000
_BRANCH_STEPS = 60_000
_TABLE = 1 << 23
"""Entries of 4 bytes: 32 MiB, more than most caches hold for one core."""
_GATHERED = 400_000
_CHECKSUMS = {"integer": 3_627_617_849_267_172_929, "memory": 6_711_116_627_347, "branch": 52_750}


class SpeedError(K40sError):
    """A kernel computed a wrong checksum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """All times of one kernel, in ns, from the shortest up."""

    name: str
    sorted_ns: tuple[int, ...]


def measure(*, repetitions: int, core: int, progress: Progress) -> tuple[Times, ...]:
    """Run the kernels in turns on one core. Raises ``SpeedError``, ``OSError``."""
    kernels = _kernels()
    found: dict[str, list[int]] = {name: [] for name in kernels}
    with _on_core(core), _without_collector():
        for name, kernel in kernels.items():
            _check(name, kernel())
        for index in range(repetitions):
            for name, kernel in kernels.items():
                start = time.process_time_ns()
                checksum = kernel()
                found[name].append(time.process_time_ns() - start)
                _check(name, checksum)
            progress(index + 1, repetitions)
    return tuple(Times(name=name, sorted_ns=tuple(sorted(t))) for name, t in found.items())


def allowed_cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def _kernels() -> dict[str, Callable[[], int]]:
    table = (np.arange(_TABLE, dtype=np.uint32) * np.uint32(2_654_435_761)) >> np.uint32(7)
    indices = (np.arange(_GATHERED, dtype=np.uint64) * np.uint64(11_400_714_819_323_198_485)) >> (
        np.uint64(41)
    )
    order = [_scramble(step) >> 60 for step in range(_BRANCH_STEPS)]
    work: tuple[Callable[[], int], ...] = (
        _integer,
        lambda: int(table[indices].sum(dtype=np.uint64)),
        lambda: _branch(order),
    )
    return dict(zip(KERNELS, work, strict=True))


def _integer() -> int:
    """A linear congruential sequence, whose every step needs the one before."""
    value = 1
    for _ in range(_INTEGER_STEPS):
        value = (value * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) & _MASK
    return value


def _branch(order: list[int]) -> int:
    """Choices that follow no pattern."""
    total = 0
    for key in order:
        if key < 4:  # noqa: PLR2004  # a quarter of sixteen values
            total += key
        elif key < 8:  # noqa: PLR2004  # the next quarter
            total ^= key
        elif key & 1:
            total -= 1
        else:
            total += 3
    return total


def _scramble(step: int) -> int:
    value = (step + 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31


def _check(name: str, checksum: int) -> None:
    if checksum != _CHECKSUMS[name]:
        raise SpeedError(f"the kernel {name} gave {checksum}, expected {_CHECKSUMS[name]}")


@contextmanager
def _on_core(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _without_collector() -> Iterator[None]:
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()
