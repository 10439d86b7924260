"""A real cluster comes up, works as Kubernetes does, and heals."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.cluster import Cluster
from localcluster.errors import LocalClusterError
from localcluster.host.machine import online_cpus
from localcluster.host.paths import cache_root
from localcluster.images.cluster_images import WORKLOAD_IMAGE, ImageStore
from localcluster.progress import Progress
from localcluster.settings import ClusterSettings
from tests.e2e.patience import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  nodeName: {node}
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: {image}
      imagePullPolicy: Never
      command: {command}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""
FETCH = """
import sys, time, urllib.request
for _ in range(60):  # the program may not listen yet, nor kube-proxy know of the pod
    try:
        print(urllib.request.urlopen('http://{}', timeout=60).read().decode())
        sys.exit()
    except OSError as error:
        cause = error
        time.sleep(0.5)
sys.exit(str(cause))
"""


@pytest.fixture(scope="module")
def trial(machine: None, progress: Progress) -> Iterator[Cluster]:
    del machine
    cluster = Cluster(ClusterSettings(name="trial"))
    cluster.down(progress)
    try:
        cluster.up(progress)
        yield cluster
    finally:
        cluster.down(progress)


@pytest.fixture(scope="module")
def pods(trial: Cluster) -> Cluster:
    trial.load_images([ImageStore(cache_root(os.environ)).workload()])
    serve = ["sh", "-c", "cd /etc && exec python3 -m http.server 8080"]
    sleep = ["sleep", "3600"]
    for name, node, command in (("web", "edge-1", serve), ("client", "edge-2", sleep)):
        pod = POD.format(name=name, node=node, image=WORKLOAD_IMAGE, command=command)
        trial.kubectl("apply", "-f", "-", stdin=pod)
    trial.kubectl("apply", "-f", "-", stdin=SERVICE)
    words = ("--for=condition=Ready", "pod", "--all", "--timeout=300s")
    trial.kubectl("wait", *words, timeout=330)
    return trial


def test_both_nodes_are_ready_and_have_cpus_and_labels_of_their_own(trial: Cluster) -> None:
    claim = trial.claim()
    nodes = {item["metadata"]["name"]: item for item in trial.plane().get("nodes")["items"]}

    status = trial.status()

    assert status.healthy
    assert sorted(nodes) == ["edge-1", "edge-2"]
    assert claim is not None
    assert nodes["edge-1"]["status"]["capacity"]["cpu"] == str(len(claim.real_time_cpus))
    assert nodes["edge-1"]["metadata"]["labels"]["k40s.io/real-time-node"] == "true"
    assert "k40s.io/real-time-node" not in nodes["edge-2"]["metadata"]["labels"]
    assert nodes["edge-1"]["metadata"]["annotations"]["k40s.io/hardware-assurance"] == "5"


def test_pods_of_different_nodes_reach_each_other(pods: Cluster) -> None:
    address = pods.kubectl("get", "pod", "web", "-o", "jsonpath={.status.podIP}")

    answer = pods.kubectl("exec", "client", "--", "python3", "-c", FETCH.format(f"{address}:8080"))

    assert "hostname" in answer


def test_a_service_address_works_and_the_log_shows_the_request(pods: Cluster) -> None:
    address = pods.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")

    answer = pods.kubectl("exec", "client", "--", "python3", "-c", FETCH.format(address))

    assert "hostname" in answer
    wait_until(
        "the log has the request",
        lambda: '"GET / HTTP/1.1" 200' in pods.kubectl("logs", "web"),
        seconds=60,
    )


def test_a_pod_runs_below_its_nodes_cgroup_on_its_nodes_cpus(pods: Cluster) -> None:
    claim = pods.claim()
    show = "import os; print(sorted(os.sched_getaffinity(0)), open('/proc/self/cgroup').read())"

    seen = pods.kubectl("exec", "web", "--", "python3", "-c", show)

    assert claim is not None
    assert seen.startswith(str(list(claim.real_time_cpus)))
    assert ":cpu:/k40s-trial-edge-1/kubepods/" in seen


def test_up_again_changes_nothing(trial: Cluster) -> None:
    before = {state.name: state.pid for state in trial.supervisor.states()}

    trial.up()

    assert {state.name: state.pid for state in trial.supervisor.states()} == before


def test_a_killed_component_shows_in_the_status_and_up_starts_it_again(trial: Cluster) -> None:
    name = "edge-2.kubelet"
    pid = trial.supervisor.pid(name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    trial.supervisor.wait_gone(name, timeout=120)

    ended = [state.name for state in trial.status().components if not state.running]
    trial.up()

    assert ended == [name]
    assert trial.status().healthy


@pytest.mark.parametrize("sandbox", ["edge-2", "control"])
def test_a_sandbox_that_is_gone_is_made_again(sandbox: str, trial: Cluster) -> None:
    name = f"{sandbox}.place"
    pid = trial.supervisor.pid(name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    trial.supervisor.wait_gone(name, timeout=120)

    trial.up()

    assert trial.status().healthy
    assert trial.supervisor.pid(name) != pid


def test_a_cluster_that_does_not_fit_is_refused_at_once_and_told_who_holds_what(
    trial: Cluster,
) -> None:
    greedy = Cluster(ClusterSettings(name="greedy", real_time_cpus=len(online_cpus())))

    with pytest.raises(LocalClusterError, match="'trial' holds CPU"):
        greedy.up()

    assert greedy.claim() is None
    assert not greedy.paths.state.exists()
    assert trial.claim() is not None


def test_nothing_of_the_cluster_listens_on_the_machine(trial: Cluster) -> None:
    own = {state.pid for state in trial.supervisor.states()}
    here = Path("/proc/self/ns/net").readlink()

    namespaces = {Path(f"/proc/{pid}/ns/net").readlink() for pid in own}

    assert here not in namespaces
