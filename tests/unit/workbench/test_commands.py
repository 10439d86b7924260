import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.analyze import analyze
from cli.calibration.calibrate import calibrate
from cli.main import main
from cli.simulate import simulate
from k40s.annotations import CpuState, format_cpu_state
from k40s.cpu.model import CpuNode
from k40s.cpu.outcome import ADMISSION_TEST
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving
from workbench.analysis.admission import admit_in_order
from workbench.inputs.node_file import DEFAULT_NODE
from workbench.inputs.task_set_file import PodSet, read_task_set_file

EXAMPLES = Path("docs/examples/tasksets")
CELL = str(EXAMPLES / "cell.yaml")
GOOD = "tasks: [{name: t, wcet: 3ms, period: 7ms}]"
BAD = "tasks: [{name: t, wcet: 3, period: 7ms}]"
LATE = "tasks: [{name: t, wcet: 3ms, period: 4ms}, {name: u, wcet: 2ms, period: 5ms}]"
CAMERA = (
    "pods: [{name: camera, criticality: LOW, containers: "
    "[{name: grab, tasks: [{name: frame, period: 200ms, wcet: 20ms}]}]}]"
)
MANIFEST = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "camera",
        "annotations": {
            "k40s.io/criticality": "LOW",
            "k40s.io/tasks": '[{"name": "frame", "period": "200ms", "wcet": "20ms"}]',
        },
    },
    "spec": {"schedulerName": "k40s-scheduler", "containers": [{"name": "grab"}]},
}


def run_analyze(*words: str, text: str | None = None) -> Result:
    return CliRunner().invoke(analyze, words, input=text)


def run_simulate(*words: str, text: str | None = None) -> Result:
    return CliRunner().invoke(simulate, words, input=text)


def cpu_state(test: str = ADMISSION_TEST, node: CpuNode = DEFAULT_NODE) -> str:
    return format_cpu_state(
        CpuState(
            generation=3,
            test=test,
            mechanism="rt-cgroup",
            endpoint="https://10.88.1.5:8441",
            lease=Nanoseconds(30 * NS_PER_S),
            node=node,
            utilization=node.utilizations(),
            complete=True,
        )
    )


@pytest.fixture
def pod(tmp_path: Path) -> str:
    path = tmp_path / "pod.yaml"
    path.write_text(yaml.safe_dump(MANIFEST))
    return str(path)


def test_a_schedulable_set_is_status_0() -> None:
    result = run_analyze("-", text=GOOD)

    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "schedulable")


def test_a_set_that_is_not_schedulable_is_status_1() -> None:
    result = run_analyze("-", text=LATE)

    assert result.exit_code == 1
    assert "not schedulable: the deadline may be missed by u" in result.stdout


def test_a_refused_pod_is_status_1() -> None:
    result = run_analyze(CELL)

    assert result.exit_code == 1
    assert "pod planner  LOW   refused, cpu." in result.stdout


@pytest.mark.parametrize(
    ("words", "text", "error"),
    [
        (["-"], BAD, "error: standard input at $.tasks[0].wcet: found 3, expected a duration wit"),
        (["/nowhere.yaml"], None, "error: /nowhere.yaml: found 'No such file or directory', expe"),
        (
            ["-", "--test", "magic"],
            GOOD,
            "error: no test magic judges bare task sets; there are fp",
        ),
        (["-", "--test", "prm"], GOOD, "error: the test prm needs a field server"),
        ([CELL, "--test", "fp"], None, "error: the test fp judges bare task sets, in files wi"),
        (["-", "--plot", "x.pdf"], GOOD, "error: x.pdf: a picture's name ends in .png or .svg"),
        (["-", "--node", "a", "--state", "b"], GOOD, "error: --node and --state exclude each ot"),
        (["-", "--node", "a", "--kubeconfig", "/nowhere"], GOOD, "--kubeconfig: found '/nowhere'"),
        (["-"], "a: 1\n---\nb: 1", "found 2 documents, expected one task set, in one document"),
    ],
)
def test_bad_input_is_status_2_and_one_line(words: list[str], text: str | None, error: str) -> None:
    result = run_analyze(*words, text=text)

    assert result.exit_code == 2
    assert error in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_file_that_is_no_text_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_bytes(b"\xff\xfe\x00")

    result = run_analyze(str(path))

    assert result.exit_code == 2
    assert "found 'bytes that are no UTF-8'" in result.stderr


