"""A daemon whose kernel has HRTICK_DL, which another program switches off."""

import errno
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.mechanisms.timer.budget_timer import (
    AGAIN_SECONDS,
    TRUSTED_SECONDS,
    WATCH_SECONDS,
)
from k40s.annotations import CPU_STATE_KEY, CpuState, parse_cpu_state
from k40s.cpu.model import Mechanism
from k40s.criticality import Criticality
from k40s.node_api.messages import AdmissionAnswer
from k40s.reasons import Reason
from k40s.units import NS_PER_US
from tests.fakes.rubicante.api_server import FakeApiServer, FakePodSource, FakeStore
from tests.fakes.rubicante.domains import PROC, V1, V2, DomainKernel
from tests.fakes.rubicante.features import DEBUG, FEATURES, OFF, ON, is_on, marks
from tests.fakes.rubicante.scene import SETTINGS
from tests.fakes.rubicante.world import ask, pod, task, uid


class Node:
    def __init__(
        self,
        place: Path,
        *,
        hrtick: bool = True,
        features: str = OFF,
        kernel: DomainKernel | None = None,
    ) -> None:
        self.seconds = 0.0
        self.place = place
        self.kernel = kernel or DomainKernel()
        self.kernel.folders.add(DEBUG)
        self.kernel.files[FEATURES] = features
        self.kernel.files[V1 / "cpuset.sched_load_balance"] = "0"
        self.kernel.files[PROC / "self" / "status"] = "CapEff:\tffffffff\n"
        self.server = FakeApiServer()
        self.store = FakeStore()
        self.daemon = self.start(hrtick=hrtick)

    def start(self, *, hrtick: bool = True) -> Daemon:
        daemon = Daemon(
            replace(
                SETTINGS,
                cpus=(0, 1),
                cpu_cgroup_path=Path("/absent"),
                cpuset_cgroup_path=V1,
                unified_cgroup_path=V2,
                scheduler_debug_path=DEBUG,
                store=self.place / "book.sqlite",
                hrtick=hrtick,
            ),
            system=self.kernel,
            gateway=self.server,
            pods=FakePodSource(self.server),
            store=self.store,
            deadline=DeadlineAccess(attributes=self.kernel, start_probe=self.kernel),
            clock=lambda: self.seconds,
        )
        daemon.publication.beat()
        daemon.informer.synchronized.set()
        daemon.upkeep.tick()
        daemon.publication.publish()
        return daemon

    def reserve(self, number: int) -> AdmissionAnswer:
        """A control loop of 2 ms, which no tick of 4 ms could hold beside another pod."""
        self.server.add(pod(number))
        request = ask(number, task(wcet_ms=1, period_ms=5), criticality=Criticality.HI)
        workload = replace(request.workload, mechanism=Mechanism.DEADLINE)
        return self.daemon.reservations.reserve(replace(request, workload=workload))[0]

    def after(self, seconds: float) -> CpuState:
        self.seconds += seconds
        self.daemon.offer.refresh()
        self.daemon.publication.publish()
        assert self.server.node is not None
        return parse_cpu_state(self.server.node.annotations[CPU_STATE_KEY])

    def overrun(self, seconds: float = 0.0) -> int:
        """The published δ of SCHED_DEADLINE, in µs."""
        offer = self.after(seconds).node.deadline
        assert offer is not None
        return offer.tick // NS_PER_US

    def lose(self) -> None:
        """Another program switches the feature off."""
        self.seconds += AGAIN_SECONDS
        self.kernel.files[FEATURES] = OFF

    def troubles(self) -> set[tuple[str, str]]:
        return {(c.pod_uid[-1], c.trouble.value) for c in self.daemon.enforcer.conditions()}


MakeNode = Callable[..., Node]


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[MakeNode]:
    made: list[Node] = []

    def make(**kind: Any) -> Node:  # noqa: ANN401  # those of Node
        made.append(Node(tmp_path, **kind))
        return made[-1]

    yield make
    for node in made:
        node.daemon.halt()


@pytest.fixture
def node(make_node: MakeNode) -> Node:
    return make_node()


def test_the_published_offer_follows_the_timer(node: Node) -> None:
    document = json.loads(node.daemon.state.document())

    assert node.overrun() == 100
    assert document["deadline"] == {
        "overrun": "100us",
        "delay": "0ns",
        "hrtick_dl": "on",
        "by_k40s": True,
        "preemption": "rt",
        "bound": "100us",
        "measured": {"user": None, "calls": None, "wake_ups": None},
    }


