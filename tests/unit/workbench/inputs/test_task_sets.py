from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from k40s.cpu.model import Domain, Mechanism, Packing, Server
from k40s.criticality import Criticality
from k40s.errors import InvalidInputError
from k40s.units import NS_PER_MS, Nanoseconds
from workbench.inputs.bare_task_set import BareTaskSet, Scheduling
from workbench.inputs.node_file import DEFAULT_NODE
from workbench.inputs.task_set_file import PodSet, TaskSetFile, read_task_set_file

EXAMPLES = sorted(Path("docs/examples/tasksets").glob("*.yaml"))
TASK = {"name": "t", "period": "100ms", "wcet": "10ms"}
POD = {"name": "p", "criticality": "LOW", "containers": [{"name": "c", "tasks": [TASK]}]}


def read(value: object) -> TaskSetFile:
    return read_task_set_file(yaml.safe_dump(value), source="set.yaml")


def read_pods(**node: object) -> PodSet:
    problem = read({"node": node, "pods": [POD]})
    assert isinstance(problem, PodSet)
    return problem


def read_set(*tasks: dict[str, object], **fields: object) -> BareTaskSet:
    problem = read({"tasks": list(tasks), **fields})
    assert isinstance(problem, BareTaskSet)
    return problem


def fault(value: object) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(value)
    return str(caught.value)


def test_a_file_without_a_node_means_the_default_one() -> None:
    problem = read({"pods": [POD]})

    assert isinstance(problem, PodSet)
    assert problem.node == DEFAULT_NODE
    assert not problem.stated
    assert problem.pods[0].workload.tasks[0].container == "c"


def test_every_field_of_a_node_is_read() -> None:
    node = read_pods(
        cores="1-2,5",
        tick="1ms",
        core_capacity=0.8,
        node_capacity="3/4",
        platform="xeon",
        platform_factor=1.5,
        groups="own",
        packing="worst-fit",
        hi_reserve="20ms/100ms",
        deadline={"tick": "0ms", "capacity": 0.7, "domain": "shared", "cpus": 3},
    ).node

    assert node.cores == (1, 2, 5)
    assert node.tick == NS_PER_MS
    assert (node.core_capacity, node.node_capacity) == (Fraction(4, 5), Fraction(3, 4))
    assert (node.platform, node.platform_factor) == ("xeon", Fraction(3, 2))
    assert not node.shared_groups
    assert node.hi_reserve == Server(
        budget=Nanoseconds(20 * NS_PER_MS), period=Nanoseconds(100 * NS_PER_MS)
    )
    assert node.packing is Packing.WORST_FIT
    assert node.deadline is not None
    assert (node.deadline.domain, node.deadline.cpus) == (Domain.SHARED, 3)
    assert node.deadline.tick == 0


def test_deadline_true_is_the_usual_offer_and_false_is_none() -> None:
    usual = read_pods(deadline=True).node.deadline

    assert usual is not None
    assert usual.capacity == Fraction(9, 10)
    assert read_pods(deadline=False).node.deadline is None


def test_a_pod_may_ask_for_its_mechanism() -> None:
    problem = read({"pods": [POD | {"enforcement": "deadline"}]})

    assert isinstance(problem, PodSet)
    assert problem.pods[0].workload.mechanism is Mechanism.DEADLINE


def test_without_priorities_the_shorter_deadline_is_more_urgent() -> None:
    found = read_set(
        TASK | {"name": "slow"},
        TASK | {"name": "fast", "deadline": "50ms"},
        TASK | {"name": "equal"},
    )

    assert [task.priority for task in found.tasks] == [2, 3, 1]
    assert found.scheduling is Scheduling.FIXED_PRIORITY


def test_tasks_under_edf_have_no_priorities() -> None:
    found = read_set(TASK, scheduling="edf")

    assert found.scheduling is Scheduling.EDF
    with pytest.raises(InvalidInputError, match="expected no priorities: EDF goes by deadlines"):
        read_set(TASK | {"priority": 7}, scheduling="edf")


@pytest.mark.parametrize("field", ["tick", "above"])
def test_a_field_that_only_a_server_makes_use_of_needs_one(field: str) -> None:
    value: object = "4ms" if field == "tick" else [{"budget": "1ms", "period": "10ms"}]

    with pytest.raises(InvalidInputError, match=rf"at \$\.{field}: found .* a field server"):
        read_set(TASK, **{field: value})


def test_every_field_of_a_plain_task_is_read() -> None:
    found = read_set(
        TASK
        | {
            "deadline": "90ms",
            "priority": 7,
            "jitter": "1ms",
            "blocking": "2ms",
            "criticality": "HI",
            "wcet_hi": "20ms",
        },
        server={"budget": "5ms", "period": "20ms"},
        above=[{"budget": "1ms", "period": "10ms"}],
        tick="4ms",
        scheduling="fp",
    )

    (task,) = found.tasks
    assert (task.priority, task.jitter, task.blocking) == (7, NS_PER_MS, 2 * NS_PER_MS)
    assert (task.criticality, task.wcet_hi) == (Criticality.HI, 20 * NS_PER_MS)
    assert found.server is not None
    assert found.server.share == Fraction(1, 4)
    assert len(found.above) == 1
    assert found.tick == 4 * NS_PER_MS


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_can_be_read(path: Path) -> None:
    assert read_task_set_file(path.read_text(), source=str(path))


def in_task(**changes: object) -> object:
    return {"tasks": [TASK | changes]}


