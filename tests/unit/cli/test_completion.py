"""Completion in shells and behind kubectl, and kubectl's name for the command."""

import sys

import pytest
from click.testing import CliRunner

from cli.completion import completions
from cli.main import kubectl_plugin, main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])

    assert result.exit_code == 0
    assert "_K40S_COMPLETE" in result.stdout


def test_commands_are_completed_with_their_sentence_and_none_is_imported() -> None:
    before = "cli.calibration.calibrate" in sys.modules

    assert completions(["cal"]).splitlines() == [
        "calibrate\tMeasure what a machine is, how fast, and what harms its tasks.",
        ":4",
    ]
    assert ("cli.calibration.calibrate" in sys.modules) == before


def test_subcommands_options_and_values_are_completed() -> None:
    assert [line.split("\t")[0] for line in completions(["top", ""]).splitlines()] == [
        *("node", "nodes", "pods", ":4")
    ]
    assert completions(["top", "nodes", "-o", "w"]).splitlines() == ["wide", ":4"]
    assert completions(["top", "node", "--plot", ""]).splitlines() == [":0"]


def test_help_behind_kubectl_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubectl-k40s", "--help"])

    with pytest.raises(SystemExit):
        kubectl_plugin()

    assert capsys.readouterr().out.startswith("Usage: kubectl k40s [OPTIONS] COMMAND")
