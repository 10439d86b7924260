"""A task that never sleeps is found out on the real kernel, one that keeps its contract is not."""

from collections.abc import Callable
from pathlib import Path

from tests.fakes.rubicante.world import uid
from tests.kernel.conftest import Hog, Node, eventually
from tests.kernel.scene import make_container, report_status, reserve


def overruns(node: Node) -> float:
    found = node.daemon.registry.get_sample_value(
        "k40s_rubicante_overruns_total", {"criticality": "LOW"}
    )
    assert found is not None
    return found


def test_a_task_that_spins_overruns_and_its_pod_is_told_how_much(
    start_node: Callable[..., Node], kubepods: Path, start_hog: Callable[..., Hog]
) -> None:
    node = start_node()
    reserve(node)
    start_hog("thread", "ctl", cgroup=make_container(kubepods))
    report_status(node)

    def told() -> list[tuple[str, str]]:
        return [(pod_uid, text) for pod_uid, kind, text in node.server.events if kind == "Overrun"]

    eventually(lambda: overruns(node) > 0)
    eventually(lambda: told() != [])

    pod_uid, text = told()[0]
    print(text)  # noqa: T201  # the evidence
    assert pod_uid == uid(1)
    assert text.startswith("task ctl used ")


def test_a_task_that_sleeps_is_left_in_peace(
    start_node: Callable[..., Node], kubepods: Path, start_hog: Callable[..., Hog]
) -> None:
    node = start_node()
    reserve(node)
    hog = start_hog("idle", "ctl", cgroup=make_container(kubepods))
    report_status(node)
    eventually(lambda: node.daemon.enforcer.threads(uid(1)) == {("main", "ctl"): hog.tid})

    for _ in range(3):
        node.daemon.feedback.look()

    assert overruns(node) == 0
    assert node.server.events == []
