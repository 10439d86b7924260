"""``k40s local``: a real Kubernetes on this machine."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from localcluster import deploy as deployment
from localcluster.cluster import Cluster, find_cluster
from localcluster.errors import LocalClusterError
from localcluster.host.processes import read_tail
from localcluster.progress import Progress

_Result = TypeVar("_Result")

_NAME = click.option("--name", default="demo", show_default=True, help="Which cluster.")
_BINARIES = click.option(
    "--binaries",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A directory of official Kubernetes binaries and etcd, instead of building them.",
)


_PATIENCE = click.option(
    "--patience",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Wait so many times longer for everything: for an emulated machine.",
)


@click.group()
def local() -> None:
    """A real Kubernetes on this one machine, without Docker."""


@local.command()
@_NAME
@_BINARIES
@click.option(
    "--guest", is_flag=True, help="With a third node: an emulated machine, PREEMPT_RT, cgroup v2."
)
@_PATIENCE
def up(name: str, binaries: Path | None, *, guest: bool, patience: int) -> None:
    """Bring a cluster up; what runs already is left alone."""
    cluster = _cluster(name, binaries, guest=guest, patience=patience)
    _attempt(lambda: cluster.up(_progress()))
    click.echo(f"cluster {name} is up: export KUBECONFIG={cluster.kubeconfig}")


@local.command()
@_NAME
@_PATIENCE
def deploy(name: str, *, patience: int) -> None:
    """Put k40s on a cluster that is up: build and load its images, apply its manifests."""
    cluster = _cluster(name, patience=patience)
    _attempt(lambda: deployment.deploy(cluster, progress=_progress()))
    click.echo(deployment.describe_page(name))


@local.command()
@_NAME
def down(name: str) -> None:
    """Take a cluster away, with everything that it left on the machine."""
    cluster = _cluster(name)
    _attempt(lambda: cluster.down(_progress()))


@local.command()
@_NAME
def status(name: str) -> None:
    """Show components, nodes and what the cluster holds; status 1 when something is not well."""
    found = _attempt(_cluster(name).status)
    click.echo(found.claim.describe() if found.claim else f"cluster {name!r} is not up")
    for component in found.components:
        state = "running" if component.running else "ENDED"
        click.echo(f"  {component.name:28} {state} (pid {component.pid})")
    for node, ready in found.nodes.items():
        click.echo(f"  node {node:23} {'Ready' if ready else 'NOT READY'}")
    if not found.healthy:
        sys.exit(1)


@local.command()
@_NAME
@click.option("--lines", default=40, show_default=True, help="How many of the last lines.")
@click.argument("component", required=False)
def logs(name: str, lines: int, component: str | None) -> None:
    """Show the end of a component's log; without one, name the components."""
    supervisor = _cluster(name).supervisor
    names = [state.name for state in supervisor.states()]
    if component is None:
        click.echo("\n".join(names) or f"cluster {name!r} is not up")
    elif component not in names:
        raise click.UsageError(f"{component!r} is none of {', '.join(names) or 'its components'}")
    else:
        click.echo(read_tail(supervisor.log(component), lines=lines))


@local.command(context_settings={"ignore_unknown_options": True})
@_NAME
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def kubectl(name: str, words: tuple[str, ...]) -> None:
    """Run kubectl as a cluster's administrator: k40s local kubectl -- get pods -A."""
    plane = _attempt(_cluster(name).plane)
    program = str(plane.binaries.path("kubectl"))
    # The user's terminal, signals and exit status are kubectl's own from here on.
    os.execv(program, [program, f"--kubeconfig={plane.kubeconfig}", *words])  # noqa: S606


def _cluster(
    name: str, binaries: Path | None = None, *, guest: bool = False, patience: int = 1
) -> Cluster:
    try:
        return find_cluster(name, binaries=binaries, guest=guest, patience=patience)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--name") from error


def _attempt(action: Callable[[], _Result]) -> _Result:
    try:
        return action()
    except LocalClusterError as error:
        raise click.ClickException(str(error)) from error


def _progress() -> Progress:
    return Progress(lambda text: click.echo(text, nl=False))
