"""The tour in docs/analyze.md can be followed."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main
from workbench.analysis.classic import Analysis
from workbench.inputs.node_file import DEFAULT_NODE, read_node

PAGE = Path("docs/analyze.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```\n\$ k40s ([^\n]*docs/examples[^\n]*)\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_shown_ends_as_shown(command: str, output: str, tmp_path: Path) -> None:
    words = [
        str(tmp_path / word) if word.endswith(".svg") else word for word in shlex.split(command)
    ]

    result = CliRunner().invoke(main, words)

    verdict = result.stdout.rstrip().splitlines()[-1]
    assert result.exit_code in (0, 1)
    assert output.rstrip().endswith(verdict) or output.rstrip().endswith("…")


def test_every_command_is_shown_once() -> None:
    assert len(SHOWN) == 5


def test_every_test_of_bare_sets_is_listed() -> None:
    assert all(f"| `{test}`" in PAGE for test in Analysis)


def test_a_node_without_fields_is_the_default_node() -> None:
    assert read_node(None) == DEFAULT_NODE
    assert DEFAULT_NODE.shared_groups


def test_pictures_shown_exist_and_are_small() -> None:
    for name in re.findall(r"\]\((images/[^)]*)\)", PAGE):
        assert 1_000 < (Path("docs") / name).stat().st_size < 60_000
