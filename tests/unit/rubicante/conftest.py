from pathlib import Path

import pytest
from flask.testing import FlaskClient

from daemons.rubicante.api.app import create_app
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from tests.fakes.rubicante.http import state_of
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel
from tests.fakes.rubicante.world import World, pod


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> FlaskClient:
    world.server.add(pod(1))
    return create_app(reservations=world.reservations, state=state_of(world)).test_client()


@pytest.fixture
def system() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def groups(system: FakeKernel, waits: list[float]) -> BudgetGroups:
    return BudgetGroups(system=system, root=CPU, prefix="rt", wait=waits.append)


@pytest.fixture
def threads(system: FakeKernel) -> Threads:
    return Threads(system=system, proc=PROC)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "cpusets.json"
