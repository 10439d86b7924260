"""``k40s explain``: why a pod does not run, node by node; how it does, where it runs."""

from typing import TYPE_CHECKING

import click

from cli.exit_status import (
    BAD_INPUT,
    DOES_NOT_HOLD,
    HOLDS,
    NOT_JUDGED,
    UnsuitableOptionsError,
    one_line_errors,
)
from cli.live.choice import SYSTEM, ClusterChoice, cluster_choice

if TYPE_CHECKING:
    from k40s.explanation.json import Told
    from workbench.inputs.pod_manifests import PodManifest

Answers = list[tuple[str, "Told"]]
"""What was explained, and insight's answer."""
_DEFAULT_NAMESPACE = "default"


@click.command()
@click.argument("pod", metavar="[POD]", default="")
@click.option("-f", "--filename", default="", metavar="FILE", help="Explain its pods; - is stdin.")
@click.option("-o", "--output", type=click.Choice(["json", "yaml", "wide"]), help="Form.")
@click.option(
    "--server",
    default="",
    envvar="K40S_INSIGHT_SERVER",
    help="URL of insight. Else a port is forwarded to its Service by kubectl.",
)
@click.option(
    "--ca", default="", envvar="K40S_INSIGHT_CA", help="Authority of insight's certificate."
)
@click.option("--token-file", default="", help="File with a token. Else the kubeconfig's.")
@click.option("--system-namespace", default=SYSTEM, show_default=True, help="Where k40s runs.")
@cluster_choice
def explain(
    *,
    choice: ClusterChoice,
    pod: str,
    filename: str,
    output: str | None,
    server: str,
    ca: str,
    token_file: str,
    system_namespace: str,
) -> None:
    """Say why POD does not run, node by node, or how it does; with -f before it exists.

    Status 0: it runs, or a node takes it. 1: it is refused everywhere. 2: bad input, or its
    annotations are invalid. 3: it cannot be judged at present.
    """
    # The client library is slow to import, and help needs none.
    from workbench.live_cluster.insight import (  # noqa: PLC0415
        InsightChoice,
        insight_client,
        kubeconfig_setting,
    )

    with one_line_errors():
        if bool(pod) == bool(filename):
            raise UnsuitableOptionsError("give the name of a pod, or -f FILE")
        asked = InsightChoice(
            kubeconfig=choice.kubeconfig,
            context=choice.context,
            server=server,
            ca=ca,
            token_file=token_file,
            system_namespace=system_namespace,
        )
        namespace = choice.namespace
        if not namespace and not (server and token_file):
            from k40s.kube.kubeconfig import read_kubeconfig  # noqa: PLC0415

            setting = kubeconfig_setting(choice.kubeconfig)
            namespace = read_kubeconfig(setting, context=choice.context).namespace
        manifests = _read(filename) if filename else []
        default = namespace or _DEFAULT_NAMESPACE
        with insight_client(asked) as client:
            answers = [
                (one.title, client.explain_manifest(_namespace(one, choice, default), one.pod))
                for one in manifests
            ] or [(pod, client.explain_pod(default, pod))]
        click.echo(_written(answers, output))
    raise SystemExit(max(_status(told) for _, told in answers))


def _read(filename: str) -> list["PodManifest"]:
    from workbench.inputs.files import read_text, source_name  # noqa: PLC0415
    from workbench.inputs.pod_manifests import read_pod_manifests  # noqa: PLC0415

    return read_pod_manifests(read_text(filename), source=source_name(filename))


def _namespace(manifest: "PodManifest", choice: ClusterChoice, default: str) -> str:
    """The manifest's own namespace, which an option must not contradict, as with kubectl."""
    if manifest.namespace and choice.namespace not in ("", manifest.namespace):
        raise UnsuitableOptionsError(
            f"{manifest.title} is of the namespace {manifest.namespace}, "
            f"and --namespace says {choice.namespace}"
        )
    return manifest.namespace or default


def _written(answers: Answers, output: str | None) -> str:
    from k40s.explanation.json import told_json  # noqa: PLC0415
    from workbench.cluster_tables.documents import written  # noqa: PLC0415
    from workbench.cluster_tables.explanation import explanation_text  # noqa: PLC0415
    from workbench.cluster_tables.story import story_text  # noqa: PLC0415

    if output in ("json", "yaml"):
        items = [told_json(told) for _, told in answers]
        return written(items[0] if len(items) == 1 else {"items": items}, output).rstrip()
    wide = output == "wide"
    texts = []
    for title, told in answers:
        parts = [title] if len(answers) > 1 else []
        if told.explanation is not None:
            parts.append(explanation_text(told.explanation, wide=wide))
        if told.running is not None:
            parts.append(story_text(told.running, wide=wide))
        texts.append("\n\n".join(parts))
    return "\n\n".join(texts)


def _status(told: "Told") -> int:
    from k40s.explanation.summary import fits, is_judged  # noqa: PLC0415

    if told.running is not None:
        return HOLDS
    found = told.explanation
    if found is None or not is_judged(found):
        return NOT_JUDGED
    if found.fault is not None:
        return BAD_INPUT
    return HOLDS if fits(found) else DOES_NOT_HOLD