def test_json_is_one_object() -> None:
    result = run_analyze("-", "--json", text=GOOD)

    assert json.loads(result.stdout)["schedulable"] is True


def test_the_built_in_test_can_be_named() -> None:
    by_name = run_analyze(CELL, "--test", ADMISSION_TEST)
    by_kind = run_analyze(CELL, "--test", "hierarchical")

    assert by_name.stdout == by_kind.stdout == run_analyze(CELL).stdout


def test_a_picture_is_drawn_beside_the_report(tmp_path: Path) -> None:
    path = tmp_path / "supply.svg"

    result = run_analyze(CELL, "--plot", str(path), "--server", "camera/grab")

    assert result.exit_code == 1
    assert "camera/grab" in path.read_text()


def test_a_manifest_needs_a_node(pod: str) -> None:
    result = run_analyze(pod)

    assert result.exit_code == 2
    assert "found a manifest alone, expected a node to ask about: --node NAME" in result.stderr


@pytest.mark.parametrize(("test", "status"), [(ADMISSION_TEST, 0), ("another-test", 3)])
def test_a_pod_is_judged_by_a_saved_state(pod: str, tmp_path: Path, test: str, status: int) -> None:
    state = tmp_path / "state.json"
    state.write_text(cpu_state(test))

    result = run_analyze(pod, "--state", str(state))

    assert result.exit_code == status


