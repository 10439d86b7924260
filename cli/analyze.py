"""``k40s analyze``: would these tasks meet their deadlines."""

import json
from pathlib import Path

import click

from cli.ending import BAD_INPUT, DOES_NOT_HOLD, HOLDS, NOT_JUDGED, one_line_errors
from k40s.errors import InvalidInputError
from workbench import asking
from workbench.files import read_text, source_name
from workbench.node_state import NodeState, read_node_state
from workbench.plotting import check_path, plot_supply


@click.command()
@click.argument("file", metavar="FILE")
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
    help="How to reach the cluster, for --node.",
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
@click.option("--server", metavar="POD/CONTAINER", help="Whose server to draw.")
def analyze(
    *,
    file: str,
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
        if plot is not None:
            check_path(plot)
        found = _node(node, state, kubeconfig)
        question = asking.read_question(read_text(file), source=source_name(file), node=found)
        report = _answer(question, test, tls)
        as_text, as_object = asking.text_and_json(report)
        click.echo(json.dumps(as_object(), indent=2) if as_json else as_text())
        if plot is not None:
            plot_supply(asking.picture(question, report, server), plot)
    verdict = asking.verdict(report)
    statuses = {True: HOLDS, False: DOES_NOT_HOLD, None: NOT_JUDGED}
    raise SystemExit(statuses[verdict])


def _answer(question: asking.Question, test: str | None, tls: Path | None) -> asking.Report:
    if tls is None:
        return asking.answer(question, test)
    from workbench.node_daemon import asking_daemons  # noqa: PLC0415  # most questions need none

    with asking_daemons(tls) as judge_there:
        return asking.answer(question, test, judge_there)


def _node(node: str | None, state: str | None, kubeconfig: str) -> NodeState | None:
    if node is not None and state is not None:
        click.echo("error: --node and --state exclude each other", err=True)
        raise SystemExit(BAD_INPUT)
    if state is not None:
        return read_node_state(read_text(state), source=source_name(state))
    if node is None:
        return None
    path = Path(kubeconfig).expanduser()
    if not path.is_file():
        raise InvalidInputError(
            source="--kubeconfig", path="$", found=kubeconfig, expected="a kubeconfig file"
        )
    # The Kubernetes client takes longer to import than all the rest, and most questions need none.
    from workbench.cluster import fetch_node  # noqa: PLC0415

    return fetch_node(node, kubeconfig=str(path))