def test_loops_are_admitted_beside_each_other_that_a_tick_would_refuse(make_node: MakeNode) -> None:
    with_timer, without = make_node(), make_node(hrtick=False)

    admitted = [with_timer.reserve(number).schedulable for number in (1, 2, 3)]
    refused = [without.reserve(number) for number in (1, 2, 3)]

    assert admitted == [True] * 3
    assert [answer.schedulable for answer in refused] == [True, True, False]
    assert refused[2].reason is Reason.CPU_NOT_SCHEDULABLE


def test_a_loss_is_published_and_told_to_those_who_counted_on_it(node: Node) -> None:
    for number in (1, 2, 3):
        node.reserve(number)
    node.daemon.loop.tick()
    before = node.troubles()
    node.lose()

    lost = node.overrun(WATCH_SECONDS)
    told = node.troubles()
    node.daemon.pod_events.send()

    assert before == set()
    assert lost == 4000
    assert told == {(number, "enforced-late") for number in "123"}
    assert [reason for _, reason, _ in node.server.events] == ["BudgetTimerLost"]
    assert "more than it was admitted for" in node.daemon.enforcer.conditions()[0].text


def test_what_is_switched_on_again_counts_when_it_has_lasted(node: Node) -> None:
    for number in (1, 2, 3):
        node.reserve(number)
    node.daemon.loop.tick()
    node.lose()
    lost = node.overrun(WATCH_SECONDS)
    is_repaired = is_on(node.kernel)

    again = node.overrun(TRUSTED_SECONDS)

    assert (lost, is_repaired, again) == (4000, True, 100)
    assert node.troubles() == set()


def test_without_permission_it_stays_lost_and_those_pods_stay_told(make_node: MakeNode) -> None:
    node = make_node(hrtick=False, features=ON)
    for number in (1, 2, 3):
        node.reserve(number)
    node.daemon.loop.tick()
    node.lose()
    node.overrun(WATCH_SECONDS)

    assert node.overrun(10 * AGAIN_SECONDS) == 4000
    assert len(node.troubles()) == 3
    assert node.after(0).complete


def test_while_it_is_lost_nobody_is_admitted_on_it(node: Node) -> None:
    node.reserve(1)
    node.reserve(2)
    node.lose()
    node.overrun(WATCH_SECONDS)

    alone, beside = node.reserve(3), node.reserve(4)

    assert alone.schedulable
    assert beside.reason is Reason.CPU_NOT_SCHEDULABLE


def test_a_pod_that_leaves_ends_the_trouble_of_its_neighbour(node: Node) -> None:
    for number in (1, 2):
        node.reserve(number)
    node.daemon.loop.tick()
    node.lose()
    node.overrun(WATCH_SECONDS)
    before = node.troubles()

    node.daemon.reservations.release(uid(1))
    node.seconds += 10
    node.daemon.loop.tick()

    assert (len(before), node.troubles()) == (2, set())


def test_a_process_that_starts_after_the_loss_tells_them_too(node: Node) -> None:
    for number in (1, 2, 3):
        node.reserve(number)
    node.kernel.files[FEATURES] = "TTWU_QUEUE"

    heir = node.start()
    heir.loop.tick()
    told = {condition.trouble.value for condition in heir.enforcer.conditions()}
    heir.halt()

    assert told == {"enforced-late"}


def test_the_feature_outlives_a_process_with_reservations_and_no_other(make_node: MakeNode) -> None:
    busy, idle = make_node(), make_node()
    busy.reserve(1)

    busy.daemon.halt()
    idle.daemon.halt()

    assert (is_on(busy.kernel), is_on(idle.kernel)) == (True, False)
    assert (bool(marks(busy.kernel)), bool(marks(idle.kernel))) == (True, False)


def test_a_locked_kernel_is_a_warning_and_the_node_works_at_the_tick(make_node: MakeNode) -> None:
    class Locked(DomainKernel):
        def _switch(self, path: Path, text: str) -> None:
            del path, text
            raise PermissionError(errno.EPERM, "Operation not permitted")

    node = make_node(kernel=Locked())
    document = json.loads(node.daemon.state.document())
    shown = node.daemon.registry.get_sample_value("k40s_rubicante_hrtick_dl_refused")

    assert node.overrun() == 4000
    assert any("lockdown forbids it (EPERM)" in text for text in document["warnings"])
    assert shown == 1
    assert node.reserve(1).schedulable
