"""``k40s top``: what nodes and pods are doing, by the caller's own rights."""

from pathlib import Path

import click

from cli.live.choice import SYSTEM, ClusterChoice, cluster_choice, complete_nodes

_output = click.option(
    "-o",
    "--output",
    type=click.Choice(["wide", "json", "yaml"]),
    help="More columns, or the values themselves.",
)
_watch = click.option("-w", "--watch", is_flag=True, help="Show it again when it changes.")
_selector = click.option("-l", "--selector", default="", help="Label selector.")
_system = click.option(
    "--system-namespace",
    "system",
    default=SYSTEM,
    show_default=True,
    help="Where k40s is installed.",
)


@click.group()
def top() -> None:
    """Show what nodes and pods are doing."""


@top.command()
@_output
@_watch
@_selector
@_system
@cluster_choice
def nodes(
    *, choice: ClusterChoice, output: str | None, watch: bool, selector: str, system: str
) -> None:
    """Show all nodes: level, cores, pods, hazards, suspects, daemons; trouble first.

    CORES is what is reserved of the real-time cores together, and what may be.
    """
    from cli.live.top_views import show_nodes  # noqa: PLC0415  # help needs none of it

    show_nodes(choice, output=output, watch=watch, selector=selector, system=system)


@top.command()
@_output
@_watch
@_selector
@_system
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Pods of all namespaces.")
@cluster_choice
def pods(
    *,
    choice: ClusterChoice,
    output: str | None,
    watch: bool,
    selector: str,
    system: str,
    everywhere: bool,
) -> None:
    """Show pods that ask something of k40s: state, servers, whether they are enforced, and why not.

    Those that do not run come first.
    """
    from cli.live.top_views import show_pods  # noqa: PLC0415  # as above

    show_pods(
        choice,
        output=output,
        watch=watch,
        selector=selector,
        system=system,
        everywhere=everywhere,
    )


@top.command()
@click.argument("name", shell_complete=complete_nodes)
@_output
@_watch
@_system
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the cores: a .png or .svg.")
@cluster_choice
def node(
    *,
    choice: ClusterChoice,
    name: str,
    output: str | None,
    watch: bool,
    system: str,
    plot: Path | None,
) -> None:
    """Show one node in full: its cores with their servers, its pods, what happened there."""
    from cli.live.top_views import show_node  # noqa: PLC0415  # as above

    show_node(choice, name=name, output=output, watch=watch, system=system, plot=plot)
