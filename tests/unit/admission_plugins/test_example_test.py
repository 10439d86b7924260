"""The admission test that the documentation ships: installable, sound, and tested by itself."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest

from k40s.admission_plugins.registry import load_admission_test
from k40s.cpu.linux import quantize_server, quantize_task
from k40s.cpu.model import ContainerDemand, CpuNode, PodDemand, Reservation, Task
from k40s.cpu.outcome import Admission, Admit
from k40s.criticality import Criticality
from k40s.simulation.core import CoreSimulation, SimServer, SimTask
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds
from tests.fakes.installed_example import EXAMPLE, NAME, install_example

ROOT = Path(__file__).parents[3]
PERIODS_MS = (20, 25, 50, 100, 200, 250)


@pytest.fixture
def admit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Admit:
    monkeypatch.syspath_prepend(str(install_example(tmp_path)))
    monkeypatch.delitem(sys.modules, "exclusive_core", raising=False)
    return load_admission_test(NAME)


def random_task(chance: Random, name: str) -> Task:
    period = chance.choice(PERIODS_MS) * NS_PER_MS
    deadline = period * chance.choice((100, 100, 70)) // 100
    return Task(
        name=name,
        wcet=Nanoseconds(deadline * chance.randrange(20, 300) // 1000 // NS_PER_US * NS_PER_US),
        period=Nanoseconds(period),
        deadline=Nanoseconds(deadline),
    )


def random_demand(chance: Random) -> PodDemand:
    tasks = tuple(random_task(chance, f"t{number}") for number in range(chance.randrange(1, 4)))
    container = ContainerDemand(container="main", tasks=tasks)
    return PodDemand(pod_uid="p", criticality=Criticality.HI, containers=(container,))


def node(tick_ms: int) -> CpuNode:
    return CpuNode(
        cores=(0,),
        tick=Nanoseconds(tick_ms * NS_PER_MS),
        node_capacity=Fraction(19, 20),
        core_capacity=Fraction(9, 10),
        platform="",
        platform_factor=Fraction(1),
    )


def misses(held: Reservation, tick: int, chance: Random) -> int:
    """Jobs that are late in ten seconds of whole WCETs, from random phases."""
    core = CoreSimulation(
        tick=tick, tick_phase=chance.randrange(max(tick, 1)), late_charges=chance.random() < 0.5
    )
    budget, period = quantize_server(held.server)
    tasks = [
        SimTask(
            name=task.name,
            wcet=wcet,
            period=interval,
            deadline=deadline,
            priority=priority,
            release=chance.randrange(interval),
            gaps=tuple(chance.choice((0, 0, interval // 7)) for _ in range(5)),
        )
        for task, priority, (wcet, interval, deadline) in zip(
            held.tasks, held.priorities, map(quantize_task, held.tasks), strict=True
        )
    ]
    refill = chance.randrange(period) + 1
    core.add(
        SimServer(name="s", budget=budget, period=period, next_replenishment=refill, tasks=tasks)
    )
    core.run(10_000_000)
    core.finish()
    assert core.finished > 0
    return len(core.misses)


@pytest.mark.parametrize("tick_ms", [0, 1, 4])
def test_what_the_example_admits_meets_every_deadline(admit: Admit, tick_ms: int) -> None:
    chance = Random(tick_ms)
    admitted = []
    while len(admitted) < 25:
        outcome = admit(node(tick_ms), random_demand(chance))
        if isinstance(outcome, Admission):
            admitted.extend(outcome.granted)

    late = [misses(held, tick_ms * 1000, chance) for held in admitted]

    assert sum(late) == 0


@pytest.mark.timeout(900)
def test_the_examples_own_tests_pass() -> None:
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *("-c", os.devnull, "--rootdir", str(EXAMPLE), str(EXAMPLE)),
    ]
    path = os.pathsep.join([str(ROOT), str(EXAMPLE)])

    result = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )

    assert result.returncode == 0, result.stdout[-2000:]
