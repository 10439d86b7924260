"""Every option with every kind of input: it is used, or refused in one sentence."""

import json
from itertools import product
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.analyze import analyze
from cli.calibration.calibrate import calibrate
from cli.simulate import simulate
from k40s.annotations import CpuState, format_cpu_state
from k40s.cpu.outcome import ADMISSION_TEST
from k40s.units import NS_PER_S, Nanoseconds
from workbench.inputs.node_file import DEFAULT_NODE

TASK = {"name": "t", "wcet": "3ms", "period": "7ms"}
POD = {
    "name": "p",
    "criticality": "LOW",
    "containers": [{"name": "c", "tasks": [{"name": "t", "period": "50ms", "wcet": "5ms"}]}],
}
MANIFEST = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "p",
        "annotations": {
            "k40s.io/criticality": "LOW",
            "k40s.io/tasks": '[{"name": "t", "period": "200ms", "wcet": "20ms"}]',
        },
    },
    "spec": {"schedulerName": "k40s-scheduler", "containers": [{"name": "c"}]},
}
INPUTS = {
    "bare": yaml.safe_dump({"tasks": [TASK]}),
    "in a server": yaml.safe_dump({"tasks": [TASK], "server": {"budget": "6ms", "period": "7ms"}}),
    "edf": yaml.safe_dump({"tasks": [TASK], "scheduling": "edf"}),
    "pods": yaml.safe_dump({"pods": [POD]}),
    "pods on a node": yaml.safe_dump({"pods": [POD], "node": {"cores": 2}}),
    "manifest": yaml.safe_dump(MANIFEST),
}
FAULTY = {
    "empty": ("", "found nothing but spaces and comments, expected "),
    "comment": ("# nothing\n", "found nothing but spaces and comments, expected "),
    "separators": ("---\n---\n", "found nothing but spaces and comments, expected "),
    "tab": (
        "tasks:\n\t- x\n",
        "found a tab in line 2 column 1, expected spaces: YAML is not inden",
    ),
    "two sets": ("tasks: []\n---\ntasks: []\n", "found 2 documents, expected one"),
    "text": ("hello\n", "found 'hello', expected an object"),
    "list": ("- 1\n", "found an array of 1 items, expected an object"),
    "neither": ("a: 1\n", "found neither, expected a field pods (admission to a node), or a field"),
    "both": ("tasks: []\npods: []\n", "found the fields pods and tasks, expected either of them"),
    "no items": ("tasks: []\n", "at $.tasks: found an array of 0 items, expected an array of 1"),
}
NODE = "PLACE OF A NODE'S STATE"
ANALYZE = {
    "alone": [],
    "json": ["--json"],
    "fp": ["--test", "fp"],
    "edf": ["--test", "edf"],
    "ds": ["--test", "ds"],
    "prm": ["--test", "prm"],
    "hierarchical": ["--test", "hierarchical"],
    "built in": ["--test", ADMISSION_TEST],
    "unknown test": ["--test", "magic"],
    "plot": ["--plot", "out.svg"],
    "plot server": ["--plot", "out.svg", "--server", "p/c"],
    "plot another": ["--plot", "out.svg", "--server", "nope/x"],
    "server": ["--server", "p/c"],
    "state": ["--state", NODE],
    "state test": ["--state", NODE, "--test", ADMISSION_TEST],
    "state plot": ["--state", NODE, "--plot", "out.svg", "--json"],
    "state and node": ["--state", NODE, "--node", "edge-1"],
    "state from input": ["--state", "-"],
    "tls": ["--tls", "."],
    "kubeconfig": ["--kubeconfig", "x"],
    "twice": ["-f", "-"],
}
PODS = {"alone", "json", "hierarchical", "built in", "plot", "plot server"}
USED = {
    "bare": {"alone", "json", "fp", "edf", "plot"},
    "in a server": {"alone", "json", "ds", "prm", "hierarchical", "plot"},
    "edf": {"alone", "json", "edf", "plot"},
    "pods": PODS | {"state", "state plot"},
    "pods on a node": PODS,
    "manifest": {"state", "state plot"},
}
SIMULATE = {
    "alone": [],
    "json": ["--json"],
    "nothing": ["--for", "0s"],
    "tick": ["--tick", "1ms"],
    "hogs": ["--hogs"],
    "together": ["--together"],
    "seed": ["--seed", "5"],
    "seed together": ["--seed", "5", "--together"],
    "rogue": ["--rogue", "p/c"],
    "another rogue": ["--rogue", "nope/x"],
    "plot": ["--plot", "out.svg"],
    "plot window": ["--plot", "out.svg", "--window", "20ms"],
    "window": ["--window", "20ms"],
    "window of nothing": ["--plot", "out.svg", "--window", "0ms"],
}
RUNS = {"alone", "json", "together", "seed", "plot", "plot window"}
SIMULATED = {
    "bare": RUNS,
    "in a server": RUNS | {"tick", "hogs", "seed together"},
    "edf": set(),
    "pods": RUNS | {"tick", "seed together", "rogue"},
    "pods on a node": RUNS | {"tick", "seed together", "rogue"},
    "manifest": set(),
}


