"""What has been judged is not judged again, until the node's state changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from extender.contracts import Contracts
from extender.filter import Test, Verdict, judge_exactly
from extender.inquiry import Collect, Late
from extender.memory import AdmissionMemory
from k40s.annotations import CpuState
from k40s.cpu.model import CpuNode, PodDemand
from k40s.reasons import Reason
from tests.fakes.extender_world import (
    World,
    built_in,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
)


def nobody(states: Mapping[str, CpuState], _late: Late) -> Collect:
    raise AssertionError(f"asked {sorted(states)}")


@dataclass
class Counting:
    """An exact judge that counts."""

    calls: list[str] = field(default_factory=list)

    def __call__(self, test: Test, node: CpuNode, demand: PodDemand) -> Verdict:
        self.calls.append(demand.pod_uid)
        return judge_exactly(test, node, demand)


def make_world(judge: Counting, nodes: int = 3) -> World:
    world = World(memory=AdmissionMemory(tests=built_in, exact=judge))
    for number in range(nodes):
        world.add(make_node(f"n{number}", level=20, cpu=make_cpu_state()))
    return world


NAMES = ["n0", "n1", "n2"]


def real_time(name: str, wcet: str = "20ms") -> dict[str, object]:
    return make_pod(name, criticality="HI", tasks=[make_task(wcet)])


def test_equal_pods_are_judged_once() -> None:
    judge = Counting()
    world = make_world(judge)

    answers = [world.filter(real_time(f"p{i}"), NAMES) for i in range(5)]
    world.prioritize(real_time("p0"), NAMES)

    assert len(judge.calls) == len(NAMES)
    assert all(answer == answers[0] for answer in answers)


def test_only_the_node_that_changed_is_judged_again() -> None:
    judge = Counting()
    world = make_world(judge)
    world.filter(real_time("p"), NAMES)

    world.add(make_node("n1", level=20, cpu=make_cpu_state(generation=2)))
    world.filter(real_time("q"), NAMES)

    assert len(judge.calls) == len(NAMES) + 1


def test_a_change_of_assurance_is_no_reason_to_judge_again() -> None:
    judge = Counting()
    world = make_world(judge)
    world.filter(real_time("p"), NAMES)

    world.add(make_node("n1", level=15, cpu=make_cpu_state()))
    world.filter(real_time("p"), NAMES)

    assert len(judge.calls) == len(NAMES)


def test_another_contract_is_judged_for_itself() -> None:
    judge = Counting()
    world = make_world(judge)

    world.filter(real_time("p"), NAMES)
    world.filter(real_time("p", "21ms"), NAMES)

    assert len(judge.calls) == 2 * len(NAMES)


def test_a_pod_with_a_reservation_is_judged_for_itself_on_that_node_alone() -> None:
    judge = Counting()
    world = make_world(judge)
    pod = real_time("p")
    world.filter(pod, NAMES)
    world.bind(pod, "n0")
    held = make_cpu_state(world.cpu.node, generation=2)
    world.add(make_node("n0", level=20, cpu=held))
    judge.calls.clear()

    for name in ("p", "p", "q"):
        world.filter(real_time(name), NAMES)
        world.prioritize(real_time(name), NAMES)

    assert judge.calls == ["uid-p", ""]


def test_what_was_judged_in_a_hurry_is_judged_again() -> None:
    judge = Counting()
    world = make_world(judge)
    ticks = iter([False, True, True])
    snapshot = world.cache.snapshot()
    contracts = Contracts()
    contract = contracts.read(
        labels={},
        annotations=real_time("p")["metadata"]["annotations"],  # type: ignore[index]
        containers=("main",),
    )
    assert contract.workload is not None
    memory = AdmissionMemory(tests=built_in, exact=judge)

    hurried = memory.judge(
        snapshot, NAMES, contract, contract.workload, "u", late=lambda: next(ticks), ask=nobody
    )
    calm = memory.judge(
        snapshot, NAMES, contract, contract.workload, "u", late=lambda: False, ask=nobody
    )

    assert (hurried.exact, hurried.rough, hurried.remembered) == (1, 2, 0)
    assert (calm.exact, calm.rough, calm.remembered) == (2, 0, 1)


def test_the_daemons_refusal_outweighs_our_own_judgement_until_its_state_changes() -> None:
    judge = Counting()
    world = make_world(judge)
    pod = real_time("p")
    world.filter(pod, NAMES)
    world.cpu.reserve_reason = Reason.CPU_NOT_SCHEDULABLE

    error = world.bind(pod, "n0")
    after = world.filter(pod, NAMES)
    world.add(make_node("n0", level=20, cpu=make_cpu_state(generation=2)))
    later = world.filter(pod, NAMES)

    assert error.startswith("cpu.not-schedulable")
    assert after["NodeNames"] == ["n1", "n2"]
    assert later["NodeNames"] == NAMES


def test_the_least_used_workloads_are_forgotten() -> None:
    judge = Counting()
    world = World(memory=AdmissionMemory(tests=built_in, exact=judge, workloads=1))
    world.add(make_node("n0", level=20, cpu=make_cpu_state(make_cpu_node())))

    for wcet in ("20ms", "21ms", "20ms"):
        world.filter(real_time("p", wcet), ["n0"])

    assert len(judge.calls) == 3
