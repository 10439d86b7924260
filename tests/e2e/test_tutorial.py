"""The tutorial, command by command, on a real cluster: each prints what the page shows."""

import re
import subprocess
import sys

import pytest

from localcluster.cluster import Cluster
from localcluster.images.cluster_images import PROJECT
from tests.e2e.patience import wait_until
from tests.fixtures.documents import DOCS, sessions, shape

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

BY_THE_FIXTURE = re.compile(r"make |alias |export |k40s local (up|deploy|status|down)\b")
"""The cluster is up, and the tests' own."""
CHANGES = re.compile(r"\bapply\b|\bdelete\b")
SHELL = """
export KUBECONFIG={kubeconfig}
k40s() {{ {python} -c 'from cli.main import main; main(prog_name="k40s")' "$@"; }}
kubectl() {{ k40s local kubectl --name {name} -- "$@"; }}
{command}
"""


def run(command: str, *, cluster: Cluster) -> str:
    """Standard output and errors of one command of the page."""
    here = command.replace("k40s-rt-demo-", f"k40s-rt-{cluster.name}-")
    script = SHELL.format(
        python=sys.executable, name=cluster.name, kubeconfig=cluster.kubeconfig, command=here
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    return done.stdout.replace(f"k40s-rt-{cluster.name}-", "k40s-rt-demo-")


def follow(command: str, shown: str, *, cluster: Cluster) -> None:
    """Run a step; what changes nothing is run again until it prints what is shown."""
    printed = [run(command, cluster=cluster)]

    def as_shown() -> bool:
        if not shown or shape(printed[-1]) == shape(shown):
            return True
        if CHANGES.search(command) is None:
            printed.append(run(command, cluster=cluster))
        return False

    wait_until(f"{command!r} prints what the page shows", as_shown, seconds=60)


def test_each_command_prints_what_the_page_shows(cluster: Cluster) -> None:
    try:
        for command, shown in sessions(DOCS / "tutorial.md"):
            if BY_THE_FIXTURE.match(command) is None:
                follow(command, shown, cluster=cluster)
    finally:
        cluster.kubectl("delete", "pod", "control-loop", "--ignore-not-found", "--grace-period=0")
