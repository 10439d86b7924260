"""``k40s``: one console command; each subcommand is imported when it is asked for."""

import importlib

import click
from click.shell_completion import CompletionItem

from cli.live.choice import ClusterChoice, cluster_choice, remember

_COMMANDS = {
    "analyze": ("cli.analyze", "Judge a task set, or whether a pod would fit on a node."),
    "calibrate": (
        "cli.calibration.calibrate",
        "Measure what a machine is, how fast, and what harms its tasks.",
    ),
    "certificates": ("cli.certificates", "Make and renew the certificates of k40s's processes."),
    "demo": ("cli.demo", "Bring up a local Kubernetes with k40s and show what it does."),
    "explain": ("cli.live.explain", "Say why a pod does not run, or how it does."),
    "doctor": ("cli.doctor", "Say what a machine can enforce, why not more, and how to change it."),
    "simulate": ("cli.simulate", "Run an admitted task set in exact simulation."),
    "tdma": ("cli.tdma", "Plan the slots of a TDMA network."),
    "top": ("cli.live.top", "Show what the nodes and pods of a cluster are doing."),
    "status": ("cli.live.status", "Judge the health of every part of an installation."),
    "completion": ("cli.completion", "Print what completes this command in a shell."),
    "local": ("cli.local", "Run a real Kubernetes on this machine, without Docker."),
}

_LOCAL_PACKAGES = ("localcluster", "demo")
"""Packages of the distribution k40s-local, which the extra ``local`` installs."""


class MissingExtraError(click.ClickException):
    """A subcommand whose packages are not installed."""

    exit_code = 2

    def __init__(self, command: str) -> None:
        super().__init__(f"k40s {command} needs the extra local: pip install 'k40s[local]'")


class LazyGroup(click.Group):
    """A group whose subcommands' modules are imported on use, so that none slows the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, without importing anything."""
        return sorted({*_COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the subcommand's module. ``MissingExtraError`` where it needs the extra local."""
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _ = _COMMANDS[cmd_name]
        try:
            command = getattr(importlib.import_module(module), cmd_name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in _LOCAL_PACKAGES:
                raise
            raise MissingExtraError(cmd_name) from error
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{cmd_name} is not a click command")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin so, without importing any command."""
        names = [
            CompletionItem(name, help=text)
            for name, (_, text) in sorted(_COMMANDS.items())
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands with their one sentence."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(_COMMANDS.items())])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="k40s", prog_name="k40s")
@cluster_choice
@click.pass_context
def main(ctx: click.Context, choice: ClusterChoice) -> None:
    """Real-time and mixed-criticality scheduling for stock Kubernetes.

    The options choose the cluster of commands that ask one; they may follow the command as well.
    """
    remember(ctx, choice)


def kubectl_plugin() -> None:
    """``kubectl k40s``: kubectl runs ``kubectl-k40s``, which is this."""
    main(prog_name="kubectl k40s", complete_var="_KUBECTL_K40S_COMPLETE")
