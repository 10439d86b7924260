"""``k40s``: one console command; each subcommand is imported when it is asked for."""

import importlib

import click

_COMMANDS = {
    "analyze": ("cli.analyze", "Judge a task set, or whether a pod would fit on a node."),
    "calibrate": (
        "cli.calibrate",
        "Measure what a machine is, how fast, and what harms its tasks.",
    ),
    "certificates": ("cli.certificates", "Make and renew the certificates of k40s's processes."),
    "demo": ("cli.demo", "Bring up a local Kubernetes with k40s and show what it does."),
    "simulate": ("cli.simulate", "Run an admitted task set in exact simulation."),
    "tdma": ("cli.tdma", "Plan the slots of a TDMA network."),
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands with their one sentence."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(_COMMANDS.items())])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="k40s", prog_name="k40s")
def main() -> None:
    """Real-time and mixed-criticality scheduling for stock Kubernetes."""
