"""``k40s analyze``: whether tasks would meet their deadlines, and pods fit on a node."""

import json
from pathlib import Path

import click
from click.core import ParameterSource

from cli.exit_status import (
    DOES_NOT_HOLD,
    HOLDS,
    NOT_JUDGED,
    UnsuitableOptionsError,
    one_line_errors,
)
from k40s.errors import InvalidInputError
from k40s.kube.kubeconfig import kubeconfig_files
from workbench.analyze import (
    AnalysisInput,
    Report,
    analyze_input,
    is_schedulable,
    read_input,
    supply_picture,
    text_and_json,
)
from workbench.inputs.files import STANDARD_INPUT, read_text, source_name
from workbench.inputs.node_state import NodeState, read_node_state
from workbench.plots.files import check_path, plot_supply


@click.command()
@click.argument("file", metavar="FILE", required=False)
@click.option("-f", "--filename", metavar="FILE", help="The same as FILE, as kubectl has it.")
@click.option(
    "--test",
    metavar="TEST",
    help="For a bare task set: fp, edf, ds, prm or hierarchical. "
    "For pods: the name of an installed admission test; the built-in one is the default.",
)
@click.option("--node", help="Judge by the state of this node of the cluster.")
@click.option("--state", metavar="FILE", help="Judge by a saved Node object or CPU state.")
@click.option(
    "--kubeconfig",
    envvar="KUBECONFIG",
    default=str(Path("~/.kube/config")),
    show_default=True,
    help="How to reach the cluster, for --node: a file, or several as in KUBECONFIG.",
)
@click.option(
    "--tls",
    metavar="DIRECTORY",
    type=click.Path(path_type=Path),
    help="Ask the node's daemon what only it can say, with the client certificate in this "
    "directory (tls.crt, tls.key, ca.crt).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw supply against demand.")
@click.option("--server", metavar="POD/CONTAINER", help="Whose server to draw, for --plot.")
@click.pass_context
def analyze(
    context: click.Context,
    *,
    file: str | None,
    filename: str | None,
    test: str | None,
    node: str | None,
    state: str | None,
    kubeconfig: str,
    tls: Path | None,
    as_json: bool,
    plot: Path | None,
    server: str | None,
) -> None:
    """Judge a task set, or whether a pod would fit on a node, before anything is deployed.

    FILE is YAML or JSON: pods for a node, a bare task set, or Kubernetes manifests together with
    --node or --state ("-" is standard input). Status 0: schedulable. 1: not schedulable. 2: bad
    input. 3: only the node itself can say, or the cluster does not answer.
    """
    with one_line_errors():
        path = _one_file(file, filename)
        _check_node(path, node, state, tls)
        _check_plot(plot, server)
        named = context.get_parameter_source("kubeconfig") is ParameterSource.COMMANDLINE
        if named and node is None:
            raise UnsuitableOptionsError("--kubeconfig is for --node NAME")
        found = _node(node, state, kubeconfig)
        given = read_input(read_text(path), source=source_name(path), node=found)
        report = _answer(given, test, tls)
        as_text, as_object = text_and_json(report, given.remarks)
        text = json.dumps(as_object(), indent=2) if as_json else as_text()
        if plot is not None:
            plot_supply(supply_picture(given, report, server), plot)
        click.echo(text)
    statuses = {True: HOLDS, False: DOES_NOT_HOLD, None: NOT_JUDGED}
    raise SystemExit(statuses[is_schedulable(report)])


def _one_file(file: str | None, filename: str | None) -> str:
    if file is not None and filename is not None:
        raise UnsuitableOptionsError("one FILE is judged: give it once, with -f or without")
    path = file if filename is None else filename
    if path is None:
        raise UnsuitableOptionsError('no FILE to judge; "-" is standard input')
    return path


def _check_node(path: str, node: str | None, state: str | None, tls: Path | None) -> None:
    """Refuse options without effect, before anything is read."""
    if node is not None and state is not None:
        raise UnsuitableOptionsError("--node and --state exclude each other")
    if path == STANDARD_INPUT == state:
        raise UnsuitableOptionsError("FILE and --state cannot both be standard input")
    if tls is not None and node is None and state is None:
        raise UnsuitableOptionsError("--tls asks a node's daemon: give --node or --state too")


def _check_plot(plot: Path | None, server: str | None) -> None:
    if server is not None and plot is None:
        raise UnsuitableOptionsError("--server chooses what --plot draws: give --plot too")
    if plot is not None:
        check_path(plot)


def _answer(given: AnalysisInput, test: str | None, tls: Path | None) -> Report:
    if tls is None:
        return analyze_input(given, test)
    from workbench.live_node.daemon import daemon_query  # noqa: PLC0415  # slow to import

    with daemon_query(tls) as query:
        return analyze_input(given, test, query)


def _node(node: str | None, state: str | None, kubeconfig: str) -> NodeState | None:
    if state is not None:
        return read_node_state(read_text(state), source=source_name(state))
    if node is None:
        return None
    if not kubeconfig_files(kubeconfig):
        raise InvalidInputError(
            source="--kubeconfig", path="$", found=kubeconfig, expected="a kubeconfig file"
        )
    # The Kubernetes client takes longer to import than all the rest, and most questions need none.
    from workbench.live_node.api_server import fetch_node  # noqa: PLC0415

    return fetch_node(node, kubeconfig=kubeconfig)
