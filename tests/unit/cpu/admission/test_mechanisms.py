"""Which mechanism, which core and which budget group a container gets."""

from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.cpu.admission.necessary_condition import may_fit
from k40s.cpu.admission.schedulability import node_holds
from k40s.cpu.model import (
    ANY_CORE,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    Packing,
    PodDemand,
    Task,
)
from k40s.reasons import Reason
from tests.unit.cpu.cpu_builders import (
    HI,
    admitted,
    budgets,
    held,
    ms,
    node,
    pod,
    refused,
    task,
)

RT, DL = Mechanism.RT_CGROUP, Mechanism.DEADLINE


def offering(
    current: CpuNode,
    domain: Domain = Domain.PARTITIONED,
    *,
    cpus: int = 1,
    tick: float = 4,
    capacity: Fraction = Fraction(9, 10),
) -> CpuNode:
    offer = DeadlineOffer(tick=ms(tick), capacity=capacity, domain=domain, cpus=cpus)
    return replace(current, deadline=offer)


def sharing(cores: int = 2) -> CpuNode:
    return replace(node(cores=cores, node_capacity=Fraction(95, 100)), shared_groups=True)


def asking(demand: PodDemand, mechanism: Mechanism) -> PodDemand:
    return replace(demand, mechanism=mechanism)


def on(core: int, wanted: Task) -> Task:
    return replace(wanted, core=core)


def test_short_periods_go_to_deadline_and_long_ones_to_rt_cgroups() -> None:
    both = offering(node(cores=2))

    outcome = admitted(both, pod("a", [task(2, 10)], [task(2, 100)]))

    assert [r.mechanism for r in outcome.granted] == [DL, RT]
    assert outcome.granted[0].server.budget == ms(2.12)
    assert outcome.granted[0].server.period == ms(10)
    assert outcome.granted[0].priorities == ()


def test_the_other_mechanism_is_tried_when_the_first_refuses() -> None:
    both = offering(node(), capacity=Fraction(1, 10))

    long = admitted(offering(node()), pod("a", [task(60, 100)])).granted
    short = admitted(both, pod("a", [task(15, 90)])).granted

    assert [r.mechanism for r in long] == [RT]
    assert [r.mechanism for r in short] == [RT]


def test_a_pod_gets_the_mechanism_that_it_asks_for_or_none() -> None:
    above = asking(pod("hi", [task(40, 400)], criticality=HI), RT)
    both = admitted(offering(node()), above).node
    demand = pod("a", [task(2, 10)])

    assert refused(both, asking(demand, RT)).reason is Reason.CPU_NOT_SCHEDULABLE
    assert admitted(both, asking(demand, DL)).granted[0].mechanism is DL
    assert refused(node(), asking(demand, DL)).reason is Reason.CPU_NO_MECHANISM
    assert fits(node(), asking(demand, DL)) is Reason.CPU_NO_MECHANISM


def fits(current: CpuNode, demand: PodDemand) -> Reason | None:
    return may_fit(core_utilizations=current.utilizations(), node=current, demand=demand)


def test_a_node_may_offer_deadline_alone_or_nothing() -> None:
    nothing = node(node_capacity=Fraction(0))
    demand = pod("a", [task(20, 100)])

    assert admitted(offering(nothing), demand).granted[0].mechanism is DL
    assert refused(nothing, demand).reason is Reason.CPU_NO_REAL_TIME
    assert fits(nothing, demand) is Reason.CPU_NO_REAL_TIME
    assert fits(offering(nothing), demand) is None


def test_asking_for_another_mechanism_moves_a_pod() -> None:
    both = offering(node())
    first = admitted(both, asking(pod("a", [task(20, 100)]), RT)).node

    again = admitted(first, asking(pod("a", [task(20, 100)]), DL))

    assert [r.mechanism for r in again.granted] == [DL]
    assert admitted(first, pod("a", [task(20, 100)])).node is first


def test_deadline_takes_a_core_up_to_its_capacity() -> None:
    both = offering(node(node_capacity=Fraction(0)))
    full = admitted(both, pod("a", [task(8.88, 10)])).node

    assert full.utilization(0) == Fraction(9, 10)
    refusal = refused(full, pod("b", [task(0.1, 100)]))
    assert refusal.reason is Reason.CPU_NO_BANDWIDTH
    assert "0.902" in refusal.detail
    assert fits(full, pod("b", [task(0.1, 100)])) is Reason.CPU_NO_BANDWIDTH


def test_deadline_beside_servers_has_the_room_of_the_core() -> None:
    both = offering(node(tick=0), tick=0)
    assert both.deadline is not None
    little = replace(both, deadline=replace(both.deadline, capacity=Fraction(46, 100)))
    beside = admitted(little, asking(pod("a", [task(5, 100)]), RT)).node
    demand = asking(pod("b", [task(2.15, 5)]), DL)

    assert admitted(beside, demand).granted
    assert fits(beside, demand) is None