@pytest.fixture
def state(tmp_path: Path) -> str:
    path = tmp_path / "state"
    path.write_text(
        format_cpu_state(
            CpuState(
                generation=3,
                test=ADMISSION_TEST,
                mechanism="rt-cgroup",
                endpoint="https://10.88.1.5:8441",
                lease=Nanoseconds(30 * NS_PER_S),
                node=DEFAULT_NODE,
                utilization=DEFAULT_NODE.utilizations(),
                complete=True,
            )
        )
    )
    return str(path)


def check_end(result: Result, *, used: bool, picture: Path, plotted: bool) -> None:
    """A verdict with its report, or one sentence and nothing else."""
    if used:
        assert (result.exit_code in {0, 1, 3}, result.stderr) == (True, "")
        assert result.stdout
        assert picture.exists() == plotted
    else:
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
        assert not picture.exists()


@pytest.mark.parametrize(("given", "option"), list(product(INPUTS, ANALYZE)))
def test_an_option_of_analyze_is_used_or_refused(
    given: str, option: str, state: str, tmp_path: Path
) -> None:
    picture = tmp_path / "out.svg"
    named = {NODE: state, "out.svg": str(picture)}
    words = [named.get(word, word) for word in ANALYZE[option]]

    result = CliRunner().invoke(analyze, ["-", *words], input=INPUTS[given])

    check_end(result, used=option in USED[given], picture=picture, plotted="--plot" in words)


@pytest.mark.parametrize(("given", "option"), list(product(INPUTS, SIMULATE)))
def test_an_option_of_simulate_is_used_or_refused(given: str, option: str, tmp_path: Path) -> None:
    picture = tmp_path / "out.svg"
    words = [str(picture) if word == "out.svg" else word for word in SIMULATE[option]]
    length = [] if "--for" in words else ["--for", "300ms"]

    result = CliRunner().invoke(simulate, ["-", *length, *words], input=INPUTS[given])

    check_end(result, used=option in SIMULATED[given], picture=picture, plotted="--plot" in words)


@pytest.mark.parametrize("command", [analyze, simulate], ids=["analyze", "simulate"])
@pytest.mark.parametrize(("text", "error"), FAULTY.values(), ids=FAULTY)
def test_an_input_that_is_nothing_to_judge_is_one_sentence(
    command: object, text: str, error: str
) -> None:
    result = CliRunner().invoke(command, ["-"], input=text)  # type: ignore[arg-type]

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert error in result.stderr


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], 'no FILE to judge; "-" is standard input'),
        (["-", "-f", "-"], "one FILE is judged: give it once, with -f or without"),
        (["-", "--server", "p/c"], "--server chooses what --plot draws: give --plot too"),
        (["-", "--tls", "."], "--tls asks a node's daemon: give --node or --state too"),
        (["-", "--state", "-"], "FILE and --state cannot both be standard input"),
        (["-", "--kubeconfig", "x"], "--kubeconfig is for --node NAME"),
        (["-", "--plot", "/nowhere/x.svg"], "no directory /nowhere to draw into"),
        (["-", "--plot", "x.svg", "--server", "nope/x"], "no server nope/x was admitted; there a"),
        (["-", "--test", "fp"], "the test fp judges bare task sets, in files with the field task"),
        (["-", "--test", "magic"], "no admission test magic is installed; davis-burns-2005"),
    ],
)
def test_a_refused_option_says_what_would_be_right(words: list[str], error: str) -> None:
    result = CliRunner().invoke(analyze, words, input=INPUTS["pods"])

    assert (result.exit_code, result.stdout) == (2, "")
    assert error in result.stderr


