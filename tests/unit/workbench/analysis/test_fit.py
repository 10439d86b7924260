import json
from dataclasses import replace
from fractions import Fraction

import pytest
import yaml

from k40s.annotations import CpuState, format_cpu_state
from k40s.cpu.model import CpuNode
from k40s.cpu.outcome import ADMISSION_TEST
from k40s.cpu.workload import Workload
from k40s.criticality import Criticality
from k40s.errors import InvalidInputError
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.exchanging_nodes import exchanging_node
from workbench.analysis.admission import BUILT_IN, AdmissionTest
from workbench.analysis.fit import Answer, find_fit
from workbench.inputs.node_file import DEFAULT_NODE
from workbench.inputs.node_state import NodeState, read_node_state
from workbench.inputs.pods import Pod
from workbench.inputs.task_set_file import PodSet, read_task_set_file
from workbench.reports.fit import format_report, report_json

NODE = replace(DEFAULT_NODE, platform="xeon", shared_groups=True)


def state_of(node: CpuNode = NODE, **changes: object) -> CpuState:
    state = CpuState(
        generation=7,
        test=ADMISSION_TEST,
        mechanism="rt-cgroup",
        endpoint="https://10.88.1.5:8441",
        lease=Nanoseconds(30 * NS_PER_S),
        node=node,
        utilization=node.utilizations(),
        complete=True,
    )
    return replace(state, **changes)  # type: ignore[arg-type]


def node_of(fit_for: Criticality | None = None, **changes: object) -> NodeState:
    return NodeState(name="edge-1", state=state_of(**changes), fit_for=fit_for)  # type: ignore[arg-type]


def pods(wcet: str = "20ms", criticality: str = "LOW", period: str = "200ms") -> tuple[Pod, ...]:
    written = {
        "name": "camera",
        "criticality": criticality,
        "containers": [
            {
                "name": "grab",
                "tasks": [{"name": "frame", "period": period, "wcet": {"xeon": wcet}}],
            }
        ],
    }
    problem = read_task_set_file(yaml.safe_dump({"pods": [written]}), source="set.yaml")
    assert isinstance(problem, PodSet)
    return problem.pods


def find_test(name: str) -> AdmissionTest | None:
    return BUILT_IN if name == ADMISSION_TEST else None


def test_yes_with_the_server_that_the_pod_would_get() -> None:
    report = find_fit(node_of(), pods(), find_test)

    text = format_report(report)

    assert report.answer is Answer.YES
    assert text.startswith("on edge-1 (generation 7): yes\n  camera/grab gets ")
    assert " on core 0 (rt-cgroup)" in text
    assert "At bind the node decides again" in text
    assert report_json(report)["answer"] == "yes"


def test_a_pod_for_which_the_node_can_exchange_servers_is_for_the_node_to_say() -> None:
    full = replace(exchanging_node(), platform="xeon")
    new, too_large = pods(wcet="14ms", period="40ms"), pods(wcet="17ms", period="40ms")

    report = find_fit(node_of(node=full), new, find_test)

    assert report.answer is Answer.NODE_DECIDES
    assert "can exchange servers" in format_report(report)
    assert find_fit(node_of(node=full), too_large, find_test).answer is Answer.NO
    assert find_fit(node_of(node=full, exchanges=False), new, find_test).answer is Answer.NO


def test_no_with_the_reason_and_figures() -> None:
    report = find_fit(node_of(), pods(wcet="190ms"), find_test)

    found = report_json(report)

    assert report.answer is Answer.NO
    assert "camera is refused, cpu.no-bandwidth: no core of the node" in format_report(report)
    assert isinstance(found["refusals"], list)
    assert found["refusals"][0]["reason"] == Reason.CPU_NO_BANDWIDTH


def test_what_the_node_holds_counts() -> None:
    held = find_fit(node_of(), pods(wcet="110ms"), find_test)
    assert held.report is not None
    busy = replace(
        held.report.node,
        reservations=tuple(replace(r, pod_uid="other") for r in held.report.node.reservations),
    )

    assert find_fit(node_of(node=busy), pods(wcet="110ms"), find_test).answer is Answer.NO


def test_an_unknown_test_leaves_the_answer_to_the_node() -> None:
    report = find_fit(node_of(test="my-test"), pods(), find_test)

    text = format_report(report)

    assert report.answer is Answer.NODE_DECIDES
    assert "it runs the test my-test, which is not installed here" in text
    assert "https://10.88.1.5:8441/v1/admission" in text
    assert report_json(report)["admission"] is None


def test_an_unknown_test_may_admit_what_bandwidth_forbids_ours() -> None:
    report = find_fit(node_of(test="my-test"), pods(wcet="190ms"), find_test)

    assert report.answer is Answer.NODE_DECIDES


@pytest.mark.parametrize(
    ("used", "answer"), [(Fraction(0), Answer.NODE_DECIDES), (Fraction(89, 100), Answer.NO)]
)
def test_utilizations_alone_can_only_say_no(used: Fraction, answer: Answer) -> None:
    node = node_of(complete=False, utilization={0: used})

    report = find_fit(node, pods(), find_test)

    assert report.answer is answer


