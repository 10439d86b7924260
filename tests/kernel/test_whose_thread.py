"""Whose thread and whose cgroup, on the real kernel: wrappers, monitors, probes, PID namespaces."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.world import container_id, pod, uid
from tests.kernel.conftest import Hog, Node, eventually
from tests.kernel.hog import CPU, OTHER
from tests.kernel.scene import is_enforced, make_container, policy, report_status, reserve

StartHog = Callable[..., Hog]
StartNode = Callable[..., Node]
HOG = Path(__file__).with_name("hog.py")
WRAPPERS = {
    "sh": "{}; true",
    "entrypoint": "exec {python} -S -c "
    '\'import subprocess, sys; open("/proc/self/comm", "w").write("entrypoint"); '
    "subprocess.call(sys.argv[1:])' {}",
}


def into(cgroup: Path) -> str:
    """Words of a shell that move it into a cgroup, in two hierarchies."""
    places = (cgroup, OTHER / cgroup.relative_to(CPU))
    return "".join(f"echo 0 > {shlex.quote(str(p / 'cgroup.procs'))}; " for p in places)


def hog(*arguments: str) -> str:
    return shlex.join([sys.executable, "-S", str(HOG), "", "600", *arguments])


def start(undo: ExitStack, *command: str) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def end() -> None:
        process.kill()
        process.wait(timeout=60)

    undo.callback(end)


def start_container(undo: ExitStack, cgroup: Path, words: str) -> None:
    """A shell as PID 1 of a PID namespace of its own, in its container's cgroup."""
    inner = f"{into(cgroup)}exec sh -c {shlex.quote(words)}"
    start(undo, "unshare", "--pid", "--fork", "--kill-child", "sh", "-c", inner)


def names(cgroup: Path) -> dict[str, int]:
    """Thread name -> TID of what is in a cgroup."""
    found = {}
    for tid in (cgroup / "tasks").read_text().split():
        try:
            found[Path(f"/proc/{tid}/comm").read_text().strip()] = int(tid)
        except OSError:
            continue
    return found


def reasons(node: Node, number: int = 1) -> dict[str, str]:
    """Reason -> text of the events that were written for a pod."""
    return {reason: text for pod, reason, text in node.server.events if pod == uid(number)}


def test_a_wrapper_and_its_child_stay_ordinary_and_the_pod_is_told(
    start_node: StartNode, kubepods: Path, undo: ExitStack
) -> None:
    node = start_node()
    cgroups = {}
    for number, words in enumerate(WRAPPERS.values(), start=1):
        reserve(node, number)
        cgroups[number] = make_container(kubepods, number)
        start_container(undo, cgroups[number], words.format(hog("idle"), python=sys.executable))
    eventually(lambda: all(len(names(cgroup)) == 2 for cgroup in cgroups.values()))
    for number in cgroups:
        report_status(node, number)

    eventually(lambda: all("TaskWithoutThread" in reasons(node, number) for number in cgroups))

    for (number, cgroup), wrapper in zip(cgroups.items(), WRAPPERS, strict=True):
        assert [policy(tid) for tid in names(cgroup).values()] == [os.SCHED_OTHER] * 2
        assert f"'{wrapper}'" in reasons(node, number)["TaskWithoutThread"]
        assert "MainThreadStandsIn" not in reasons(node, number)


def test_a_wrappers_child_of_the_tasks_name_is_enforced_alone(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, undo: ExitStack
) -> None:
    node = start_node()
    reserve(node)
    cgroup = make_container(kubepods)
    start_container(undo, cgroup, f"{hog('idle', 'ctl')}; true")
    report_status(node)

    eventually(lambda: bool(node.daemon.enforcer.threads(uid(1))))

    (tid,) = node.daemon.enforcer.threads(uid(1)).values()
    assert is_enforced(groups, tid)
    assert Path(f"/proc/{tid}/comm").read_text() == "ctl\n"
    assert policy(names(cgroup)["sh"]) == os.SCHED_OTHER


