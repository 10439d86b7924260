"""Cached verdicts are reused until the node's state changes."""

import gc
from collections.abc import Mapping
from dataclasses import dataclass, field

from extender.cache.workloads import WorkloadCache
from extender.placement.admission_cache import AdmissionCache
from extender.placement.candidates import Verdict, run_test
from extender.placement.node_queries import CollectAnswers, TakeLateAnswer
from k40s.annotations import CpuState
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admit
from k40s.reasons import Reason
from tests.fakes.extender.world import (
    World,
    built_in,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
)


def nobody(states: Mapping[str, CpuState], _late: TakeLateAnswer) -> CollectAnswers:
    raise AssertionError(f"asked {sorted(states)}")


@dataclass
class Counting:
    """An admission test that counts."""

    calls: list[str] = field(default_factory=list)

    def __call__(self, test: Admit, node: CpuNode, demand: PodDemand) -> Verdict:
        self.calls.append(demand.pod_uid)
        return run_test(test, node, demand)


def make_world(tests: Counting, nodes: int = 3) -> World:
    world = World(admissions=AdmissionCache(tests=built_in, exact=tests))
    for number in range(nodes):
        world.add(make_node(f"n{number}", level=20, cpu=make_cpu_state()))
    return world


NAMES = ["n0", "n1", "n2"]


def real_time(name: str, wcet: str = "20ms") -> dict[str, object]:
    return make_pod(name, criticality="HI", tasks=[make_task(wcet)])


def test_nodes_that_are_gone_are_evicted() -> None:
    world = make_world(Counting(), nodes=2)
    gone = [f"https://10.99.1.{number}:8441" for number in range(2, 50)]
    for number, endpoint in enumerate(gone, 2):
        world.add(make_node(f"n{number}", level=20, cpu=make_cpu_state(endpoint=endpoint)))
        world.filter(real_time("p"), [f"n{number}"])
        world.cache.nodes.delete(f"n{number}")

    world.filter(real_time("p"), ["n0"])
    gc.collect()

    kept = {found.endpoint for found in gc.get_objects() if isinstance(found, CpuState)}
    assert len(kept.intersection(gone)) <= 4


def test_equal_pods_are_tested_once() -> None:
    tests = Counting()
    world = make_world(tests)

    answers = [world.filter(real_time(f"p{i}"), NAMES) for i in range(5)]
    world.prioritize(real_time("p0"), NAMES)

    assert len(tests.calls) == len(NAMES)
    assert all(answer == answers[0] for answer in answers)


def test_only_the_node_that_changed_is_tested_again() -> None:
    tests = Counting()
    world = make_world(tests)
    world.filter(real_time("p"), NAMES)

    world.add(make_node("n1", level=20, cpu=make_cpu_state(generation=2)))
    world.filter(real_time("q"), NAMES)

    assert len(tests.calls) == len(NAMES) + 1


def test_a_change_of_assurance_is_no_reason_to_judge_again() -> None:
    tests = Counting()
    world = make_world(tests)
    world.filter(real_time("p"), NAMES)

    world.add(make_node("n1", level=15, cpu=make_cpu_state()))
    world.filter(real_time("p"), NAMES)

    assert len(tests.calls) == len(NAMES)


def test_another_contract_is_tested_for_itself() -> None:
    tests = Counting()
    world = make_world(tests)

    world.filter(real_time("p"), NAMES)
    world.filter(real_time("p", "21ms"), NAMES)

    assert len(tests.calls) == 2 * len(NAMES)


def test_a_pod_with_a_reservation_is_tested_for_itself_on_that_node_alone() -> None:
    tests = Counting()
    world = make_world(tests)
    pod = real_time("p")
    world.filter(pod, NAMES)
    world.bind(pod, "n0")
    held = make_cpu_state(world.cpu.node, generation=2)
    world.add(make_node("n0", level=20, cpu=held))
    tests.calls.clear()

    for name in ("p", "p", "q"):
        world.filter(real_time(name), NAMES)
        world.prioritize(real_time(name), NAMES)

    assert tests.calls == ["uid-p", ""]


def test_a_hurried_verdict_is_tested_again() -> None:
    tests = Counting()
    world = make_world(tests)
    ticks = iter([False, True, True])
    snapshot = world.cache.snapshot()
    workloads = WorkloadCache()
    contract = workloads.read(
        labels={},
        annotations=real_time("p")["metadata"]["annotations"],  # type: ignore[index]
        containers=("main",),
    )
    assert contract.workload is not None
    admissions = AdmissionCache(tests=built_in, exact=tests)

    hurried = admissions.verdicts(
        snapshot, NAMES, contract, contract.workload, "u", late=lambda: next(ticks), ask=nobody
    )
    calm = admissions.verdicts(
        snapshot, NAMES, contract, contract.workload, "u", late=lambda: False, ask=nobody
    )

    assert (hurried.exact, hurried.rough, hurried.cached) == (1, 2, 0)
    assert (calm.exact, calm.rough, calm.cached) == (2, 0, 1)


def test_the_daemons_refusal_replaces_our_verdict_until_its_state_changes() -> None:
    tests = Counting()
    world = make_world(tests)
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


def test_the_least_used_workloads_are_evicted() -> None:
    tests = Counting()
    world = World(admissions=AdmissionCache(tests=built_in, exact=tests, workloads=1))
    world.add(make_node("n0", level=20, cpu=make_cpu_state(make_cpu_node())))

    for wcet in ("20ms", "21ms", "20ms"):
        world.filter(real_time("p", wcet), ["n0"])

    assert len(tests.calls) == 3
