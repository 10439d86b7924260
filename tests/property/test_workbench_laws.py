"""Laws of what is told before a pod is deployed."""

from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from random import Random

import yaml
from hypothesis import given
from hypothesis import strategies as st

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.schedulability import node_holds
from k40s.cpu.model import CpuNode, DeadlineOffer, Domain, PodDemand
from k40s.cpu.outcome import Admission
from k40s.errors import InvalidInputError
from k40s.strict_json import Json
from k40s.units import NS_PER_S, Nanoseconds, format_duration, parse_duration
from tests.oracles.pods import nodes, random_large_pod
from workbench.analysis.admission import admit_in_order
from workbench.inputs.document import read_documents
from workbench.inputs.manifests import read_manifest
from workbench.inputs.misplaced_keys import POD_KEYS, check_keys
from workbench.inputs.task_set_file import PodSet, read_task_set_file
from workbench.simulation.node_scenario import plan_node
from workbench.simulation.run import simulate
from workbench.simulation.scenario import Behaviour
from workbench.table import as_share, as_time

A_WHILE = Nanoseconds(NS_PER_S // 2)

YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["pods", "node", "tasks", "name", "x"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


def written(node: CpuNode, demands: list[PodDemand]) -> str:
    """The task-set file that says the same."""
    pods = [
        {
            "name": demand.pod_uid,
            "criticality": demand.criticality.name,
            "containers": [
                {
                    "name": container.container,
                    "tasks": [
                        {
                            "name": task.name,
                            "period": format_duration(task.period),
                            "deadline": format_duration(task.deadline),
                            "wcet": {"any": format_duration(task.wcet)},
                        }
                        | ({} if task.priority is None else {"priority": task.priority})
                        | ({} if task.core is None else {"core": task.core})
                        for task in container.tasks
                    ],
                }
                for container in demand.containers
            ],
            **({} if demand.mechanism is None else {"enforcement": demand.mechanism.value}),
        }
        for demand in demands
    ]
    section: dict[str, object] = {
        "cores": len(node.cores),
        "tick": format_duration(node.tick),
        "core_capacity": str(node.core_capacity),
        "node_capacity": "1",
        "platform": "any",
        "groups": "shared" if node.shared_groups else "own",
    }
    if node.deadline is not None:
        section["deadline"] = {
            "tick": format_duration(node.deadline.tick),
            "capacity": str(node.deadline.capacity),
            "domain": node.deadline.domain.value,
            "cpus": node.deadline.cpus,
        }
    return yaml.safe_dump({"node": section, "pods": pods})


@st.composite
def offering_nodes(draw: st.DrawFn) -> CpuNode:
    """Nodes of one or two cores with and without SCHED_DEADLINE, in every kind of root domain."""
    node = draw(nodes().filter(lambda node: len(node.cores) < 3))
    domain = draw(st.sampled_from([None, *Domain]))
    if domain is None:
        return node
    cpus = len(node.cores) if domain is Domain.SHARED else 1
    offer = DeadlineOffer(tick=node.tick, capacity=Fraction(9, 10), domain=domain, cpus=cpus)
    return replace(node, deadline=offer, shared_groups=draw(st.booleans()))


@given(offering_nodes(), st.integers(0, 2**32), st.integers(1, 5))
def test_the_verdict_on_a_file_is_that_of_admission(node: CpuNode, seed: int, count: int) -> None:
    chance = Random(seed)
    demands = [random_large_pod(chance, f"p{number}", len(node.cores)) for number in range(count)]
    problem = read_task_set_file(written(node, demands), source="set.yaml")
    assert isinstance(problem, PodSet)

    report = admit_in_order(problem.node, problem.pods)

    current = problem.node
    for demand, step in zip(demands, report.steps, strict=True):
        outcome = admit(current, demand)
        assert isinstance(outcome, Admission) == (step.rejection is None)
        if isinstance(outcome, Admission):
            current = outcome.node
            assert step.granted == outcome.granted
    assert report.node == current


@given(offering_nodes(), st.integers(0, 2**32))
def test_bounds_are_within_deadlines_and_hold_in_simulation(node: CpuNode, seed: int) -> None:
    chance = Random(seed)
    demands = [random_large_pod(chance, f"p{number}", len(node.cores)) for number in range(3)]
    problem = read_task_set_file(written(node, demands), source="set.yaml")
    assert isinstance(problem, PodSet)

    report = admit_in_order(problem.node, problem.pods)

    assert node_holds(report.node)
    for server in report.bounds:
        for task in server.tasks:
            assert task.response is not None
            assert task.response <= task.task.deadline
    behaviour = Behaviour(seed=seed % 1000, hogs=True)
    plans = plan_node(report.node, report.bounds, behaviour, None)
    seen = simulate(plans, A_WHILE, seed=seed, progress=lambda _done, _of: None)
    assert seen.held
    assert seen.bounded


@given(YAML.map(yaml.safe_dump) | st.text(max_size=60))
def test_whatever_a_file_holds_it_is_read_or_refused(text: str) -> None:
    with suppress(InvalidInputError):
        read_task_set_file(text, source="set.yaml")


SHARES = st.fractions(min_value=0, max_value=3)


@given(SHARES, st.lists(SHARES, max_size=3))
def test_no_share_is_shown_on_the_other_side_of_a_bound(
    value: Fraction, bounds: list[Fraction]
) -> None:
    shown = Fraction(as_share(value, *bounds))

    assert all((shown > b) == (value > b) and (shown < b) == (value < b) for b in bounds)


@given(st.integers(0, 10**18))
def test_a_time_that_is_shown_is_the_time(value: int) -> None:
    assert parse_duration(as_time(value)) == value


KEYS = st.sampled_from([*POD_KEYS, "k40s.io/task", "k4os.io/tasks", "app"])


@given(st.dictionaries(KEYS, st.just("x"), max_size=3), st.sampled_from(["own", "spec", "top"]))
def test_a_key_outside_of_a_template_is_an_error_or_nobodys(keys: dict[str, str], at: str) -> None:
    spec: dict[str, object] = {"containers": [{"name": "c"}]}
    own: dict[str, object] = {}
    whole: dict[str, object] = {"metadata": own, "spec": {"template": {"spec": spec}}}
    {"own": own, "spec": spec, "top": whole}[at]["annotations"] = keys

    refused = False
    try:
        check_keys(Json(value=whole, source="x", error=InvalidInputError), [("spec", "template")])
    except InvalidInputError:
        refused = True

    assert refused == any(key != "app" for key in keys)


@given(YAML.map(yaml.safe_dump) | st.text(max_size=60))
def test_whatever_a_manifest_holds_it_is_judged_or_named_or_refused(text: str) -> None:
    thing = yaml.safe_dump({"apiVersion": "v1", "kind": "Thing", "spec": text})

    with suppress(InvalidInputError):
        read_manifest(read_documents(f"{thing}---\n{text}", source="set.yaml"), source="set.yaml")