def test_what_is_not_judged_is_told_before_the_answer(pod: str, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text(cpu_state())
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    both = tmp_path / "both.yaml"
    both.write_text(f"{Path(pod).read_text()}---\n{yaml.safe_dump(service)}")

    as_text = run_analyze("-f", str(both), "--state", str(state))
    as_json = run_analyze("-f", str(both), "--state", str(state), "--json")

    told = {"about": "Service web", "says": "no pod in it"}
    assert as_text.stdout.startswith("not judged:\n  Service web: no pod in it\n\non ")
    assert json.loads(as_json.stdout)["not_judged"] == [told]


def test_a_pod_is_not_taken_for_one_that_the_node_holds(pod: str, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    problem = read_task_set_file(CAMERA, source="x")
    assert isinstance(problem, PodSet)
    held = admit_in_order(DEFAULT_NODE, problem.pods).node
    state.write_text(cpu_state(node=held))

    beside = json.loads(run_analyze(pod, "--state", str(state), "--json").stdout)
    named = run_analyze("-", "--state", str(state), text=CAMERA)

    assert len(beside["admission"]["servers"]) == 2
    assert beside["admission"]["pods"][0]["name"] == "camera-1"
    assert "found pod camera, expected another name, because the node holds a" in named.stderr


def test_pods_of_a_task_set_file_are_judged_by_a_state_too(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text(cpu_state())
    text = (
        "pods: [{name: p, criticality: LOW, containers: "
        "[{name: c, tasks: [{name: t, period: 200ms, wcet: 20ms}]}]}]"
    )

    assert run_analyze("-", "--state", str(state), text=text).exit_code == 0
    stated = run_analyze("-", "--state", str(state), text="node: {}\n" + text)
    assert "found a node, expected pods without a field node" in stated.stderr
    named = run_analyze("-", "--state", str(state), "--test", "hierarchical", text=text)
    assert "the node names its test: leave --test out" in named.stderr


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with serving() as server:
        yield server


@pytest.fixture
def kubeconfig(api: FakeApiServer, tmp_path: Path) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{api.port}"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return str(path)


def test_a_pod_is_judged_by_the_state_of_a_node_of_the_cluster(
    api: FakeApiServer, kubeconfig: str, pod: str
) -> None:
    metadata = {
        "name": "edge-1",
        "labels": {"node.k40s.io/real-time": "true", "node.k40s.io/assurance-class": "HI"},
        "annotations": {
            "node.k40s.io/cpu-state": cpu_state(),
            "node.k40s.io/assurance": '{"v":1,"level":12,"hardware":4,"software":3,"state":5,'
            '"observed":"2026-03-01T12:00:00Z","lease":"30s","hazards":[]}',
        },
    }
    api.answer("GET", "/api/v1/nodes/edge-1", Answer(body={"metadata": metadata}))

    result = run_analyze(pod, "--node", "edge-1", "--kubeconfig", kubeconfig)

    assert result.exit_code == 0
    assert result.stdout.startswith("on edge-1 (generation 3): yes")


def test_a_list_of_kubeconfig_files_is_as_good_as_one(
    api: FakeApiServer, kubeconfig: str, pod: str
) -> None:
    result = run_analyze(pod, "--node", "edge-9", "--kubeconfig", f"/nowhere:{kubeconfig}:")

    assert "edge-9" in result.stderr
    assert [request.path for request in api.received] == ["/api/v1/nodes/edge-9"]


def test_an_unknown_node_is_bad_input(kubeconfig: str, pod: str) -> None:
    result = run_analyze(pod, "--node", "edge-9", "--kubeconfig", kubeconfig)

    assert result.exit_code == 2
    assert "--node: found 'edge-9', expected the name of a node" in result.stderr


def test_a_cluster_that_does_not_answer_is_status_3(
    api: FakeApiServer, kubeconfig: str, pod: str
) -> None:
    api.answer("GET", "/api/v1/nodes/edge-1", *[Answer(status=500)] * 9)

    result = run_analyze(pod, "--node", "edge-1", "--kubeconfig", kubeconfig)

    assert result.exit_code == 3
    assert result.stderr.startswith("error: ")


def test_a_simulation_without_misses_is_status_0() -> None:
    result = run_simulate("-", "--together", "--for", "420ms", text=GOOD)

    assert (result.exit_code, result.stdout.splitlines()[-1]) == (
        0,
        "60 jobs in 420ms, no deadlines missed",
    )


def test_a_simulation_with_misses_is_status_1() -> None:
    result = run_simulate("-", "--together", "--json", text=LATE)

    assert result.exit_code == 1
    assert json.loads(result.stdout)["held"] is False


def test_a_refused_pod_makes_a_simulation_status_1_and_is_named() -> None:
    result = run_simulate(CELL, "--for", "100ms")

    assert result.exit_code == 1
    assert result.stdout.startswith("pod planner was refused and does not run; k40s analyze says")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--for", "10"], "not a duration with a unit"),
        (["--for", "100000s"], "make it shorter"),
        (["--rogue", "x"], "no container x was admitted; there are arm/control, camera/grab"),
        (["--plot", "x"], "a picture's name ends in .png or .svg"),
    ],
)
def test_a_simulation_that_cannot_be_run_is_status_2(words: list[str], error: str) -> None:
    result = run_simulate(CELL, *words)

    assert result.exit_code == 2
    assert error in result.stderr


def test_a_chart_is_drawn_beside_the_simulation(tmp_path: Path) -> None:
    path = tmp_path / "gantt.svg"

    run_simulate("-", "--plot", str(path), "--window", "50ms", text=GOOD)

    assert "core 0" in path.read_text()


def test_a_run_can_be_saved_and_compared(tmp_path: Path) -> None:
    path = str(tmp_path / "reference.json")
    few = ["platform", "--repetitions", "20"]

    saved = CliRunner().invoke(calibrate, [*few, "--save", path])
    compared = CliRunner().invoke(
        calibrate, [*few, "--reference", path, "--node", "edge-1", "--json"]
    )

    assert saved.exit_code == 0
    assert "kubectl label node NODE k40s.io/platform=" in saved.stdout
    found = json.loads(compared.stdout)
    assert set(found["ratios"]) == {"integer", "memory", "branch"}
    factor = found["annotations"]["k40s.io/platform-factor"]
    assert (
        f"kubectl annotate node edge-1 k40s.io/platform-factor={factor} --overwrite"
        in (found["commands"])
    )


def test_a_core_that_may_not_be_used_is_bad_input() -> None:
    result = CliRunner().invoke(calibrate, ["platform", "--core", "9999"])

    assert result.exit_code == 2
    assert "error: --core: found 9999, expected one that this process may use" in result.stderr


@pytest.mark.parametrize("name", ["analyze", "simulate", "calibrate"])
def test_every_command_is_known_to_the_program(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])

    assert result.exit_code == 0
    assert name in CliRunner().invoke(main, ["--help"]).output


def test_a_report_says_what_containers_take_and_what_would_take_less() -> None:
    text = run_analyze(CELL).stdout
    report = json.loads(run_analyze(CELL, "--json").stdout)

    assert "container    WCETs (C/T)  reserved (Q/P)  price" in text
    assert "by SCHED_DEADLINE (enforcement deadline)" in text
    prices = {price["container"]: price for price in report["prices"]}
    assert prices["grab"]["declared"] == "1/10"
    assert {"way": "deadline", "offered": False}.items() <= prices["grab"]["alternatives"][
        0
    ].items()
