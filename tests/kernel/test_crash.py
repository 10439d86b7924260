"""A rubicante that is killed at any moment, and the next one that finds its traces."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from daemons.rubicante.book.entry import Phase
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups, Group
from daemons.rubicante.settings import Settings
from k40s.kube.list_watch import Change
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.world import pod, uid
from tests.kernel.conftest import CPU, Hog, Node, eventually
from tests.kernel.scene import group_of, is_enforced, make_container, policy

StartHog = Callable[..., Hog]
StartNode = Callable[..., Node]


@pytest.mark.parametrize("moment", range(3))
def test_after_kill_9_the_book_the_pods_and_the_kernel_agree(
    moment: int,
    start_node: StartNode,
    settings: Settings,
    kubepods: Path,
    groups: BudgetGroups,
    start_hog: StartHog,
    undo: ExitStack,
) -> None:
    hog = start_hog("thread", "ctl", cgroup=make_container(kubepods))
    arguments = [settings.cgroup_root, settings.group_prefix, str(settings.store), "1"]
    crashing = subprocess.Popen(
        [sys.executable, "-m", "tests.kernel.crash", *arguments],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    undo.enter_context(crashing)
    undo.callback(crashing.kill)
    assert crashing.stdout is not None
    assert crashing.stdout.readline() == b"enforced\n"
    with suppress(subprocess.TimeoutExpired):
        crashing.wait(0.05 + 0.037 * moment)
    crashing.kill()
    crashing.wait(timeout=60)
    (CPU / f"{settings.group_prefix}-{uid(9)}-0").mkdir()

    node = start_node(pod(1, node=NODE, phase="Running"))

    eventually(lambda: node.daemon.enforcer.threads(uid(1)) == {("main", "ctl"): hog.tid})
    eventually(lambda: {*groups.names(), *groups.numbers()} == _held_groups(node))
    assert is_enforced(groups, hog.tid)
    held = node.daemon.book.find(uid(1))
    assert held.phase is Phase.BOUND
    assert groups.server(group_of(node)) == held.reservations[0].server
    assert _held(node)[0] == uid(1)
    node.pods.deliver(pod(1, node=NODE), Change.DELETE)
    eventually(lambda: node.daemon.book.find(uid(1)) is None)
    assert policy(hog.tid) == os.SCHED_OTHER


@pytest.mark.timeout(2700)
@pytest.mark.parametrize(
    ("story", "pods"),
    [("fault_points", 2), ("container_fault_points", 2), ("exchange_fault_points", 3)],
)
def test_killed_at_any_write_nothing_is_leaked_and_nothing_lost(
    story: str,
    pods: int,
    settings: Settings,
    kubepods: Path,
    groups: BudgetGroups,
    start_hog: StartHog,
    tmp_path: Path,
) -> None:
    hogs = [start_hog("idle", "ctl", seconds=2700) for _ in range(pods)]
    arguments = [settings.cgroup_root, settings.group_prefix, str(tmp_path)]

    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            f"tests.kernel.{story}",
            *arguments,
            *(str(hog.tid) for hog in hogs),
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    lines = ended.stdout.splitlines()
    print(*lines, sep="\n")  # noqa: T201  # which points there were
    assert [line for line in lines if not line.endswith(": ok")] == []
    assert ended.returncode == 0, ended.stderr
    assert len(lines) > 30
    assert groups.names() == groups.numbers() == ()
    assert int((kubepods / "cpu.rt_runtime_us").read_text()) == 0


def test_needs_no_more_than_two_capabilities(
    settings: Settings,
    kubepods: Path,
    groups: BudgetGroups,
    start_hog: StartHog,
    undo: ExitStack,
) -> None:
    hog = start_hog("nobody", "ctl", cgroup=make_container(kubepods))
    few = "-all,+sys_nice,+dac_override"
    limits = [f"--bounding-set={few}", f"--inh-caps={few}", "--no-new-privs"]
    arguments = [settings.cgroup_root, settings.group_prefix, str(settings.store), "1"]

    daemon = subprocess.Popen(
        ["setpriv", *limits, sys.executable, "-m", "tests.kernel.crash", *arguments],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    undo.enter_context(daemon)
    undo.callback(daemon.kill)

    assert daemon.stdout is not None
    assert daemon.stdout.readline() == b"enforced\n"
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    assert f"CapEff:\t{1 << 23 | 1 << 1:016x}\n" in status
    assert is_enforced(groups, hog.tid)
    daemon.kill()
    daemon.wait(timeout=60)
    hog.end()


def _held_groups(node: Node) -> set[Group]:
    return {group_of(node, int(name[-12:])) for name in _held(node)}


def _held(node: Node) -> list[str]:
    return [entry.pod.uid for entry in node.daemon.book.entries()]