def test_a_file_can_be_named_as_for_kubectl(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text(INPUTS["bare"])

    assert CliRunner().invoke(analyze, ["-f", str(path)]).exit_code == 0


def test_a_server_of_a_bare_set_cannot_be_chosen() -> None:
    result = CliRunner().invoke(
        analyze, ["-", "--plot", "x.svg", "--server", "a/b"], input=INPUTS["bare"]
    )

    assert "a bare task set has no container whose server could be chosen" in result.stderr


@pytest.mark.parametrize(
    ("words", "text", "error"),
    [
        (["--for", "0ms"], "bare", "--for: found 0, expected a duration above zero"),
        (["--window", "1s"], "bare", "--window says how much --plot draws: give --plot too"),
        (["--hogs"], "bare", "--hogs burns budgets, and the bare task set has none"),
        (["--hogs"], "pods", "--hogs burns budgets, and no container has one that it may burn"),
        (["--tick", "0ms"], "bare", "--tick enforces budgets, and the bare task set has none"),
        (["--seed", "1", "--together"], "bare", "--together lets all arrive at once: give one"),
        ([], "manifest", "found a Kubernetes manifest, expected a task-set file; k40s analyze rea"),
        ([], "edf", "bare task sets are simulated under fixed priorities only"),
    ],
)
def test_a_refused_option_of_simulate_says_why(words: list[str], text: str, error: str) -> None:
    result = CliRunner().invoke(simulate, ["-", *words], input=INPUTS[text])

    assert (result.exit_code, result.stdout) == (2, "")
    assert error in result.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--for", "1us"], "no job ended in 1us, so nothing was seen: make --for longer"),
        (["--rogue", "p/c"], "no task was judged in 2s: each shares its container with a rogue"),
    ],
)
def test_nothing_is_said_of_deadlines_where_no_job_was_judged(
    words: list[str], sentence: str
) -> None:
    as_text = CliRunner().invoke(simulate, ["-", *words], input=INPUTS["pods"])
    as_json = CliRunner().invoke(simulate, ["-", "--json", *words], input=INPUTS["pods"])

    assert (as_text.exit_code, as_json.exit_code) == (3, 3)
    assert as_text.stdout.rstrip().endswith(sentence)
    assert "missed" not in as_text.stdout.splitlines()[-1]
    assert json.loads(as_json.stdout)["held"] is None


def test_a_task_of_which_no_job_ended_is_named() -> None:
    text = "tasks: [{name: a, wcet: 1ms, period: 5ms}, {name: b, wcet: 1s, period: 100s}]"

    result = CliRunner().invoke(simulate, ["-", "--for", "50ms", "--together"], input=text)

    assert result.stdout.rstrip().endswith("no deadlines missed; no job ended of b")
    assert "longest response -: no job ended" in result.stdout


@pytest.mark.parametrize("words", [["--for", "1500ns"], ["--tick", "1ns"]])
def test_pods_are_simulated_in_whole_microseconds(words: list[str]) -> None:
    result = CliRunner().invoke(simulate, ["-", *words], input=INPUTS["pods"])

    assert (result.exit_code, result.stdout) == (2, "")
    assert "pods are simulated in whole microseconds" in result.stderr


def test_a_run_is_not_measured_that_cannot_be_saved() -> None:
    result = CliRunner().invoke(calibrate, ["platform", "--save", "/nowhere/run.json"])

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--save: no directory /nowhere to write into" in result.stderr


def test_a_picture_that_cannot_be_drawn_says_how_to_see_the_answer() -> None:
    refused = INPUTS["pods"].replace("5ms", "49ms")

    result = CliRunner().invoke(analyze, ["-", "--plot", "x.svg"], input=refused)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "leave --plot out to see the answer" in result.stderr
