"""What was offered of SCHED_DEADLINE, and the kernel takes back while the daemon runs."""

import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.kernel.probes.thread import LinuxProbes
from daemons.rubicante.kernel.sched_attr import SCHED_DEADLINE, LinuxAttributes, SchedAttr
from daemons.rubicante.mechanisms.deadline.offer import (
    LOOK_SECONDS,
    PARTS,
    RETURN_SECONDS,
    DeadlineAccess,
)
from k40s.annotations import CPU_STATE_KEY, REAL_TIME_LABEL, CpuState, parse_cpu_state
from k40s.cpu.model import Domain, Mechanism
from k40s.errors import KernelError
from k40s.node_api.messages import AdmissionAnswer
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.api_server import FakeApiServer, FakePodSource, FakeStore
from tests.fakes.rubicante.domains import PROC, V1, V2, DomainKernel
from tests.fakes.rubicante.scene import SETTINGS
from tests.fakes.rubicante.world import ask, pod, task

BALANCE = V1 / "cpuset.sched_load_balance"


class Node:
    """A daemon that has SCHED_DEADLINE alone; ``balance`` "0" makes each CPU a root domain."""

    def __init__(
        self, place: Path, *, balance: str, cpus: tuple[int, ...] = (0, 1), busy: int = 0
    ) -> None:
        self.seconds = 0.0
        self.kernel = DomainKernel()
        self.kernel.refuse["set"] = [OSError(errno.EBUSY, "busy")] * busy
        self.kernel.files[BALANCE] = balance
        self.kernel.files[PROC / "self" / "status"] = "CapEff:\tffffffff\n"
        self.server = FakeApiServer()
        self.daemon = Daemon(
            replace(
                SETTINGS,
                cpus=cpus,
                cpu_cgroup_path=Path("/absent"),
                cpuset_cgroup_path=V1,
                unified_cgroup_path=V2,
                store=place / "book.sqlite",
            ),
            system=self.kernel,
            gateway=self.server,
            pods=FakePodSource(self.server),
            store=FakeStore(),
            deadline=DeadlineAccess(attributes=self.kernel, start_probe=self.kernel),
            clock=lambda: self.seconds,
        )
        self.daemon.stop.set()  # so that nobody waits for the kernel to change its mind
        self.daemon.publication.beat()
        self.daemon.informer.synchronized.set()
        self.daemon.upkeep.tick()
        self.daemon.publication.publish()

    def reserve(self, number: int = 1, wcet_ms: int = 30) -> AdmissionAnswer:
        self.server.add(pod(number))
        request = ask(number, task(wcet_ms=wcet_ms))
        workload = replace(request.workload, mechanism=Mechanism.DEADLINE)
        return self.daemon.reservations.reserve(replace(request, workload=workload))[0]

    def look(self, after: float = 0.0) -> CpuState:
        """Look at the kernel, and what is published then."""
        self.seconds += after
        self.daemon.offer.refresh()
        self.daemon.publication.publish()
        assert self.server.node is not None
        return parse_cpu_state(self.server.node.annotations[CPU_STATE_KEY])


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


def test_at_its_start_it_doubts_that_a_domain_is_full_and_later_it_does_not(
    make_node: MakeNode,
) -> None:
    """Later, the book's lock is held, and the claim that was refused has waited already."""
    node = make_node(balance="1", busy=2)
    assert node.daemon.capability.deadline is not None
    node.daemon.stop.clear()
    node.daemon.mechanisms._deadline._invalidated.set()  # type: ignore[union-attr]  # noqa: SLF001
    node.kernel.refuse["set"] = [OSError(errno.EBUSY, "busy")] * 9

    node.look(after=LOOK_SECONDS)

    node.daemon.stop.set()
    assert node.daemon.capability.deadline is None


def test_domains_that_others_join_refuse_the_pod_and_end_the_offer(make_node: MakeNode) -> None:
    node = make_node(balance="0", cpus=(1,))
    before = node.look()
    node.kernel.files[BALANCE] = "1"

    refused = node.reserve()
    after = node.look()
    again = node.reserve(2)

    assert before.mechanism == "deadline"
    assert (refused.schedulable, refused.reason) == (False, Reason.CPU_KERNEL_REFUSED)
    assert "EPERM" in refused.detail
    assert (after.mechanism, after.node.deadline) == ("none", None)
    assert node.server.node is not None
    assert node.server.node.labels[REAL_TIME_LABEL] == "false"
    assert again.reason is Reason.CPU_NO_REAL_TIME
    assert node.daemon.book.entries() == ()


