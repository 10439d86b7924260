"""What a cluster changes on the machine, with a directory standing for the machine."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from localcluster.errors import CommandError, LocalClusterError
from localcluster.host.cgroups import (
    Binding,
    CgroupTree,
    Hierarchies,
    find_trees,
    parse_hierarchies,
)
from localcluster.host.files import locked, write_changed
from localcluster.host.machine import BRIDGE_FILTER, SYSCTLS, Machine, memory_bytes, online_cpus
from localcluster.host.packages import (
    install_command,
    missing_packages,
    require_machine,
    unmet_cgroups,
    unmet_requirements,
)
from localcluster.host.unified import Controllers, UnifiedTree
from tests.fakes.localcluster.unified import ROOT, UnifiedKernel

MOUNTS = """\
proc /proc proc rw 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    root = tmp_path / "proc"
    for key in SYSCTLS:
        path = root / "sys" / key.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("0\n")
    boot = root / "sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text("boot-1\n")
    return root


def sysctl(proc: Path, value: str | None = None) -> str:
    path = proc / "sys/kernel/panic"
    if value is not None:
        path.write_text(value)
    return path.read_text().strip()


def test_settings_are_put_back_as_they_were_before_the_first_cluster(
    tmp_path: Path, proc: Path
) -> None:
    machine = Machine(tmp_path / "machine.json", proc=proc)

    machine.save()
    sysctl(proc, "10")
    machine.save()
    machine.restore()

    assert sysctl(proc) == "0"
    assert not (tmp_path / "machine.json").exists()


def test_after_a_reboot_there_is_nothing_to_put_back(tmp_path: Path, proc: Path) -> None:
    machine = Machine(tmp_path / "machine.json", proc=proc)
    machine.save()
    (proc / "sys/kernel/random/boot_id").write_text("boot-2\n")
    sysctl(proc, "7")

    machine.restore()

    assert sysctl(proc) == "7"


def test_restoring_what_was_never_remembered_does_nothing(tmp_path: Path, proc: Path) -> None:
    Machine(tmp_path / "machine.json", proc=proc).restore()

    assert sysctl(proc) == "0"


class Modules:
    """Loads a module by making the files of its settings, in which it is on."""

    def __init__(self, proc: Path, *, missing: bool = False) -> None:
        self.settings = proc / "sys/net/bridge"
        self.missing = missing
        self.ran: list[Sequence[str]] = []

    def __call__(self, words: Sequence[str]) -> str:
        self.ran.append(words)
        if self.missing:
            raise CommandError("modprobe: no such module")
        if words == ["modprobe", BRIDGE_FILTER]:
            self.settings.mkdir(parents=True)
            for name in ("iptables", "ip6tables"):
                (self.settings / f"bridge-nf-call-{name}").write_text("1\n")
        return ""


def test_a_missing_module_is_loaded_without_an_effect_on_the_machine_and_removed_in_the_end(
    tmp_path: Path, proc: Path
) -> None:
    modules = Modules(proc)
    machine = Machine(tmp_path / "machine.json", proc=proc, command=modules)
    machine.save()

    machine.filter_bridges()
    machine.filter_bridges()
    calls = (modules.settings / "bridge-nf-call-iptables").read_text()
    machine.restore()

    assert calls == "0"
    assert modules.ran == [["modprobe", BRIDGE_FILTER], ["modprobe", "--remove", BRIDGE_FILTER]]


def test_a_module_that_somebody_came_to_use_stays(tmp_path: Path, proc: Path) -> None:
    modules = Modules(proc)
    machine = Machine(tmp_path / "machine.json", proc=proc, command=modules)
    machine.filter_bridges()
    (modules.settings / "bridge-nf-call-iptables").write_text("1\n")

    machine.restore()

    assert modules.ran == [["modprobe", BRIDGE_FILTER]]


def test_a_module_that_is_there_is_left_alone(tmp_path: Path, proc: Path) -> None:
    modules = Modules(proc)
    modules(["modprobe", BRIDGE_FILTER])
    machine = Machine(tmp_path / "machine.json", proc=proc, command=modules)

    machine.filter_bridges()
    machine.restore()

    assert modules.ran == [["modprobe", BRIDGE_FILTER]]
    assert (modules.settings / "bridge-nf-call-iptables").read_text() == "1\n"


def test_a_module_that_does_not_exist_is_named(tmp_path: Path, proc: Path) -> None:
    modules = Modules(proc, missing=True)

    file = tmp_path / "machine.json"
    machine = Machine(file, proc=proc, command=modules)
    with pytest.raises(LocalClusterError, match=BRIDGE_FILTER):
        machine.prepare([tmp_path / "new"], is_first=True)
    left = file.exists()
    with pytest.raises(LocalClusterError, match=BRIDGE_FILTER):
        machine.prepare([tmp_path / "new"], is_first=False)

    assert not left
    assert file.exists()  # for the cluster that is there
    assert not (tmp_path / "new").exists()


def test_controllers_are_taken_back_after_the_last_cluster(tmp_path: Path, proc: Path) -> None:
    kernel = UnifiedKernel()
    machine = Machine(tmp_path / "machine.json", proc=proc, controllers=Controllers(ROOT, kernel))
    machine.save()
    UnifiedTree("node", root=ROOT, files=kernel).create(cpus="1", binding=Binding.ALONE)
    kernel.remove("node")

    machine.restore()

    assert kernel.groups == {ROOT: set()}


