"""Measuring on a machine that is itself scheduled: what its host takes is seen, and said.

A test that measures time on a virtual machine may measure the host. So each measurement runs
beside a heartbeat on each CPU. What is as it should be counts at once. What is not, counts when
nothing disturbed it, twice in a row: what the kernel or the software has wrong comes again. What
may be the host's doing is measured again, and when it always may, the test is skipped and says how
much the host took.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from k40s.units import NS_PER_S

_HEARTBEAT = Path(__file__).with_name("heartbeat.py")
_TICKS = os.sysconf("SC_CLK_TCK")
_BEAT_MS = 12
"""A longer pause of a heartbeat is the host's."""
_TRIES = 8
_BELIEVED = 2
Found = TypeVar("Found")
Pause = tuple[int, int]
"""Begin and end, of the monotonic clock, ns."""


@dataclass(slots=True)
class Host:
    """What the host took while something was measured, in seconds, known at its end."""

    stolen: float = 0.0
    """As the hypervisor tells, of the CPU that it took most of."""
    stalled: float = 0.0
    """As the heartbeat of the worst CPU saw; what is told as steal as well counts twice."""

    @property
    def took(self) -> float:
        return self.stolen + self.stalled


class Holds(Protocol[Found]):  # type: ignore[misc]  # TypeVar is used as an argument alone
    """Whether it is as it should be, give or take what the host took (seconds)."""

    def __call__(self, found: Found, took: float, /) -> bool: ...


@contextmanager
def watched() -> Iterator[Host]:
    """Heartbeats on all CPUs of ours while the block runs."""
    host = Host()
    with heartbeats(os.sched_getaffinity(0)) as pauses:
        before = steal()
        yield host
        host.stolen = max(late - early for early, late in zip(before, steal(), strict=True))
    host.stalled = max(sum(end - begin for begin, end in found) / NS_PER_S for found in pauses)


@contextmanager
def heartbeats(cpus: Collection[int], *, real_time: bool = True) -> Iterator[list[list[Pause]]]:
    """One on each of these CPUs while the block runs; at its end, the pauses of each."""
    found: list[list[Pause]] = []
    beats: list[_Heartbeat] = []
    try:
        beats.extend(_Heartbeat(cpu, real_time) for cpu in sorted(cpus))
        yield found
    finally:
        found.extend(beat.stop() for beat in beats)


def undisturbed(
    measure: Callable[[], Found],
    holds: Holds[Found],
    *,
    show: Callable[[Found], str] = str,
    watch: Callable[[], AbstractContextManager[Host]] = watched,
) -> Found:
    """What was measured: as it should be, or wrong for no reason outside; else the test skips."""
    misses, hosts = 0, []
    for _ in range(_TRIES):
        with watch() as host:
            found = measure()
        said = f"host: {host.stolen:.2f} s of steal, {host.stalled:.2f} s without a heartbeat"
        print(f"{show(found)}; {said}")  # noqa: T201  # the figures belong into the report
        if holds(found, 0.0):
            return found
        hosts.append(host)
        misses = misses + 1 if not holds(found, host.took) else 0
        if misses == _BELIEVED:
            return found
    took = ", ".join(f"{host.took:.2f}" for host in hosts)
    reason = f"the host disturbs each measurement, by {took} s; the last: {show(found)}"
    raise pytest.skip.Exception(reason)


def steal() -> list[float]:
    """Seconds by CPU, as the hypervisor tells."""
    lines = Path("/proc/stat").read_text().splitlines()
    cpus = [
        line.split() for line in lines if line.startswith("cpu") and not line.startswith("cpu ")
    ]
    return [int(fields[8]) / _TICKS for fields in cpus]


@dataclass(slots=True)
class _Heartbeat:
    """That of one CPU, from now on."""

    cpu: int
    real_time: bool
    _process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        kind = () if self.real_time else ("ordinary",)
        self._process = subprocess.Popen(
            [sys.executable, "-S", str(_HEARTBEAT), str(self.cpu), str(_BEAT_MS), *kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "a heartbeat needs SCHED_FIFO"

    def stop(self) -> list[Pause]:
        """When its CPU did not run."""
        told, _ = self._process.communicate("", timeout=120)
        return [(begin, end) for begin, end in json.loads(told)]