def test_assurance_counts_where_it_is_known() -> None:
    report = find_fit(node_of(fit_for=Criticality.LOW), pods(criticality="HI"), find_test)

    assert [refused.reason for _, refused in report.refusals] == [Reason.ASSURANCE_TOO_LOW]
    assert "it is fit for LOW, the pod is HI" in format_report(report)


def test_a_node_that_enforces_nothing_takes_no_real_time_pod() -> None:
    report = find_fit(node_of(mechanism="none"), pods(), find_test)

    assert [refused.reason for _, refused in report.refusals] == [Reason.CPU_NO_REAL_TIME]


def test_a_table_without_the_platform_is_a_no_whatever_the_test() -> None:
    arm = replace(NODE, platform="arm")

    report = find_fit(node_of(node=arm, test="my-test"), pods(), find_test)

    assert [refused.reason for _, refused in report.refusals] == [Reason.CPU_NO_WCET]


def test_the_annotation_can_be_handed_in_as_it_is() -> None:
    found = read_node_state(format_cpu_state(state_of()) + "\n", source="state.json")

    assert found.state == state_of()
    assert found.fit_for is None


@pytest.mark.parametrize("dump", [yaml.safe_dump, json.dumps])
def test_a_saved_node_object_can_be_handed_in(dump: object) -> None:
    saved = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": "edge-1",
            "labels": {"node.k40s.io/assurance-class": "LOW", "number": 5},
            "annotations": {"node.k40s.io/cpu-state": format_cpu_state(state_of())},
        },
    }

    found = read_node_state(dump(saved), source="node")  # type: ignore[operator]

    assert (found.name, found.fit_for) == ("edge-1", Criticality.LOW)
    assert found.state == state_of()


ASSURANCE = (
    '{"v":1,"level":12,"hardware":4,"software":3,"state":5,"observed":"2026-03-01T12:00:00Z",'
    '"lease":"30s","hazards":[]}'
)


@pytest.mark.parametrize(
    ("label", "assurance", "reason"),
    [
        ("true", ASSURANCE, None),
        ("false", ASSURANCE, Reason.CPU_NO_REAL_TIME),
        (None, ASSURANCE, Reason.CPU_NO_REAL_TIME),
        ("true", None, Reason.ASSURANCE_UNKNOWN),
        ("true", "{}", Reason.ASSURANCE_UNKNOWN),
    ],
)
def test_a_node_is_refused_for_what_the_scheduler_refuses_it_for(
    label: str | None, assurance: str | None, reason: Reason | None
) -> None:
    labels = {} if label is None else {"node.k40s.io/real-time": label}
    published = {} if assurance is None else {"node.k40s.io/assurance": assurance}
    state = {"node.k40s.io/cpu-state": format_cpu_state(state_of())}
    metadata = {"name": "edge-1", "labels": labels, "annotations": published | state}
    saved = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}

    report = find_fit(read_node_state(yaml.safe_dump(saved), source="n"), pods(), find_test)

    assert [refused.reason for _, refused in report.refusals] == ([reason] if reason else [])


def test_a_pod_without_tasks_is_judged_by_assurance_alone() -> None:
    modest = Pod(name="p", workload=Workload(criticality=Criticality.HI))
    anywhere = node_of(Criticality.HI, mechanism="none", test="another")

    fit = find_fit(anywhere, [modest], find_test)
    unfit = find_fit(node_of(Criticality.LOW), [modest], find_test)

    assert (fit.answer, unfit.answer) == (Answer.YES, Answer.NO)
    assert "pod p  HI    has no real-time tasks: only the node's assurance" in format_report(fit)


def test_a_state_that_does_not_tell_the_assurance_says_so() -> None:
    sentence = "the state does not tell the node's assurance, which the scheduler looks at too"

    assert sentence in format_report(find_fit(node_of(), pods(), find_test))
    assert sentence not in format_report(find_fit(node_of(Criticality.HI), pods(), find_test))


def test_a_label_that_is_no_criticality_says_nothing() -> None:
    saved = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "labels": {"node.k40s.io/assurance-class": "high"},
            "annotations": {"node.k40s.io/cpu-state": format_cpu_state(state_of())},
        },
    }

    assert read_node_state(yaml.safe_dump(saved), source="node.yaml").fit_for is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("apiVersion: v1\nkind: Pod\n", "n.yaml at $.kind: found 'Pod', expected Node"),
        ("apiVersion: v1\nkind: Node\n", "n.yaml: found none, expected the annotation node.k40s"),
        ('{"v": 99}', "node.k40s.io/cpu-state at $.v: found 99, expected a whole number"),
    ],
)
def test_a_state_that_cannot_be_read_says_why(text: str, error: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_node_state(text, source="n.yaml")

    assert error in str(caught.value)
