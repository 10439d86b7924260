"""The tutorial's outputs that need no cluster are those of the code; its files are there."""

import re
import subprocess
import sys

import pytest
import yaml

from k40s.node_api.messages import parse_allocation
from tests.fakes.webhook.reviews import make_review
from tests.fixtures.documents import DOCS, objects, sessions, shape
from webhook.validation import validate

PAGE = DOCS / "tutorial.md"
NODE = DOCS.parent / "tests" / "fixtures" / "tutorial-node.yaml"
"""The real-time node of a local cluster before the pod, as it was saved."""
STEPS = dict(sessions(PAGE))


def step(*words: str) -> tuple[str, str]:
    """The one command with these words, and its output."""
    (found,) = [one for one in STEPS.items() if all(word in one[0] for word in words)]
    return found


def run(command: str) -> str:
    """The output of a command line, with k40s from here."""
    program = f"{sys.executable} -c 'from cli.main import main; main()'"
    script = f'k40s() {{ {program} "$@"; }}\n{command}'
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=DOCS.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.stderr == ""
    return done.stdout


def test_each_command_is_on_the_page_once() -> None:
    assert len(STEPS) == len(sessions(PAGE)) > 15


def test_the_files_that_commands_read_exist() -> None:
    named = {name for command in STEPS for name in re.findall(r"docs/[\w./-]+", command)}

    assert named
    assert [name for name in named if not (DOCS.parent / name).is_file()] == []


def test_the_page_shows_the_annotations_of_the_file() -> None:
    (pod,) = yaml.safe_load_all((DOCS / "examples/tutorial/control-loop.yaml").read_text())
    shown = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])

    assert shown["metadata"]["annotations"] == pod["metadata"]["annotations"]
    assert shown["spec"].items() <= pod["spec"].items()


def test_the_mistake_is_refused_with_the_text_shown() -> None:
    command, shown = step("""sed 's/{"edge""")
    (pod,) = objects(run(command.partition(" | ")[0]), source="tutorial.yaml")

    refusal = validate(make_review("Pod", pod)).refusal

    assert shown.endswith(f'"pods.validation.k40s.io" denied the request: {refusal}')


@pytest.mark.parametrize("words", [("analyze", "head"), ("analyze", "grep")])
def test_the_analysis_prints_what_is_shown(words: tuple[str, ...]) -> None:
    command, shown = step(*words)

    printed = run(command.replace("--node edge-1", f"--state {NODE}"))

    assert printed.rstrip("\n") == shown


def test_the_allocation_shown_is_the_one_that_analysis_announces() -> None:
    _, allocation = step("jsonpath", "status\\.k40s")
    _, announced = step("analyze", "grep")
    (server,) = parse_allocation(allocation, pod_uid="u")

    assert (
        f"gets {server.server.budget / 1e6:g}ms in {server.server.period / 1e6:.3f}ms" in announced
    )
    assert f"core {server.core} " in announced


def test_shapes_differ_in_words_and_not_in_figures() -> None:
    assert shape("a  2m13s v1.35.4 4.02ms\n") == shape("a 60s v1.36.0 120us")
    assert shape("Ready") != shape("NotReady")