def test_the_only_process_stands_in_and_a_probe_of_the_tasks_name_does_not(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, undo: ExitStack
) -> None:
    node = start_node()
    reserve(node)
    cgroup = make_container(kubepods)
    start_container(undo, cgroup, f"exec {hog('idle')}")
    eventually(lambda: any(name.startswith("python") for name in names(cgroup)))
    (program,) = names(cgroup).values()
    probe = f"{into(cgroup)}exec {hog('idle', 'ctl')}"
    start(undo, "nsenter", "--target", str(program), "--pid", "sh", "-c", probe)
    eventually(lambda: "ctl" in names(cgroup))
    visitor = names(cgroup)["ctl"]
    report_status(node)
    eventually(lambda: "TaskWithoutThread" in reasons(node))
    told = reasons(node)["TaskWithoutThread"]
    before = (policy(program), policy(visitor))

    os.kill(visitor, 9)

    eventually(lambda: is_enforced(groups, program))
    eventually(lambda: "MainThreadStandsIn" in reasons(node))
    assert before == (os.SCHED_OTHER, os.SCHED_OTHER)
    assert "only what was started from outside" in told


def test_a_monitor_in_the_pods_slice_is_left_alone(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    reserve(node)
    slices = ("kubepods.slice", "kubepods-burstable.slice")
    flat = uid(1).replace("-", "_")
    slice_ = kubepods.joinpath(*slices, f"kubepods-burstable-pod{flat}.slice")
    id_ = container_id(1)
    places = [slice_ / f"crio-conmon-{id_}.scope", slice_ / f"crio-{id_}.scope"]
    for path in places:
        path.mkdir(parents=True)
        (OTHER / path.relative_to(CPU)).mkdir(parents=True)
    monitor = start_hog("idle", "conmon", cgroup=places[0])
    program = start_hog("idle", cgroup=places[1])
    node.pods.deliver(pod(1, node=NODE, phase="Running", container_ids={"main": id_}))

    eventually(lambda: is_enforced(groups, program.pid))

    assert policy(monitor.pid) == os.SCHED_OTHER


def test_a_running_pod_that_is_not_where_it_is_looked_for_is_told(
    start_node: StartNode, kubepods: Path, undo: ExitStack
) -> None:
    elsewhere = kubepods.with_name(f"{kubepods.name}-b") / "kubepods"
    elsewhere.mkdir(parents=True)
    undo.callback(elsewhere.parent.rmdir)
    undo.callback(elsewhere.rmdir)
    for path in (kubepods / "kubepods" / "burstable", kubepods / "kubepods"):
        path.rmdir()
    node = start_node()
    reserve(node)
    report_status(node)

    eventually(lambda: "CgroupNotFound" in reasons(node))

    text = reasons(node)["CgroupNotFound"]
    assert f"/{elsewhere.relative_to(CPU)} (cgroupRoot /{elsewhere.parent.name})" in text
    assert "K40S_CGROUP_ROOT" in text


def test_a_pod_in_a_virtual_machine_is_told_and_neither_monitor_nor_vcpu_is_held(
    start_node: StartNode, kubepods: Path, start_hog: StartHog
) -> None:
    node = start_node()
    reserve(node)
    sandbox = make_container(kubepods).with_name(f"kata_{container_id(9)}")
    for place in (sandbox, OTHER / sandbox.relative_to(CPU)):
        place.with_name(container_id(1)).rmdir()
        place.mkdir()
    monitor = start_hog("machine", "qemu-system-x86", "CPU 0/KVM", cgroup=sandbox)
    report_status(node)

    eventually(lambda: "TaskOutOfReach" in reasons(node))

    assert f"'qemu-system-x86' (PID {monitor.pid}, 1 vCPU)" in reasons(node)["TaskOutOfReach"]
    assert [policy(monitor.pid), policy(monitor.tid)] == [os.SCHED_OTHER] * 2
    eventually(lambda: any("InsideVirtualMachine" in str(one) for one in node.server.conditions))
