"""``k40s demo``: the whole of k40s on this machine, as a story with measured figures."""

import sys

import click

from demo.observer import Observer
from demo.report import format_table
from demo.stage import Stage
from demo.story import play
from localcluster.cluster import Cluster
from localcluster.deploy import deploy
from localcluster.errors import LocalClusterError
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
def demo(name: str) -> None:
    """Bring up a real Kubernetes, deploy k40s on it, and show what it does."""
    cluster = Cluster(ClusterSettings(name=name))
    progress = Progress(lambda text: click.echo(text, nl=False))
    try:
        cluster.up(progress)
        deploy(cluster, progress=progress)
        checks = play(stage_of(cluster))
    except LocalClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    click.echo("\n" + format_table(checks))
    click.echo(
        LOOK_AROUND.format(
            program=sys.argv[0],
            kubeconfig=cluster.kubeconfig,
            name=name,
            node=cluster.settings.nodes[0].name,
        )
    )
    if not all(check.held for check in checks):
        sys.exit(1)


def stage_of(cluster: Cluster) -> Stage:
    """The story's stage on a cluster with one real-time node and one general node."""
    real_time = next(node.name for node in cluster.settings.nodes if node.real_time)
    general = next(node.name for node in cluster.settings.nodes if not node.real_time)
    observer = Observer(
        kubectl=cluster.kubectl, group_prefix=f"k40s-rt-{cluster.name}-{real_time}-"
    )
    return Stage(observer=observer, real_time_node=real_time, general_node=general, say=click.echo)
