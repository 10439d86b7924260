from pathlib import Path

from k40s.cpu.model import CpuNode, PodDemand, Reservation, Server, Task
from k40s.cpu.outcome import Admission, Rejection
from k40s.cpu.price import prices_of
from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds
from workbench.analysis.admission import AdmissionReport, AdmissionTest, Step, admit_in_order
from workbench.analysis.bounds import bounds_of
from workbench.inputs.task_set_file import PodSet, read_task_set_file
from workbench.reports.admission_json import report_json
from workbench.reports.admission_text import format_report

EXAMPLES = Path("docs/examples/tasksets")

ONE = """
node: {cores: 1, tick: 0ms, platform: xeon}
pods:
  - name: arm
    criticality: HI
    containers:
      - name: control
        tasks: [{name: servo, period: 100ms, deadline: 80ms, wcet: {xeon: 9.88ms}}]
"""

GREEDY = """
  - name: greedy
    criticality: LOW
    containers:
      - name: app
        tasks: [{name: all, period: 100ms, wcet: 95ms}]
"""


TASK = Task(
    name="servo",
    wcet=Nanoseconds(9_880_000),
    period=Nanoseconds(100 * NS_PER_MS),
    deadline=Nanoseconds(80 * NS_PER_MS),
)
HELD = Reservation(
    pod_uid="arm",
    container="control",
    core=0,
    criticality=Criticality.HI,
    server=Server(budget=Nanoseconds(10 * NS_PER_MS), period=Nanoseconds(100 * NS_PER_MS)),
    tasks=(TASK,),
    priorities=(98,),
    group=0,
)


def written_report() -> AdmissionReport:
    """A report whose figures do not depend on which server admission prefers."""
    problem = problem_of(ONE)
    node = problem.node.holding((HELD,))
    step = Step(pod=problem.pods[0], rejection=None, granted=(HELD,))
    return AdmissionReport(
        node=node, steps=(step,), bounds=bounds_of(node), test="a-test", prices=prices_of((HELD,))
    )


def problem_of(text: str) -> PodSet:
    problem = read_task_set_file(text, source="set.yaml")
    assert isinstance(problem, PodSet)
    return problem


def report_of(text: str) -> AdmissionReport:
    problem = problem_of(text)
    return admit_in_order(problem.node, problem.pods)


def test_a_report_is_a_table_of_servers_tasks_and_cores() -> None:
    assert format_report(written_report()) == (
        "node: cores 0, tick 0ns, capacity 0.900 per core, 0.950 for all budget groups, "
        "which cores share, platform xeon\n"
        "test: a-test\n"
        "\n"
        "pod arm  HI    admitted\n"
        "\n"
        "server       core  mechanism  group  budget  period  Q/P    rule         has it within\n"
        "arm/control  0     rt-cgroup  0      10ms    100ms   0.100  containment  10ms\n"
        "\n"
        "task               core  priority  wcet    period  deadline  response  of deadline\n"
        "arm/control/servo  0     98        9.88ms  100ms   80ms      10ms      12.5 %\n"
        "\n"
        "container    WCETs (C/T)  reserved (Q/P)  price\n"
        "arm/control  0.099        0.100           0.001\n"
        "\n"
        "core  utilization  capacity\n"
        "0     0.100        0.900\n"
        "\n"
        "Bounds contain 120us of overheads for each job.\n"
        "\n"
        "schedulable"
    )


def test_a_refusal_has_its_reason_and_figures() -> None:
    report = report_of(ONE + GREEDY)

    text = format_report(report)

    assert not report.schedulable
    assert "pod arm     HI    admitted" in text
    assert f"pod greedy  LOW   refused, {Reason.CPU_NO_BANDWIDTH}: no core of the node has" in text
    assert "\n    container app: core 0: " in text
    assert text.endswith("not schedulable: 1 of 2 pods refused")


def test_a_refused_pod_changes_nothing() -> None:
    assert report_of(ONE + GREEDY).bounds == report_of(ONE).bounds


def test_a_hi_pod_without_a_wcet_for_the_platform_is_refused_with_its_name() -> None:
    report = report_of(ONE.replace("platform: xeon", "platform: arm"))

    (step,) = report.steps
    assert step.rejection is not None
    assert step.rejection.reason is Reason.CPU_NO_WCET
    assert "lacks the node's platform, arm" in step.rejection.detail