def test_what_is_there_again_is_offered_again_after_a_while(make_node: MakeNode) -> None:
    node = make_node(balance="0", cpus=(1,))
    node.kernel.files[BALANCE] = "1"
    node.reserve()
    node.look()
    node.kernel.files[BALANCE] = "0"

    early, late = node.look(after=LOOK_SECONDS), node.look(after=RETURN_SECONDS)

    assert (early.mechanism, late.mechanism) == ("none", "deadline")
    assert node.reserve(2).schedulable


def test_domains_of_another_kind_are_offered_as_such(make_node: MakeNode) -> None:
    node = make_node(balance="0")
    node.kernel.files[BALANCE] = "1"

    refused = node.reserve()
    offer = node.look().node.deadline

    assert refused.reason is Reason.CPU_KERNEL_REFUSED
    assert offer is not None
    assert (offer.domain, offer.cpus) == (Domain.SHARED, 2)
    assert node.reserve(2).schedulable


def test_what_is_held_keeps_its_domains_and_nothing_more_is_offered(make_node: MakeNode) -> None:
    node = make_node(balance="0")
    held = node.reserve(1)
    node.kernel.files[BALANCE] = "1"
    refused = node.reserve(2)

    state = node.look()

    assert (held.schedulable, refused.reason) == (True, Reason.CPU_KERNEL_REFUSED)
    assert state.node.deadline is None
    assert len(state.node.reservations) == 1
    assert Mechanism.DEADLINE in node.daemon.mechanisms.back_ends.by_mechanism
    assert any("held in the former" in p for p in node.daemon.capability.problems)


def take_bandwidth(node: Node) -> None:
    """Two threads of others, with 0.8 of a CPU each."""
    runtime, period = Nanoseconds(8 * NS_PER_MS), Nanoseconds(10 * NS_PER_MS)
    for tid in (60, 61):
        foreign = SchedAttr(policy=SCHED_DEADLINE, runtime=runtime, deadline=period, period=period)
        node.kernel.set(node.kernel.spawn(tid), foreign)


def test_bandwidth_that_others_took_is_not_offered_any_more(make_node: MakeNode) -> None:
    node = make_node(balance="1")
    take_bandwidth(node)

    refused = node.reserve(wcet_ms=40)
    offer = node.look().node.deadline

    assert refused.reason is Reason.CPU_KERNEL_REFUSED
    assert "EBUSY" in refused.detail
    assert offer is not None
    assert Fraction(9, 100) < offer.capacity <= Fraction(1, 10)
    assert node.reserve(2, wcet_ms=40).reason is Reason.CPU_NO_BANDWIDTH


def test_what_is_left_beside_others_and_odd_servers_is_a_short_fraction(
    make_node: MakeNode,
) -> None:
    node = make_node(balance="1")
    node.reserve(1, wcet_ms=13)
    take_bandwidth(node)
    node.reserve(2, wcet_ms=60)

    offer = node.look().node.deadline

    assert offer is not None
    assert Fraction(15, 100) < offer.capacity < Fraction(17, 100)
    assert PARTS % offer.capacity.denominator == 0


def test_a_refusal_that_did_not_last_makes_a_new_state(make_node: MakeNode) -> None:
    node = make_node(balance="0")
    before = node.look()
    node.kernel.refuse["set"] = [PermissionError(errno.EPERM, "no")] * 2

    refused = node.reserve()
    after = node.look()

    assert refused.reason is Reason.CPU_KERNEL_REFUSED
    assert after.node == before.node
    assert after.generation > before.generation


def test_the_kernel_is_asked_again_at_most_every_ten_seconds(make_node: MakeNode) -> None:
    node = make_node(balance="0")
    node.kernel.refuse["set"] = [PermissionError(errno.EPERM, "no")] * 2
    node.reserve()
    node.look()
    node.kernel.refuse["set"] = [PermissionError(errno.EPERM, "no")] * 2
    node.reserve(2)
    asked = len(node.kernel.asked)

    node.look(after=LOOK_SECONDS / 2)
    early = len(node.kernel.asked)
    node.look(after=LOOK_SECONDS / 2)

    assert early == asked
    assert len(node.kernel.asked) > asked


def test_a_place_that_a_waiting_thread_cannot_enter_is_told_at_once() -> None:
    def enter(_tid: int) -> None:
        raise KernelError("the cpuset is gone")

    with pytest.raises(KernelError, match="the cpuset is gone"):
        LinuxProbes(LinuxAttributes())({0}, enter=enter)
