"""What ``k40s top`` prints, once or as it changes; imported when a table is asked for."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.exit_status import UnsuitableOptionsError, one_line_errors
from cli.live.choice import ClusterChoice, connect_cluster
from cli.live.screen import Screen
from k40s.errors import InvalidInputError
from k40s.kube.observation import Scope
from k40s.overview.model import NodeRow
from workbench.cluster_tables.documents import node_document, nodes_document, pods_document, written
from workbench.cluster_tables.node_page import node_page
from workbench.cluster_tables.nodes import nodes_table
from workbench.cluster_tables.pods import pods_table
from workbench.live_cluster.follow import follow
from workbench.live_cluster.look import ClusterLook, View
from workbench.printable import in_line

Render = Callable[[View], str]
_VALUES = ("json", "yaml")


def show_nodes(
    choice: ClusterChoice, *, output: str | None, watch: bool, selector: str, system: str
) -> None:
    """Print the table of nodes, or their values."""

    def render(view: View) -> str:
        if output in _VALUES:
            return written(nodes_document(view.overview), output)
        wide = output == "wide"
        return nodes_table(view.overview, wide=wide, pods_known=view.pods_known)

    _show(choice, Scope(system=system, node_labels=selector), render, watch=watch)


def show_pods(
    choice: ClusterChoice,
    *,
    output: str | None,
    watch: bool,
    selector: str,
    system: str,
    everywhere: bool,
) -> None:
    """Print the table of pods, or their values."""

    def render(view: View) -> str:
        if output in _VALUES:
            return written(pods_document(view.overview, view.servers), output)
        wide = output == "wide"
        return pods_table(view.overview, view.servers, namespaces=everywhere, wide=wide)

    scope = Scope(system=system, pod_labels=selector)
    _show(choice, scope, render, watch=watch, own=not everywhere)


def show_node(
    choice: ClusterChoice,
    *,
    name: str,
    output: str | None,
    watch: bool,
    system: str,
    plot: Path | None,
) -> None:
    """Print one node in full, or its values, and draw it."""

    def render(view: View) -> str:
        row = _find(view, name)
        if output in _VALUES:
            return written(node_document(view.overview, row), output)
        return node_page(view.overview, row)

    scope = Scope(system=system, node=name)
    if plot is None:
        _show(choice, scope, render, watch=watch)
        return
    with one_line_errors():
        _draw(choice, scope, render, name=name, plot=plot, watch=watch)


def _draw(
    choice: ClusterChoice, scope: Scope, render: Render, *, name: str, plot: Path, watch: bool
) -> None:
    # Nobody who prints a table waits for what draws.
    from workbench.plots.files import check_path, plot_cores  # noqa: PLC0415

    if watch:
        raise UnsuitableOptionsError("--plot draws one instant: leave out --watch")
    check_path(plot)
    look = _look(choice, scope, own=False)
    view = look.view(look.begin()[1])
    text = render(view)
    plot_cores(_find(view, name), plot, at=view.overview.at)
    click.echo(text)
    _tell(view)


def _show(
    choice: ClusterChoice, scope: Scope, render: Render, *, watch: bool, own: bool = False
) -> None:
    """Print one view, or each that differs until the caller has seen enough."""
    with one_line_errors():
        look = _look(choice, scope, own=own)
        if not watch:
            view = look.view(look.begin()[1])
            click.echo(render(view))
            _tell(view)
            return
        logging.getLogger("k40s").addHandler(logging.NullHandler())
        screen, stop = Screen(), threading.Event()
        try:
            for view in follow(look, stop=stop):
                screen.show("\n".join((render(view), *_notes(view))))
        except KeyboardInterrupt:
            click.echo()
        finally:
            stop.set()


def _look(choice: ClusterChoice, scope: Scope, *, own: bool) -> ClusterLook:
    """``own``: of the caller's namespace alone."""
    gateway, namespace = connect_cluster(choice)
    if own:
        scope = replace(scope, namespace=namespace)
    return ClusterLook(gateway, scope, wall=lambda: datetime.now(UTC), own_namespace=namespace)


def _find(view: View, name: str) -> NodeRow:
    for row in view.overview.nodes:
        if row.name == name:
            return row
    cause = next((one for one in view.notes if "nodes" in one), "")
    raise InvalidInputError(
        source="NAME",
        path="$",
        found=name,
        expected="the name of a node of the cluster" + (f" ({cause})" if cause else ""),
    )


def _tell(view: View) -> None:
    for line in _notes(view):
        click.echo(line, err=True)


def _notes(view: View) -> list[str]:
    notes = [f"note: {one}; the rest is shown" for one in view.notes]
    if view.stale:
        notes.append("note: no changes arrive from the API server; what is shown may be old")
    unreadable = (f"unreadable: {one}" for one in view.overview.unreadable)
    return [in_line(one) for one in (*notes, *unreadable)]
