"""An admission that takes too many steps is refused, whoever runs it and however fast."""

from functools import partial

from k40s.cpu.admission.admit import admit
from k40s.cpu.analysis.deferrable_server import deferrable, largest_budget
from k40s.cpu.effort import Effort
from k40s.cpu.outcome import Admission, Rejection
from k40s.reasons import Reason
from tests.unit.cpu.cpu_builders import HI, LOW, admitted, held, node, pod, task


def steps_of(cores: int, uid: str = "new") -> int:
    current = node(cores=cores, tick=0)
    for number in range(6):
        current = admitted(current, pod(f"p{number}", [task(2, 50), task(3, 90, name="u")])).node
    effort = Effort(1_000_000)
    assert isinstance(admit(current, pod(uid, [task(2, 400)]), effort=effort), (Admission))
    return 1_000_000 - effort.left


def test_the_same_admission_takes_the_same_steps() -> None:
    assert steps_of(1) == steps_of(1, uid="another") > 0


def test_ordinary_admissions_take_a_small_part_of_what_they_may() -> None:
    assert steps_of(1) < Effort.for_cores(1).left // 20


def test_what_has_spent_its_steps_is_refused_with_the_reason() -> None:
    refusal = admit(node(), pod("p", [task(2, 40)]), effort=Effort(3))

    assert isinstance(refusal, Rejection)
    assert refusal.reason is Reason.CPU_ANALYSIS_LIMIT


def test_it_is_refused_so_by_either_mechanism_and_on_every_core() -> None:
    current = node(cores=3)
    place = partial(admit, current, pod("p", [task(2, 400)] * 1), effort=Effort(0))

    refusal = place()

    assert isinstance(refusal, Rejection)
    assert refusal.reason is Reason.CPU_ANALYSIS_LIMIT


def test_a_container_whose_splitting_takes_too_many_steps_is_told_so() -> None:
    two = [task(60, 100, name="a"), task(60, 100, name="b")]

    refusal = admit(node(cores=2, tick=0), pod("p", two), effort=Effort(0))

    assert isinstance(admit(node(cores=2, tick=0), pod("p", two)), Admission)
    assert isinstance(refusal, Rejection)
    assert refusal.reason is Reason.CPU_ANALYSIS_LIMIT


def test_the_points_at_which_a_largest_budget_is_looked_for_are_counted() -> None:
    above = tuple(deferrable(10, 1_000) for _ in range(40))
    effort = Effort(1_000_000)

    budget = largest_budget(1_000_000, above, 0, effort)

    assert budget == largest_budget(1_000_000, above, 0)
    assert 0 < 1_000_000 - effort.left < 500 * 40


def test_running_servers_of_long_periods_below_a_short_one_cannot_occupy_a_search() -> None:
    equals = tuple(
        held(f"p{n}", 0.13, 900_000, task(0.001, 900_000), priorities=(98 - min(n, 23),))
        for n in range(60)
    )
    short = pod("x", [task(0.001, 0.2)], criticality=HI)
    effort = Effort.for_cores(1)

    outcome = admit(node(*equals, tick=0), short, effort=effort)

    assert isinstance(outcome, Rejection)
    assert effort.is_spent()


def test_a_container_of_sixty_four_tasks_of_before_still_finds_its_place() -> None:
    tasks = [task(0.1, 100 + number, name=f"t{number}") for number in range(64)]

    for criticality in (LOW, HI):
        assert admitted(node(tick=0), pod("held", tasks, criticality=criticality)).granted


def test_larger_nodes_may_take_more() -> None:
    assert Effort.for_cores(64).left > Effort.for_cores(1).left
