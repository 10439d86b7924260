"""A node with another kernel beside the others: what only it can hold goes there, and is held."""

import json
from collections.abc import Iterator

import pytest

from demo.observer import Observer
from demo.pods import Manifest, real_time_pod
from k40s.annotations import ALLOCATION_KEY, CPU_STATE_KEY, ENFORCEMENT_KEY, parse_cpu_state
from k40s.cpu.model import Domain
from localcluster.cluster import Cluster
from localcluster.deploy import NAMESPACE, deploy
from localcluster.errors import CommandError, LocalClusterError
from localcluster.host.packages import unmet_guest_requirements
from localcluster.progress import Progress
from localcluster.settings import EDGE_NODES, GUEST_NODE, ClusterSettings
from tests.e2e.patience import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

NAME = "outpost"
GUEST = GUEST_NODE.name
SCHED_DEADLINE = 6
WAIT = 900

OBSERVED = """\
import os, time
open('/proc/self/comm', 'w').write({task!r})
while True:
    wall, ran = time.monotonic(), time.thread_time()
    while time.monotonic() - wall < 2:
        pass
    share = (time.thread_time() - ran) / (time.monotonic() - wall)
    policy = os.sched_getscheduler(0) & 0xffff
    print(os.uname().release, policy, *sorted(os.sched_getaffinity(0)), round(share, 3), flush=True)
"""
"""A task that never ends its job; tells kernel, policy, CPUs, and the share of a CPU it gets."""

FAST = {"name": "fast", "wcet": {"emulated": "1ms"}, "period": "10ms"}
SLOW = {"name": "slow", "wcet": {"edge": "10ms"}, "period": "100ms"}


@pytest.fixture(scope="module")
def outpost(machine: None, progress: Progress) -> Iterator[Cluster]:
    """A cluster with a guest, and k40s on it."""
    del machine
    if unmet := unmet_guest_requirements():
        pytest.fail("\n".join(unmet), pytrace=False)
    cluster = Cluster(ClusterSettings(name=NAME, nodes=(*EDGE_NODES, GUEST_NODE)))
    cluster.down(progress)
    try:
        cluster.up(progress)
        deploy(cluster, progress=progress)
        yield cluster
    except LocalClusterError as error:
        pytest.fail(str(error), pytrace=False)
    finally:
        cluster.down(progress)


@pytest.fixture(scope="module")
def observer(outpost: Cluster) -> Observer:
    return Observer(kubectl=outpost.kubectl, group_prefix=f"k40s-rt-{NAME}-edge-1-")


@pytest.fixture(scope="module")
def pods(observer: Observer) -> Observer:
    """One pod that asks for SCHED_DEADLINE, and one that leaves it to admission; both run."""
    for name, task, enforcement in (("fast", FAST, "deadline"), ("slow", SLOW, "")):
        observer.create(_pod(name, task, enforcement))
        running = f"pod {name!r} runs, not: "
        wait_until(running, lambda n=name: _runs(observer, n), seconds=WAIT)
    return observer


def _pod(name: str, task: dict[str, object], enforcement: str) -> Manifest:
    pod = json.loads(
        json.dumps(
            real_time_pod(
                name,
                criticality="HI",
                script=OBSERVED.format(task=task["name"]),
                tasks=[task],
            )
        )
    )
    if enforcement:
        pod["metadata"]["annotations"][ENFORCEMENT_KEY] = enforcement
    manifest: Manifest = pod
    return manifest


def _runs(observer: Observer, name: str) -> bool:
    return observer.phase_of(name) == "Running"


def _server(observer: Observer, name: str) -> dict[str, object]:
    """What was granted to a pod's only task."""
    annotations = observer.pod(name)["metadata"]["annotations"]
    (server,) = json.loads(annotations[ALLOCATION_KEY])["servers"]
    found: dict[str, object] = server
    return found


def _words(observer: Observer, name: str) -> list[str]:
    """The last line that a pod printed: kernel, policy, CPUs, share.

    Nothing while the emulated node's kubelet is slower than the API server's patience of 10 s.
    """
    try:
        return observer.last_log(name).split()
    except CommandError:
        return []


def test_the_guest_is_a_node_with_a_kernel_of_its_own(outpost: Cluster) -> None:
    nodes = {item["metadata"]["name"]: item for item in outpost.plane().get("nodes")["items"]}
    kernels = {name: item["status"]["nodeInfo"]["kernelVersion"] for name, item in nodes.items()}

    assert outpost.status().healthy
    assert sorted(nodes) == ["edge-1", "edge-2", GUEST]
    assert kernels["edge-1"] == kernels["edge-2"]
    assert kernels[GUEST].endswith("-rt-amd64")


def test_each_node_publishes_what_its_kernel_can_enforce(
    outpost: Cluster, observer: Observer
) -> None:
    del outpost
    states = {
        name: parse_cpu_state(observer.node_annotation(name, CPU_STATE_KEY))
        for name in ("edge-1", GUEST)
    }
    offer = states[GUEST].node.deadline

    assert offer is not None
    assert offer.domain is Domain.EXCLUSIVE
    assert states[GUEST].node.node_capacity == 0
    assert states["edge-1"].node.node_capacity > 0


def test_a_task_that_only_the_guest_can_hold_is_placed_there(pods: Observer) -> None:
    server = _server(pods, "fast")

    assert pods.node_of("fast") == GUEST
    assert (server["mechanism"], server["core"], server["period"]) == ("deadline", 1, "10ms")


def test_it_is_held_by_a_partition_of_its_own(outpost: Cluster, pods: Observer) -> None:
    def is_held() -> bool:
        words = _words(pods, "fast")
        return len(words) == 4 and words[1:3] == [str(SCHED_DEADLINE), "1"]

    wait_until("the task is SCHED_DEADLINE on CPU 1 alone", is_held, seconds=WAIT)
    uid = pods.pod("fast")["metadata"]["uid"]
    daemon = outpost.kubectl(
        *("-n", NAMESPACE, "get", "pods", "-l", "app.kubernetes.io/name=rubicante"),
        *(f"--field-selector=spec.nodeName={GUEST}", "-o", "name"),
    ).strip()
    look = f"cat /host/cgroup/kubepods/*/pod{uid}/cpuset.cpus.partition"
    words = ("-n", NAMESPACE, "exec", daemon, "--", "sh", "-c", look)

    assert outpost.kubectl(*words, timeout=120).strip() == "root"


def test_it_gets_no_more_than_its_server_though_it_never_ends_its_job(pods: Observer) -> None:
    # Emulated time is coarse; an ordinary thread would have the whole CPU.
    def is_throttled() -> bool:
        words = _words(pods, "fast")
        return len(words) == 4 and float(words[-1]) < 0.6

    wait_until("it is throttled", is_throttled, seconds=WAIT)


def test_the_other_real_time_node_holds_another_by_a_budget_group(pods: Observer) -> None:
    server = _server(pods, "slow")

    def is_in_a_group() -> bool:
        return any(group.threads for group in pods.groups())

    wait_until("a thread is in a budget group", is_in_a_group, seconds=WAIT)
    assert pods.node_of("slow") == "edge-1"
    assert server["mechanism"] == "rt-cgroup"
