"""Tests that operators install: found by name, and never able to harm the daemon."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest

from k40s.admission_plugins.registry import (
    AdmissionTestError,
    Guarded,
    InstalledTests,
    load_admission_test,
)
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import (
    ANY_CORE,
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Reservation,
    Server,
    Task,
)
from k40s.cpu.outcome import ADMISSION_TEST, Admission, Admit, Rejection
from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.installed_example import install_test

MS = NS_PER_MS
NODE = CpuNode(
    cores=(1, 2),
    tick=Nanoseconds(0),
    node_capacity=Fraction(19, 20),
    core_capacity=Fraction(9, 10),
    platform="",
    platform_factor=Fraction(1),
)


def demand(uid: str = "new", core: int | None = None) -> PodDemand:
    task = Task(
        name="control",
        wcet=Nanoseconds(20 * MS),
        period=Nanoseconds(100 * MS),
        deadline=Nanoseconds(100 * MS),
        core=core,
    )
    container = ContainerDemand(container="main", tasks=(task,))
    return PodDemand(pod_uid=uid, criticality=Criticality.HI, containers=(container,))


def grant(wanted: PodDemand, *, core: int = 1, budget_ms: int = 30) -> Reservation:
    (container,) = wanted.containers
    return Reservation(
        pod_uid=wanted.pod_uid,
        container="main",
        core=core,
        criticality=wanted.criticality,
        server=Server(budget=Nanoseconds(budget_ms * MS), period=Nanoseconds(100 * MS)),
        tasks=container.tasks,
        priorities=(98 if wanted.pod_uid == "old" else 97,),
    )


OLD = grant(demand("old"))
HELD = NODE.holding((OLD,))


def answering(answer: object) -> Guarded:
    return Guarded("t", lambda _node, _demand: answer)  # type: ignore[arg-type,return-value]


def verdict(after: CpuNode, *granted: Reservation, wanted: PodDemand | None = None) -> str:
    """Why an admission to a node with one reservation is overruled; empty where it stands."""
    answer = Admission(node=after, granted=granted)
    outcome = answering(answer)(HELD, wanted or demand())
    if outcome is answer:
        return ""
    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.CPU_TEST_FAILED
    return outcome.detail.removeprefix("t: ")


def holding(*granted: Reservation, others: tuple[Reservation, ...] = (OLD,)) -> str:
    return verdict(NODE.holding((*others, *granted)), *granted)


NEW = grant(demand())


def test_what_keeps_the_rules_stands() -> None:
    assert holding(NEW) == ""


def test_a_refusal_stands() -> None:
    refusal = Rejection(reason=Reason.CPU_NOT_SCHEDULABLE, detail="no")

    assert answering(refusal)(HELD, demand()) is refusal


def test_others_servers_may_grow_and_their_bands_may_move() -> None:
    grown = replace(
        OLD,
        server=Server(budget=Nanoseconds(40 * MS), period=Nanoseconds(100 * MS)),
        priorities=(60,),
    )

    assert holding(NEW, others=(grown,)) == ""


@pytest.mark.parametrize("answer", [None, True, "yes", object(), Rejection(reason="no")])  # type: ignore[arg-type]
def test_what_is_no_answer_is_a_refusal(answer: object) -> None:
    outcome = answering(answer)(HELD, demand())

    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.CPU_TEST_FAILED


def test_a_refusal_for_what_is_not_the_tests_business_is_overruled() -> None:
    outcome = answering(Rejection(reason=Reason.POD_ELSEWHERE))(HELD, demand())

    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.CPU_TEST_FAILED


class Cancelled(BaseException):
    """What asynchronous libraries raise; ``except Exception`` does not see it."""


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, RecursionError, Cancelled])
def test_an_exception_is_a_refusal_that_says_what_happened(error: type[BaseException]) -> None:
    def fail(_node: CpuNode, _demand: PodDemand) -> Admission:
        raise error("period 0")

    outcome = Guarded("t", fail)(HELD, demand())

    assert outcome == Rejection(
        reason=Reason.CPU_TEST_FAILED, detail=f"t raised {error.__name__}: period 0"
    )


@pytest.mark.parametrize(
    ("others", "complaint"),
    [
        ((), "appeared or disappeared"),
        ((OLD, grant(demand("third"), core=2)), "appeared or disappeared"),
        ((OLD, OLD), "appeared or disappeared"),
        ((replace(OLD, core=2),), "has moved or changed its tasks"),
        ((replace(OLD, group=1),), "has moved or changed its tasks"),
        ((grant(demand("old"), budget_ms=29),), "has shrunk"),
        (
            (replace(OLD, server=Server(budget=OLD.server.budget, period=Nanoseconds(50 * MS))),),
            "has changed its period",
        ),
    ],
)
def test_what_others_hold_is_not_touched(others: tuple[Reservation, ...], complaint: str) -> None:
    assert complaint in holding(NEW, others=others)


@pytest.mark.parametrize(
    ("granted", "complaint"),
    [
        ((), "a task is not served exactly once"),
        ((NEW, replace(NEW, core=2)), "a task is not served exactly once"),
        ((replace(NEW, container="side"),), "a task is not served exactly once"),
        ((replace(NEW, criticality=Criticality.LOW),), "the criticality is not the pod's"),
        ((replace(NEW, core=3),), "core 3 is not one of the node"),
        (
            (replace(NEW, mechanism=Mechanism.DEADLINE, priorities=()),),
            "deadline is not offered",
        ),
        ((replace(NEW, group=1),), "not shared as the node shares them"),
        ((replace(NEW, priorities=(50,)),), "priority 50 is not one of 51 to 98"),
        ((grant(demand(), budget_ms=61),), "use 91/100 of 9/10"),
        ((grant(demand(), core=2, budget_ms=66),), "the budget groups of the node use 24/25"),
        (
            (
                replace(
                    NEW, server=Server(budget=Nanoseconds(30 * MS + 1), period=NEW.server.period)
                ),
            ),
            "not in whole microseconds",
        ),
    ],
)
def test_what_is_granted_keeps_the_rules(granted: tuple[Reservation, ...], complaint: str) -> None:
    assert complaint in holding(*granted)


def test_containers_of_one_criticality_may_share_a_priority_and_no_others() -> None:
    below = replace(demand(), criticality=Criticality.LOW)
    low = replace(grant(below), priorities=(98,))

    assert holding(replace(NEW, priorities=(98,))) == ""
    found = verdict(NODE.holding((OLD, low)), low, wanted=below)
    assert found == "HI and LOW have priority 98 on core 1"


def test_a_low_pod_that_an_installed_test_admits_leaves_the_room_for_hi_all_the_same() -> None:
    reserve = Server(budget=Nanoseconds(20 * MS), period=Nanoseconds(100 * MS))
    keeping = replace(NODE, cores=(1,), hi_reserve=reserve)
    (container,) = demand().containers
    (task,) = container.tasks
    heavy = replace(container, tasks=(replace(task, wcet=Nanoseconds(70 * MS)),))
    low = PodDemand(pod_uid="low", criticality=Criticality.LOW, containers=(heavy,))
    installed = Guarded("t", admit)
    careless = Guarded("t", lambda node, asked: keep(admit(replace(node, hi_reserve=None), asked)))

    for test in (installed, careless):
        outcome = test(keeping, low)
        assert isinstance(outcome, Rejection)
        assert outcome.reason is Reason.CPU_RESERVED_FOR_HI
    assert isinstance(installed(keeping, demand()), Admission)


def test_a_test_that_fails_on_the_hi_task_of_the_reserve_is_not_taken_for_a_refusal() -> None:
    reserve = Server(budget=Nanoseconds(20 * MS), period=Nanoseconds(100 * MS))

    def fails_for_hi(node: CpuNode, asked: PodDemand) -> Admission | Rejection:
        if asked.criticality is Criticality.HI:
            raise RuntimeError("no")
        return admit(replace(node, hi_reserve=None), asked)

    keeping = replace(NODE, hi_reserve=reserve)
    low = replace(demand(), criticality=Criticality.LOW)
    outcome = Guarded("t", lambda node, asked: keep(fails_for_hi(node, asked)))(keeping, low)

    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.CPU_TEST_FAILED


def keep(outcome: Admission | Rejection) -> Admission | Rejection:
    """The same, on a node that keeps room for HI."""
    if isinstance(outcome, Rejection):
        return outcome
    reserve = Server(budget=Nanoseconds(20 * MS), period=Nanoseconds(100 * MS))
    return replace(outcome, node=replace(outcome.node, hi_reserve=reserve))


@pytest.mark.parametrize(
    "spoilt",
    [
        None,
        [],
        replace(NEW, core=True),
        replace(NEW, priorities=(60.5,)),  # type: ignore[arg-type]
        replace(NEW, mechanism="rt-cgroup"),  # type: ignore[arg-type]
        replace(NEW, server=Server(budget=30e6, period=NEW.server.period)),  # type: ignore[arg-type]
        replace(NEW, tasks=(replace(NEW.tasks[0], wcet=20e6),)),  # type: ignore[arg-type]
        replace(NEW, server=None),  # type: ignore[arg-type]
    ],
)
def test_what_only_looks_like_a_reservation_is_none(spoilt: Reservation) -> None:
    assert "of another kind" in holding(spoilt)


def test_reservations_of_a_node_are_a_tuple() -> None:
    listed = [OLD, NEW]

    assert "of another kind" in verdict(NODE.holding(listed), NEW)  # type: ignore[arg-type]


def test_what_is_granted_is_what_the_node_holds() -> None:
    assert "not what the node holds" in verdict(HELD, NEW)
    assert "not what the node holds" in verdict(NODE.holding((OLD, NEW)))
    assert "not what the node holds" in verdict(NODE.holding((OLD, NEW)), OLD)


def test_the_node_itself_does_not_change() -> None:
    wider = replace(NODE, core_capacity=Fraction(1), reservations=(OLD, NEW))

    assert "offers something else" in verdict(wider, NEW)


def by_deadline(wanted: PodDemand, *, core: int = 1, budget_ms: int = 30) -> Reservation:
    return replace(
        grant(wanted, budget_ms=budget_ms), core=core, mechanism=Mechanism.DEADLINE, priorities=()
    )


def offering(domain: Domain, cpus: int = 1) -> CpuNode:
    offer = DeadlineOffer(tick=Nanoseconds(0), capacity=Fraction(9, 10), domain=domain, cpus=cpus)
    return replace(NODE, deadline=offer)


def on(node: CpuNode, before: Reservation, new: Reservation) -> str:
    """Why a reservation beside another one is overruled on that node; empty where it stands."""
    answer = Admission(node=node.holding((before, new)), granted=(new,))
    outcome = answering(answer)(node.holding((before,)), demand())
    return outcome.detail if isinstance(outcome, Rejection) else ""


def test_an_exclusive_core_belongs_to_one_pod() -> None:
    node, old = offering(Domain.EXCLUSIVE), by_deadline(demand("old"))

    assert on(node, old, by_deadline(demand(), core=2)) == ""
    assert "belongs to another pod" in on(node, old, by_deadline(demand()))
    assert on(offering(Domain.PARTITIONED), old, by_deadline(demand())) == ""


def test_threads_migrate_in_a_shared_domain_alone_and_within_all_its_cpus() -> None:
    old = by_deadline(demand("old"), core=ANY_CORE, budget_ms=90)
    node = offering(Domain.SHARED, cpus=2)

    assert on(node, old, by_deadline(demand(), core=ANY_CORE, budget_ms=90)) == ""
    assert "use 181/100 of 9/5" in on(node, old, by_deadline(demand(), core=ANY_CORE, budget_ms=91))
    assert "core -1 is not one" in on(
        offering(Domain.PARTITIONED), OLD, by_deadline(demand(), core=ANY_CORE)
    )


@pytest.mark.parametrize(("budget_ms", "period_ms"), [(101, 200), (30, 99), (30, 4_195)])
def test_the_kernel_takes_a_deadline_reservation(budget_ms: int, period_ms: int) -> None:
    server = Server(budget=Nanoseconds(budget_ms * MS), period=Nanoseconds(period_ms * MS))
    new = replace(by_deadline(demand()), server=server)

    assert "SCHED_DEADLINE" in on(
        offering(Domain.PARTITIONED), by_deadline(demand("old"), core=2), new
    )


def test_a_task_gets_the_core_that_it_asks_for() -> None:
    wanted = demand(core=2)
    elsewhere = grant(wanted, core=1)

    assert "on the core that it asks for" in verdict(
        NODE.holding((OLD, elsewhere)), elsewhere, wanted=wanted
    )


def test_a_pod_gets_the_mechanism_that_it_asks_for() -> None:
    wanted = replace(demand(), mechanism=Mechanism.DEADLINE)

    assert "not what the pod asks for" in verdict(NODE.holding((OLD, NEW)), NEW, wanted=wanted)


def test_a_shared_group_serves_one_reservation_per_core_with_one_budget() -> None:
    node = replace(NODE, shared_groups=True)
    old = replace(OLD, group=0)

    def said(new: Reservation) -> str:
        outcome = answering(Admission(node=node.holding((old, new)), granted=(new,)))(
            node.holding((old,)), demand()
        )
        return outcome.detail if isinstance(outcome, Rejection) else ""

    assert said(replace(NEW, group=0, core=2)) == ""
    assert "serves two reservations on core 1" in said(replace(NEW, group=0))
    assert "has two budgets" in said(replace(grant(demand(), core=2, budget_ms=20), group=0))


def test_a_limit_that_was_lowered_may_stay_exceeded_but_gets_no_worse() -> None:
    lowered = replace(HELD, core_capacity=Fraction(1, 4))
    beside, on_top = grant(demand(), core=2, budget_ms=25), grant(demand(), core=1, budget_ms=1)

    def outcome(new: Reservation) -> Admission | Rejection:
        after = lowered.holding((OLD, new))
        return answering(Admission(node=after, granted=(new,)))(lowered, demand())

    assert isinstance(outcome(beside), Admission)
    assert isinstance(outcome(on_top), Rejection)


def test_the_built_in_test_needs_no_guard() -> None:
    assert load_admission_test(ADMISSION_TEST) is admit


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lay down a distribution as installers do, and let Python find it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return partial(install_test, tmp_path)


REFUSES = """
from k40s.cpu.outcome import Rejection
from k40s.reasons import Reason