def test_threads_of_other_pods_count_with_their_overruns() -> None:
    exact, ticking = (offering(node(node_capacity=Fraction(0)), tick=t) for t in (0, 4))
    first, second = pod("a", [task(3, 10)]), pod("b", [task(3, 10)])

    assert admitted(admitted(exact, first).node, second).granted
    refusal = refused(admitted(ticking, first).node, second)
    assert refusal.reason is Reason.CPU_NOT_SCHEDULABLE
    assert admitted(ticking, pod("a", [task(3, 10)], [task(3, 10)])).granted


def test_deadline_threads_make_servers_on_their_core_grow() -> None:
    before = admitted(offering(node()), asking(pod("low", [task(40, 400)]), RT)).node

    after = admitted(before, pod("dl", [task(1, 20)])).node

    assert after.reservations[0].server.budget > before.reservations[0].server.budget
    assert after.reservations[0].server.period == before.reservations[0].server.period
    assert node_holds(after)


def test_deadline_threads_that_would_make_a_server_late_are_refused() -> None:
    before = admitted(offering(node()), asking(pod("low", [task(20, 100)]), RT)).node

    refusal = refused(before, asking(pod("dl", [task(30, 60)]), DL))

    assert refusal.reason is Reason.CPU_NOT_SCHEDULABLE
    assert "below" in refusal.detail


@pytest.mark.parametrize(
    ("wanted", "words"),
    [(task(1, 5_000), "4.194304s"), (task(5, 100, 5.1), "with overheads")],
)
def test_what_the_kernel_does_not_take_is_refused_with_the_limit(wanted: Task, words: str) -> None:
    refusal = refused(offering(node(node_capacity=Fraction(0))), pod("a", [wanted]))

    assert refusal.reason is Reason.CPU_NOT_SCHEDULABLE
    assert words in refusal.detail


def test_an_exclusive_core_is_for_one_pod() -> None:
    current = offering(node(cores=2), Domain.EXCLUSIVE)
    first = admitted(current, asking(pod("a", [task(1, 10)], [task(1, 20)]), DL)).node

    second = admitted(first, asking(pod("b", [task(1, 10)]), DL)).node

    assert [r.core for r in second.reservations] == [0, 0, 1]
    assert refused(second, asking(pod("c", [task(1, 10)]), DL)).reason is Reason.CPU_NO_BANDWIDTH
    assert refused(second, asking(pod("c", [task(1, 100)]), RT)).reason is Reason.CPU_NO_BANDWIDTH


def test_threads_migrate_in_a_shared_domain_and_cannot_be_pinned() -> None:
    current = offering(node(cores=2, node_capacity=Fraction(0)), Domain.SHARED, cpus=2)

    outcome = admitted(current, pod("a", [task(30, 100), task(30, 100)]))

    assert [r.core for r in outcome.granted] == [ANY_CORE, ANY_CORE]
    assert outcome.node.deadline_on(1) == outcome.granted
    pinned = refused(current, pod("b", [on(1, task(1, 100))]))
    assert pinned.reason is Reason.CPU_NO_MECHANISM
    assert refused(outcome.node, pod("b", [task(85, 100)])).reason is Reason.CPU_NOT_SCHEDULABLE


def test_servers_bear_all_threads_of_a_shared_domain() -> None:
    current = offering(node(cores=2), Domain.SHARED, cpus=2)
    before = admitted(current, asking(pod("low", [task(40, 400)]), RT)).node

    after = admitted(before, asking(pod("dl", [task(1, 20), task(1, 20)]), DL)).node

    assert after.reservations[0].server.budget > before.reservations[0].server.budget
    assert refused(after, asking(pod("b", [task(10, 20)]), DL)).reason is (
        Reason.CPU_NOT_SCHEDULABLE
    )


def test_cores_share_a_budget_group_that_counts_once() -> None:
    first = admitted(sharing(), pod("a", [task(50, 100)])).node

    second = admitted(first, pod("b", [task(45, 100)])).node

    assert [(r.core, r.group) for r in second.reservations] == [(0, 0), (1, 0)]
    assert second.reservations[0].server == second.reservations[1].server
    assert sum(second.utilizations().values()) > Fraction(95, 100)
    assert node_holds(second)
    assert not node_holds(replace(second, node_capacity=Fraction(1, 2)))


def test_a_core_uses_a_group_once() -> None:
    first = admitted(sharing(cores=1), pod("a", [task(10, 100)])).node

    second = admitted(first, pod("b", [task(10, 100)])).node

    assert [r.group for r in second.reservations] == [0, 1]


