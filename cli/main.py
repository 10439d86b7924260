"""``k40s``: one console command; each subcommand is imported when it is asked for."""

import importlib

import click

_COMMANDS = {
    "analyze": ("cli.analyze", "Judge a task set, or whether a pod would fit on a node."),
    "calibrate": ("cli.calibrate", "Measure what a machine is, and how fast."),
    "certificates": ("cli.certificates", "Make and renew the certificates of k40s's processes."),
    "demo": ("cli.demo", "Bring up a local Kubernetes with k40s and show what it does."),
    "simulate": ("cli.simulate", "Run an admitted task set in exact simulation."),
    "local": ("cli.local", "Run a real Kubernetes on this machine, without Docker."),
}


class LazyGroup(click.Group):
    """A group whose subcommands' modules are imported on use, so that none slows the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, without importing anything."""
        return sorted({*_COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the subcommand's module, which defines the command under its own name."""
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), cmd_name)
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
