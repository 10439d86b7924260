"""``k40s demo``: the whole of k40s on this machine, as a story with measured figures."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from demo.observer import Observer
from demo.recording import Recorder, draw
from demo.report import broken, format_table
from demo.stage import Stage
from demo.story import play
from k40s.node_agent.kubepods import KUBEPODS
from localcluster.cluster import Cluster
from localcluster.deploy import deploy
from localcluster.errors import LocalClusterError
from localcluster.host.cgroups import read_hierarchies
from localcluster.nodes.layout import NodeNames
from localcluster.progress import Progress
from localcluster.settings import ClusterSettings

LOOK_AROUND = """
Look around:
  {program} local status --name {name}
  {program} local kubectl --name {name} -- get nodes -L node.k40s.io/assurance-class
  {program} local kubectl --name {name} -- get node {node} -o yaml
  {program} local kubectl --name {name} -- -n k40s-system logs deployment/k40s-extender
or with a kubectl of your own: export KUBECONFIG={kubeconfig}
Remove everything: make demo-down"""


@click.command()
@click.option("--name", default="demo", show_default=True, help="Which cluster.")
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Wait so many times longer for everything: for an emulated machine.",
)
@click.option(
    "--recording",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Keep the story as a picture that plays, an SVG.",
)
def demo(name: str, recording: Path | None, *, patience: int) -> None:
    """Bring up a real Kubernetes, deploy k40s on it, and show what it does."""
    cluster = Cluster(ClusterSettings(name=name, patience=patience))
    recorder = Recorder(say=click.echo, clock=time.monotonic)
    progress = Progress(lambda text: click.echo(text, nl=False))
    try:
        cluster.up(progress)
        deploy(cluster, progress=progress)
        checks = play(stage_of(cluster, say=recorder.say))
    except LocalClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    recorder.say("\n" + format_table(checks, patience=patience))
    if recording is not None:
        recording.write_text(draw(recorder.lines, title="k40s demo"), encoding="utf-8")
    click.echo(
        LOOK_AROUND.format(
            program=sys.argv[0],
            kubeconfig=cluster.kubeconfig,
            name=name,
            node=cluster.settings.nodes[0].name,
        )
    )
    if broken(checks, patience=patience):
        sys.exit(1)


def stage_of(cluster: Cluster, *, say: Callable[[str], None] = click.echo) -> Stage:
    """The story's stage on a cluster with one real-time node and one general node."""
    real_time = next(node.name for node in cluster.settings.nodes if node.real_time)
    general = next(node.name for node in cluster.settings.nodes if not node.real_time)
    names = NodeNames(cluster=cluster.name, node=real_time)
    cpu = read_hierarchies().cpu
    observer = Observer(
        kubectl=cluster.kubectl,
        group_prefix=f"{names.budget_groups}-",
        cpu_cgroup=cpu,
        pods_cgroup=cpu / names.cgroup / KUBEPODS,
        patience=cluster.settings.patience,
    )
    return Stage(observer=observer, real_time_node=real_time, general_node=general, say=say)