def admit(node, demand):
    return Rejection(reason=Reason.CPU_NOT_SCHEDULABLE, detail="never")
"""


def test_an_installed_test_is_found_by_its_name(install: Install) -> None:
    install("never.1", "k40s_never:admit", REFUSES)

    outcome = load_admission_test("never.1")(HELD, demand())

    assert outcome == Rejection(reason=Reason.CPU_NOT_SCHEDULABLE, detail="never")


@pytest.mark.parametrize(
    ("target", "source", "complaint"),
    [
        ("k40s_absent:admit", "", "importable (AttributeError"),
        ("k40s_broken:admit", "1/0", "importable (ZeroDivisionError: division by zero)"),
        ("k40s_syntax:admit", "def", "importable (SyntaxError"),
        ("k40s_number:admit", "admit = 1", "to be callable as admit(node, demand)"),
        ("k40s_one:admit", "def admit(node): ...", "to be callable as admit(node, demand)"),
        ("k40s_many:admit", "def admit(a, b, c): ...", "to be callable as admit(node, demand)"),
    ],
)
def test_a_test_that_cannot_be_used_is_one_clear_error(
    install: Install, target: str, source: str, complaint: str
) -> None:
    install("broken", target, source)

    with pytest.raises(AdmissionTestError) as caught:
        load_admission_test("broken")

    assert str(caught.value).startswith("K40S_ADMISSION_TEST: found 'broken', expected k40s_")
    assert complaint in str(caught.value)


@pytest.mark.parametrize("name", ["unheard-of", "", "Not A Name", "x" * 41])
def test_a_name_without_a_test_is_one_clear_error(name: str) -> None:
    with pytest.raises(AdmissionTestError, match=r"^K40S_ADMISSION_TEST: found "):
        load_admission_test(name)


def test_two_packages_for_one_name_are_refused(install: Install) -> None:
    install("twice", "k40s_one:admit", REFUSES)
    install("twice", "k40s_two:admit", REFUSES, distribution="other_test")

    with pytest.raises(AdmissionTestError, match="one that is installed once"):
        load_admission_test("twice")


def test_a_process_looks_for_each_test_once() -> None:
    asked = []

    def load(name: str) -> Admit:
        asked.append(name)
        if name == "absent":
            raise AdmissionTestError("no")
        return admit

    tests = InstalledTests(load)

    assert [tests.find(name) for name in ("a", "absent", "a", "absent")] == [admit, None] * 2
    assert asked == ["a", "absent"]