def test_a_scaled_wcet_beyond_its_deadline_is_refused_with_the_factor() -> None:
    text = (
        "node: {platform_factor: 3/2}\n"
        "pods: [{name: p, criticality: LOW, containers: "
        "[{name: c, tasks: [{name: t, period: 10ms, wcet: 9ms}]}]}]"
    )

    (step,) = report_of(text).steps

    assert step.rejection is not None
    assert "times the platform's factor, 3/2, exceeds" in step.rejection.detail


def test_servers_that_grow_for_a_newcomer_are_told() -> None:
    low = "{name: low, criticality: LOW, containers: [{name: a, tasks: [%s]}]}"
    high = "{name: hi, criticality: HI, containers: [{name: b, tasks: [%s]}]}"
    text = (
        "node: {tick: 0ms, platform: x}\npods:\n- "
        + low % "{name: t, period: 100ms, deadline: 40ms, wcet: 10ms}"
        + "\n- "
        + high % "{name: t, period: 50ms, wcet: {x: 10ms}}"
    )

    report = report_of(text)

    (growth,) = report.steps[1].grown
    assert (growth.pod, growth.container) == ("low", "a")
    assert growth.before.budget < growth.after.budget
    assert "low/a grows for it: " in format_report(report)


def test_json_has_stable_fields() -> None:
    found = report_json(written_report())

    assert {key: type(value).__name__ for key, value in found.items()} == {
        "v": "int",
        "kind": "str",
        "test": "str",
        "schedulable": "bool",
        "node": "dict",
        "pods": "list",
        "servers": "list",
        "cores": "list",
        "prices": "list",
    }
    assert found["pods"] == [
        {
            "name": "arm",
            "criticality": "HI",
            "schedulable": True,
            "reason": None,
            "text": None,
            "detail": None,
            "granted": [
                {
                    "pod": "arm",
                    "container": "control",
                    "core": 0,
                    "mechanism": "rt-cgroup",
                    "group": 0,
                    "budget": "10ms",
                    "period": "100ms",
                }
            ],
            "grown": [],
        }
    ]
    assert found["servers"] == [
        {
            "pod": "arm",
            "container": "control",
            "core": 0,
            "mechanism": "rt-cgroup",
            "group": 0,
            "budget": "10ms",
            "period": "100ms",
            "utilization": "1/10",
            "response": "10ms",
            "rule": "containment",
            "contained": True,
            "tasks": [
                {
                    "name": "servo",
                    "wcet": "9.88ms",
                    "period": "100ms",
                    "deadline": "80ms",
                    "rt_priority": 98,
                    "response": "10ms",
                }
            ],
        }
    ]
    assert found["cores"] == [{"core": 0, "utilization": "1/10"}]


def test_threads_of_sched_deadline_are_in_time_and_need_no_priority() -> None:
    report = report_of((EXAMPLES / "two-mechanisms.yaml").read_text())

    text = " ".join(format_report(report).split())

    assert report.schedulable
    assert "drive/loop (current) 0 deadline - 2.12ms 10ms 0.212 edf 10ms" in text
    assert "drive/loop/current 0 - 2ms 10ms 10ms in time -" in text


def test_threads_that_migrate_are_on_any_core() -> None:
    text = (EXAMPLES / "two-mechanisms.yaml").read_text()

    report = report_of(text.replace("domain: partitioned", "domain: shared, cpus: 2"))

    assert "drive/loop (speed) any deadline" in " ".join(format_report(report).split())
    servers = report_json(report)["servers"]
    assert isinstance(servers, list)
    assert servers[0]["core"] is None


def test_another_test_can_judge_the_pods() -> None:
    asked: list[str] = []

    def never(_node: CpuNode, demand: PodDemand) -> Admission | Rejection:
        asked.append(demand.pod_uid)
        return Rejection(reason=Reason.CPU_NOT_SCHEDULABLE, detail="on principle")

    problem = problem_of(ONE)
    report = admit_in_order(
        problem.node, problem.pods, test=AdmissionTest(name="never", admit=never)
    )

    assert asked == ["arm"]
    assert report.test == "never"
    assert not report.schedulable