def test_a_group_that_serves_two_cores_cannot_grow() -> None:
    current = sharing()
    for uid, core in (("a", 0), ("b", 1)):
        current = admitted(current, pod(uid, [on(core, task(20, 100))])).node
    assert {r.group for r in current.reservations} == {0}
    alone = admitted(sharing(), pod("a", [on(0, task(20, 100))])).node
    newcomer = pod("hi", [on(0, task(10, 200))], criticality=HI)

    assert budgets(admitted(alone, newcomer).node)[0][1] > budgets(alone)[0][1]
    assert refused(current, newcomer).reason is Reason.CPU_NOT_SCHEDULABLE


def test_the_number_of_a_group_that_goes_is_not_given_out_in_the_same_admission() -> None:
    first = admitted(sharing(), pod("a", [task(20, 100)])).node

    changed = admitted(first, pod("a", [task(30, 100)]))
    afresh = admitted(changed.node.without("a"), pod("b", [task(30, 100)]))

    assert [r.group for r in changed.granted] == [1]
    assert [r.group for r in afresh.granted] == [0]


def test_verification_refuses_groups_that_do_not_agree() -> None:
    one = replace(held("a", 30, 100, task(10, 100), priorities=(98,)), group=3)
    other = replace(held("b", 30, 100, task(10, 100), priorities=(98,), core=1), group=3)
    larger = replace(held("b", 31, 100, task(10, 100), priorities=(98,), core=1), group=3)
    twice = replace(held("b", 30, 100, task(10, 100), priorities=(97,)), group=3)

    assert node_holds(replace(sharing(), reservations=(one, other)))
    assert not node_holds(replace(sharing(), reservations=(one, larger)))
    assert not node_holds(replace(sharing(), reservations=(one, twice)))


def test_verification_refuses_deadline_threads_where_they_cannot_be() -> None:
    (thread,) = admitted(offering(node()), asking(pod("a", [task(1, 10)]), DL)).granted
    anywhere = replace(thread, core=ANY_CORE)

    assert not node_holds(node(thread))
    assert not node_holds(node(anywhere))
    assert not node_holds(offering(node(thread), Domain.SHARED))
    assert not node_holds(offering(node(anywhere)))
    assert node_holds(offering(node(anywhere), Domain.SHARED))


def test_a_job_that_no_core_takes_is_split_by_decreasing_utilization() -> None:
    outcome = admitted(node(cores=2), pod("a", [task(20, 100), task(50, 100), task(45, 100)]))

    assert [(r.core, [t.wcet for t in r.tasks]) for r in outcome.granted] == [
        (0, [ms(20), ms(50)]),
        (1, [ms(45)]),
    ]


def test_a_job_is_split_all_or_nothing() -> None:
    current = node(cores=2)

    refusal = refused(current, pod("a", [task(60, 100), task(60, 100), task(60, 100)]))

    assert refusal.reason is Reason.CPU_NO_BANDWIDTH


def test_tasks_run_on_the_cores_that_they_ask_for() -> None:
    tasks = [on(1, task(5, 100)), task(5, 200), on(0, task(5, 100))]

    outcome = admitted(offering(node(cores=3)), asking(pod("a", tasks), DL))

    assert [r.core for r in outcome.granted] == [1, 0, 0]
    together = admitted(node(cores=3), pod("a", [on(2, task(5, 100)), task(5, 200)]))
    assert [(r.core, len(r.tasks)) for r in together.granted] == [(2, 2)]


def test_a_core_that_takes_no_reservations_is_refused_by_name() -> None:
    demand = pod("a", [on(7, task(5, 100))])

    refusal = refused(node(cores=2), demand)

    assert refusal.reason is Reason.CPU_CORE_UNKNOWN
    assert "7" in refusal.detail
    assert fits(node(cores=2), demand) is Reason.CPU_CORE_UNKNOWN


@pytest.mark.parametrize(
    ("packing", "core"),
    [(Packing.FIRST_FIT, 0), (Packing.BEST_FIT, 1), (Packing.WORST_FIT, 2)],
)
def test_packing_decides_which_core_is_tried_first(packing: Packing, core: int) -> None:
    light = held("a", 10, 100, task(1, 100), priorities=(98,))
    heavy = held("b", 20, 100, task(1, 100), priorities=(98,), core=1)
    current = replace(node(light, heavy, cores=3), packing=packing)

    outcome = admitted(current, pod("c", [task(2, 200)]))

    assert outcome.granted[0].core == core


def test_a_deadline_shorter_than_the_period_is_the_period_for_the_kernel() -> None:
    wanted = pod("a", [task(2, 50, deadline=5)])

    granted = admitted(offering(node()), asking(wanted, DL)).granted

    assert [(r.server.period, r.tasks[0].period) for r in granted] == [(ms(5), ms(50))]