def in_pod_task(**changes: object) -> object:
    return {"pods": [POD | {"containers": [{"name": "c", "tasks": [TASK | changes]}]}]}


AT_TASK = "$.pods[0].containers[0].tasks[0]"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([], "set.yaml: found an array of 0 items, expected an object"),
        ({}, "set.yaml: found neither, expected a field pods"),
        ({"pods": []}, "at $.pods: found an array of 0 items, expected an array of 1 to 500"),
        ({"pods": [POD], "x": 1}, 'at $.x: found the unknown field "x", expected only pods, node'),
        ({"pods": [POD, POD]}, "at $.pods[1].name: found 'p', expected a name used once"),
        ({"pods": [POD | {"name": "P"}]}, "at $.pods[0].name: found 'P', expected a pod's name"),
        ({"pods": [POD | {"criticality": False}]}, "criticality: found false, expected LOW or HI"),
        ({"pods": [POD | {"enforcement": "cgroup"}]}, "found 'cgroup', expected one of rt-cgroup"),
        ({"pods": [POD | {"containers": {}}]}, "at $.pods[0].containers: found an object"),
        (
            {"pods": [POD | {"containers": POD["containers"] * 2}]},
            "at $.pods[0].containers[1].name: found 'c', expected a name used once per pod",
        ),
        (in_pod_task(period=100), f"at {AT_TASK}.period: found 100, expected a duration with a un"),
        (in_pod_task(period="100"), f"at {AT_TASK}.period: found '100', expected a duration with"),
        (in_pod_task(perod="1ms"), f'at {AT_TASK}.perod: found the unknown field "perod"'),
        (in_pod_task(deadline="1s"), f"at {AT_TASK}.deadline: found '1s', expected at most the pe"),
        (in_pod_task(container="d"), f"at {AT_TASK}.container: found 'd', expected one of the pod"),
        (
            {"pods": [POD | {"criticality": "HI"}]},
            f"at {AT_TASK}.wcet: found '10ms', expected a table of platforms",
        ),
        ({"node": {"tick": 4}, "pods": [POD]}, "at $.node.tick: found 4, expected a duration"),
        ({"node": {"tick": "2s"}, "pods": [POD]}, "at $.node.tick: found '2s', expected at most"),
        ({"node": {"cores": 0}, "pods": [POD]}, "at $.node.cores: found 0, expected a whole numb"),
        ({"node": {"cores": "3-1"}, "pods": [POD]}, "at $.node.cores: found '3-1', expected each"),
        ({"node": {"cores": "1,1"}, "pods": [POD]}, "at $.node.cores: found '1,1', expected each"),
        ({"node": {"core_capacity": 2}, "pods": [POD]}, "at $.node.core_capacity: found 2, expec"),
        ({"node": {"platform_factor": 0}, "pods": [POD]}, "at $.node.platform_factor: found 0, e"),
        ({"node": {"platform": "a b"}, "pods": [POD]}, "at $.node.platform: found 'a b', expecte"),
        (
            {"node": {"hi_reserve": 1}, "pods": [POD]},
            "at $.node.hi_reserve: found 1, expected a WC",
        ),
        ({"node": {"groups": "all"}, "pods": [POD]}, "at $.node.groups: found 'all', expected on"),
        ({"node": {"packing": "ff"}, "pods": [POD]}, "at $.node.packing: found 'ff', expected on"),
        (
            {"node": {"deadline": {"cpus": 2}}, "pods": [POD]},
            "at $.node.deadline.cpus: found 2, expected 1, or the domain shared",
        ),
        (
            {"node": {"deadline": {"capacity": 0}}, "pods": [POD]},
            "at $.node.deadline.capacity: found 0, expected a fraction from 1/1000 to 1",
        ),
        (in_task(wcet="200ms"), "at $.tasks[0].wcet: found '200ms', expected at most the deadline"),
        (in_task(deadline="1s"), "at $.tasks[0].deadline: found '1s', expected at most the period"),
        (in_task(period="2h"), "at $.tasks[0].period: found '2h', expected a duration with a unit"),
        (in_task(name=""), "at $.tasks[0].name: found '', expected a task's name"),
        (in_task(priority=99), "at $.tasks[0].priority: found 99, expected a whole number from 1"),
        (in_task(jitter="1s"), "at $.tasks[0].jitter: found '1s', expected at most 100ms"),
        (in_task(criticality="NO"), "at $.tasks[0].criticality: found 'NO', expected LOW or HI"),
        (in_task(wcet_hi="20ms"), "at $.tasks[0].wcet_hi: found '20ms', expected no such field, o"),
        (
            in_task(criticality="HI", wcet_hi="1ms"),
            "at $.tasks[0].wcet_hi: found '1ms', expected at least the wcet, 10ms, and at most",
        ),
        ({"tasks": [TASK, TASK]}, "at $.tasks[0].name: found 't', expected a name used once"),
        (
            {"tasks": [TASK | {"priority": 1}, TASK | {"name": "u"}]},
            "at $.tasks[1]: found no priority, expected a priority for every task, or for none",
        ),
        (
            {"tasks": [TASK], "server": {"budget": "2ms", "period": "1ms"}},
            "at $.server.budget: found '2ms', expected at most the period, 1ms",
        ),
        ({"tasks": [TASK], "above": []}, "at $.above: found an array of 0 items, expected a field"),
        ({"tasks": [TASK], "scheduling": "rm"}, "at $.scheduling: found 'rm', expected one of fp"),
    ],
)
def test_a_fault_names_its_path_and_what_would_be_right(value: object, error: str) -> None:
    assert error in fault(value)
