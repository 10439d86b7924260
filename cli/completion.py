"""``k40s completion``: what completes the command in a shell, alone and behind ``kubectl``."""

import sys
from collections.abc import Sequence

import click
from click.shell_completion import ShellComplete, get_completion_class

from cli.main import main

_SHELLS = ("bash", "zsh", "fish")
_NO_FILES, _FILES = 4, 0
"""Directives of cobra's completions, on their last line: whether files' names follow."""
_PLUGIN = ("kubectl k40s", "_KUBECTL_K40S_COMPLETE")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print what completes k40s in a shell; source it, or keep it where the shell looks.

    \b
      bash   source <(k40s completion bash)
      zsh    source <(k40s completion zsh)
      fish   k40s completion fish | source

    kubectl 1.26 and later completes "kubectl k40s" by itself.
    """  # noqa: D301  # click's mark for lines that stay as they are
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(main, {}, "k40s", "_K40S_COMPLETE").source())


def complete_for_kubectl() -> None:
    """``kubectl_complete-k40s``: kubectl runs it with the words so far, the last one unfinished."""
    click.echo(completions(sys.argv[1:]))


def completions(words: Sequence[str]) -> str:
    """The candidates for the last word, one a line with its help, and cobra's directive."""
    *before, incomplete = words or ("",)
    found = ShellComplete(main, {}, *_PLUGIN).get_completions(list(before), incomplete)
    lines = [
        f"{one.value}\t{one.help}" if one.help else str(one.value)
        for one in found
        if one.type == "plain"
    ]
    files = any(one.type in ("file", "dir") for one in found)
    return "\n".join([*lines, f":{_FILES if files else _NO_FILES}"])
