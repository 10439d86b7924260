"""Virtual machines and sentries among a pod's threads, by the names that each program gives."""

from pathlib import Path

import pytest

from daemons.rubicante.kernel.sandboxes import Sandbox, SandboxKind, find_sandbox, is_monitor
from daemons.rubicante.kernel.threads import Threads
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel

POD = CPU / "pod"


class Scene:
    """A pod's cgroup, and another one for what lies outside of it."""

    def __init__(self) -> None:
        self.system = FakeKernel()
        self.threads = Threads(system=self.system, proc=PROC)
        for path in (POD, CPU / "kata_overhead"):
            self.system.make_groups(path)

    def start(self, *names: str, cgroup: Path = POD, command: str = "") -> int:
        """A process whose threads bear these names, the leader first."""
        leader = self.system.spawn(cgroup, names[0])
        self.system.threads[leader].command = command
        for name in names[1:]:
            self.system.spawn(POD, name, pid=leader)
        return leader

    def find(self) -> Sandbox | None:
        tids = self.system.groups[POD].tids
        present = [thread for tid in tids if (thread := self.threads.find(tid)) is not None]
        return find_sandbox(self.threads, present)


@pytest.mark.parametrize(
    ("names", "vcpus"),
    [
        (("qemu-system-x86", "CPU 0/KVM", "CPU 1/KVM", "IO mon_iothread"), 2),
        (("qemu-system-aar", "CPU 0/TCG"), 1),
        (("qemu-kvm",), 0),
        (("cloud-hyperviso", "vmm", "vcpu0", "vcpu1", "vcpu2"), 3),
        (("firecracker", "fc_api", "fc_vcpu 0"), 1),
        (("stratovirt", "CPU 0/KVM"), 1),
        (("containerd-shim", "db_vcpu_0"), 1),
    ],
)
def test_a_virtual_machine_is_known_by_its_monitor_and_its_vcpus(
    names: tuple[str, ...], vcpus: int
) -> None:
    scene = Scene()
    leader = scene.start(*names)

    assert scene.find() == Sandbox(
        kind=SandboxKind.VIRTUAL_MACHINE, name=names[0], pid=leader, vcpus=vcpus
    )


def test_vcpus_alone_in_the_pods_cgroup_lead_to_their_monitor_outside_of_it() -> None:
    scene = Scene()
    leader = scene.start("qemu-system-x86", "CPU 0/KVM", cgroup=CPU / "kata_overhead")

    found = scene.find()

    assert found is not None
    assert found.text == f"'qemu-system-x86' (PID {leader}, 1 vCPU)"


@pytest.mark.parametrize("command", ["runsc-sandbox", "/usr/bin/runsc-gofer"])
def test_a_sentry_is_known_by_its_command_line(command: str) -> None:
    scene = Scene()
    leader = scene.start("exe", "exe", "exe", command=command)

    found = scene.find()

    assert found is not None
    assert (found.kind, found.pid) == (SandboxKind.USER_KERNEL, leader)
    assert found.text == f"{command.rpartition('/')[2]!a} (PID {leader})"


@pytest.mark.parametrize(
    ("names", "command"),
    [
        (("pause",), ""),
        (("exe",), "runc"),
        (("runsc",), "runsc"),
        (("6",), "runc"),
        (("app", "vcpu0"), ""),
        (("containerd-shim",), ""),
        (("qemu-img",), ""),
        (("CPU 0/KVM",), ""),
    ],
)
def test_runtimes_and_ordinary_programs_are_none(names: tuple[str, ...], command: str) -> None:
    scene = Scene()
    scene.start(*names, command=command)

    assert scene.find() is None


def test_a_process_that_ends_while_it_is_looked_at_is_none() -> None:
    scene = Scene()
    leader = scene.start("qemu-system-x86", "exe")
    present = [scene.threads.find(tid) for tid in scene.system.groups[POD].tids]
    for tid in [*scene.system.groups[POD].tids]:
        scene.system.kill(tid)

    assert leader
    assert find_sandbox(scene.threads, [one for one in present if one is not None]) is None


@pytest.mark.parametrize("name", ["exe", "vcpu7"])
def test_ten_thousand_threads_with_such_names_are_not_all_looked_at(name: str) -> None:
    scene = Scene()
    scene.start("app", *[name] * 10_000, command="app")
    present = [scene.threads.find(tid) for tid in scene.system.groups[POD].tids]
    reads: list[Path] = []
    scene.system.on_read = reads.append

    assert find_sandbox(scene.threads, [one for one in present if one is not None]) is None
    assert len(reads) <= 2 * 64


def test_the_name_of_a_monitor_is_what_the_kernel_keeps_of_it() -> None:
    assert is_monitor("qemu-system-x86")
    assert not is_monitor("qemu-img")