def test_what_kubelet_needs_of_cgroups_is_named(tmp_path: Path) -> None:
    v2 = Hierarchies(paths=(tmp_path,), unified=tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io\n")
    v1 = Hierarchies(paths=(tmp_path / "cpu",))

    lacking, none = unmet_cgroups(v2), unmet_cgroups(v1)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")

    assert lacking == [f"cgroup v2 at {tmp_path} has no controllers memory, pids"]
    assert none == ["a local cluster needs cgroups, and none are mounted"]
    assert unmet_cgroups(v2) == []


def test_directories_that_were_missing_go_and_others_stay(tmp_path: Path, proc: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "var/lib/used").mkdir(parents=True)
    machine = Machine(tmp_path / "machine.json", proc=proc)

    machine.make_directories(
        [tmp_path / "etc/cni", tmp_path / "var/log/pods", tmp_path / "var/lib/used"]
    )
    made = (tmp_path / "etc/cni").is_dir()
    (tmp_path / "var/log/other").mkdir()
    machine.restore()

    assert made
    assert not (tmp_path / "etc/cni").exists()
    assert (tmp_path / "etc").exists()
    assert (tmp_path / "var/lib/used").exists()
    assert not (tmp_path / "var/log/pods").exists()
    assert (tmp_path / "var/log/other").exists()


def test_the_machine_has_cpus_and_memory() -> None:
    assert online_cpus()
    assert memory_bytes() > 1 << 20


def test_hierarchies_of_both_versions_are_found_once() -> None:
    found = parse_hierarchies(MOUNTS)

    assert found.paths == (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/unified"))
    assert found.unified is None


def test_a_machine_without_the_cpu_controller_in_v1_is_of_v2() -> None:
    mounts = "cgroup2 /run/other cgroup2 rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n"

    found = parse_hierarchies(f"{mounts}cgroup /sys/fs/cgroup/net_cls cgroup rw,net_cls 0 0\n")

    assert found.paths == (Path("/sys/fs/cgroup"),)
    assert found.unified == found.cpu == Path("/sys/fs/cgroup")


def test_a_cgroup_is_bound_to_its_cpus_where_there_is_a_cpuset(tmp_path: Path) -> None:
    cpu, cpuset = tmp_path / "cpu", tmp_path / "cpuset"
    for group in (cpuset, cpuset / "node", cpuset / "node/system"):
        group.mkdir(parents=True)
        for name in ("cpuset.mems", "cpuset.cpus", "tasks"):
            (group / name).write_text("0" if group == cpuset else "")
    cpu.mkdir()

    CgroupTree("node", hierarchies=(cpu, cpuset)).create(cpus="1", below="system")

    assert (cpu / "node/system").is_dir()
    assert (cpuset / "node/system/cpuset.cpus").read_text() == "1"
    assert (cpuset / "node/system/cpuset.mems").read_text() == "0"


def test_a_cgroup_is_removed_with_all_below_it(tmp_path: Path) -> None:
    tree = CgroupTree("node", hierarchies=(tmp_path,))
    tree.create(cpus="0", below="system")
    existed = tree.exists()

    tree.remove()

    assert existed
    assert not (tmp_path / "node").exists()


def test_processes_of_a_cgroup_are_ended_before_it_is_removed(tmp_path: Path) -> None:
    tree = CgroupTree("node", hierarchies=(tmp_path,))
    tree.create(cpus="0")
    with subprocess.Popen(["sleep", "60"]) as process:
        tree.adopt(process.pid)
        found = tree.pids()
        with pytest.raises(LocalClusterError, match="/node cannot be removed"):
            tree.remove(rounds=2)  # a file cannot be taken for an empty group

        assert process.wait(timeout=120) == -9
    assert found == {process.pid}


def test_trees_are_found_by_the_beginning_of_their_names(tmp_path: Path) -> None:
    for name in ("k40s-rt-demo-edge-1-a", "k40s-rt-demo-edge-1-b", "k40s-rt-test-edge-1"):
        (tmp_path / name).mkdir()

    trees = find_trees("k40s-rt-demo-", hierarchies=Hierarchies(paths=(tmp_path,)))

    assert [tree.name for tree in trees] == ["k40s-rt-demo-edge-1-a", "k40s-rt-demo-edge-1-b"]


def test_a_file_that_says_it_already_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "new/config.yaml"

    first, again, other = (write_changed(path, text) for text in ("a", "a", "b"))

    assert (first, again, other) == (False, False, True)
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.read_text() == "b"


def test_a_lock_can_be_removed_by_its_holder_and_taken_again(tmp_path: Path) -> None:
    lock = tmp_path / "run/demo.lock"

    with locked(lock):
        lock.unlink()
    with locked(lock):
        held = lock.exists()

    assert held


def test_every_missing_command_is_traced_to_its_package() -> None:
    missing = missing_packages(find=lambda _name: None, find_cni=lambda: None)

    assert "containerd" in missing
    assert "containernetworking-plugins" in missing
    assert missing == sorted(set(missing))
    assert install_command(["runc"]).endswith("apt-get install -y --no-install-recommends runc")


def test_a_machine_that_has_everything_misses_nothing() -> None:
    found = missing_packages(
        find=lambda name: f"/bin/{name}", find_cni=lambda: Path("/cni"), has_keys=lambda: True
    )

    assert found == []


def test_another_distribution_needs_the_keys_of_debian() -> None:
    found = missing_packages(
        find=lambda name: f"/bin/{name}", find_cni=lambda: Path("/cni"), has_keys=lambda: False
    )

    assert found == ["debian-archive-keyring"]


def test_a_machine_is_good_enough_or_the_error_says_everything_at_once() -> None:
    unmet = unmet_requirements()

    if not unmet:
        require_machine()
        return
    with pytest.raises(LocalClusterError) as error:
        require_machine()
    assert str(error.value).splitlines() == unmet
