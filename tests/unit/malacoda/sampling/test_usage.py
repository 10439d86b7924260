import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemons.malacoda.sampling.usage import USAGE_SOURCES, UsageReader
from k40s.assurance.counters import CpuTimes, StatCounters
from k40s.assurance.suspects.usage import NodeUsage, PodIdentity, PodUsage
from k40s.criticality import Criticality
from tests.fakes.malacoda.cgroups import FakeCgroups, uid
from tests.fakes.malacoda.world import FakeClock

MS = 1_000_000
A, B, C = uid(1), uid(2), uid(3)
PODS = {
    A: PodIdentity(name="shop/a", criticality=Criticality.HI),
    B: PodIdentity(name="shop/b", criticality=Criticality.NO),
    C: PodIdentity(name="kube-system/c", criticality=Criticality.NO, protected=True),
}
NONE = dict.fromkeys(USAGE_SOURCES, 0)
_IDLE = CpuTimes(user=0, system=0, idle=0, iowait=0, irq=0, steal=0)


def stat(*, others: int = 1, running: int = 1) -> StatCounters:
    times = CpuTimes(user=700, system=200, idle=5000, iowait=10, irq=30, steal=4)
    return StatCounters(
        own=times,
        own_cpus=1,
        others=_IDLE,
        other_cpus=others,
        contexts=0,
        forks=0,
        running=running,
    )


class Scene:
    """Readers over trees in a directory."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.root = root
        self.clock = FakeClock()
        self.proc = root / "proc"
        self._stack = stack

    def cgroups(
        self, *, unified: bool = False, driver: str = "cgroupfs", below: str = ""
    ) -> FakeCgroups:
        return FakeCgroups(root=self.root / "cgroup", unified=unified, driver=driver, below=below)

    def reader(
        self, cgroup_root: str = "/", *, most_pods: int = 1000, most_open: int = 600
    ) -> UsageReader:
        reader = UsageReader(
            cpus={1},
            clock=self.clock,
            root=self.root / "cgroup",
            cgroup_root=cgroup_root,
            proc=self.proc,
            most_pods=most_pods,
            most_open=most_open,
        )
        self._stack.callback(reader.close)
        return reader


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(tmp_path, stack)


def read(
    reader: UsageReader, pods: Mapping[str, PodIdentity] = PODS, *, others: int = 1
) -> NodeUsage:
    return reader.read(pods, stat=stat(others=others))


@pytest.mark.parametrize("driver", ["cgroupfs", "systemd"])
@pytest.mark.parametrize(("below", "root"), [("", "/"), ("node-a", "/node-a")])
def test_v1_counts_the_nodes_own_cpus_in_every_class(
    scene: Scene, driver: str, below: str, root: str
) -> None:
    cgroups = scene.cgroups(driver=driver, below=below)
    cgroups.node([1, 900 * MS], [1, 300 * MS])
    cgroups.pod(A, used=(70 * MS, 11 * MS), system=(30 * MS, 5 * MS), pids=3)
    cgroups.pod(B, "burstable", used=(0, 22 * MS), system=(0, 6 * MS), pids=4)
    cgroups.pod(C, "besteffort", used=(1, 33 * MS), system=(1, 7 * MS), pids=5)

    reader = scene.reader(root)
    sample = read(reader)

    assert (sample.used, sample.system, sample.cpus) == (900 * MS, 300 * MS, {1})
    assert sample.pods == {
        A: PodUsage(name="shop/a", criticality=Criticality.HI, used=11 * MS, system=5 * MS, pids=3),
        B: PodUsage(name="shop/b", criticality=Criticality.NO, used=22 * MS, system=6 * MS, pids=4),
        C: PodUsage(
            name="kube-system/c",
            criticality=Criticality.NO,
            protected=True,
            used=33 * MS,
            system=7 * MS,
            pids=5,
        ),
    }
    assert reader.faults == NONE


@pytest.mark.parametrize("driver", ["cgroupfs", "systemd"])
def test_v2_gives_totals_and_the_cpus_they_were_spent_on(scene: Scene, driver: str) -> None:
    cgroups = scene.cgroups(unified=True, driver=driver)
    cgroups.pod(A, used=(0, 11 * MS), system=(0, 5 * MS), pids=3, cpuset="1")
    cgroups.pod(B, "burstable", used=(20 * MS, 2 * MS), system=(MS, MS), cpuset="0-1")

    reader = scene.reader()
    sample = read(reader)

    assert (sample.used, sample.system) == (9_300 * MS, 2_300 * MS)
    assert (sample.pods[A].used, sample.pods[A].system) == (11 * MS, 5 * MS)
    assert (sample.pods[A].cpus, sample.pods[A].pids) == ({1}, 3)
    assert (sample.pods[B].used, sample.pods[B].cpus) == (22 * MS, {0, 1})
    assert reader.faults == NONE


def test_v2_needs_no_cpusets_where_the_node_owns_the_machine(scene: Scene) -> None:
    cgroups = scene.cgroups(unified=True)
    cgroups.pod(A, used=(0, 11 * MS))
    (cgroups.paths(A)[0] / "cpuset.cpus.effective").unlink()

    reader = scene.reader()
    sample = read(reader, others=0)

    assert (sample.pods[A].used, sample.pods[A].cpus) == (11 * MS, None)
    assert reader.faults == NONE


def test_a_total_of_unknown_cpus_is_not_used(scene: Scene) -> None:
    cgroups = scene.cgroups(unified=True)
    cgroups.pod(A, used=(0, 11 * MS), pids=2)
    (cgroups.paths(A)[0] / "cpuset.cpus.effective").write_text("\n")

    reader = scene.reader()
    sample = read(reader)

    assert (sample.pods[A].used, sample.pods[A].system, sample.pods[A].pids) == (None, None, 2)
    assert reader.faults == NONE | {"pod-cpuset": 1}


def test_counters_are_read_again_in_each_sample(scene: Scene) -> None:
    cgroups = scene.cgroups()
    cgroups.pod(A, used=(0, 1))
    reader = scene.reader()
    read(reader)
    cgroups.pod(A, used=(0, 5), system=(0, 2), pids=9)
    cgroups.node([0, 77], [0, 66])

    sample = read(reader)
    scene.clock.pass_seconds(2)
    cgroups.pod(A, used=(0, 6), pids=9)
    later = read(reader)

    assert (sample.used, sample.system) == (77, 66)
    assert (sample.pods[A].used, sample.pods[A].system, sample.pods[A].pids) == (5, 2, 1)
    assert later.pods[A].pids == 9


def test_an_idle_pod_is_read_again_when_it_has_run_or_is_known_as_another(scene: Scene) -> None:
    cgroups = scene.cgroups()
    cgroups.pod(A, used=(0, 1), pids=2)
    reader = scene.reader()
    before = read(reader).pods[A]
    cgroups.pod(A, used=(0, 1), pids=3)

    assert read(reader).pods[A] is before
    assert read(reader, {}).pods[A].protected
    cgroups.pod(A, used=(0, 2), pids=4)
    scene.clock.pass_seconds(2)
    assert read(reader).pods[A].pids == 4


def test_a_pod_that_the_cluster_says_nothing_of_is_protected(scene: Scene) -> None:
    scene.cgroups().pod(A, used=(0, 1))

    pod = read(scene.reader(), {}).pods[A]

    assert pod.protected
    assert (pod.used, pod.name) == (1, "")


def test_a_static_pod_is_known_by_its_hash(scene: Scene) -> None:
    cgroups = scene.cgroups(driver="systemd")
    cgroups.pod("0123456789abcdef0123456789abcdef", "burstable", used=(0, 8))
    cgroups.pod("0123456789abcdef", used=(0, 8))

    assert set(read(scene.reader()).pods) == {"0123456789abcdef0123456789abcdef"}


def test_pods_that_appear_and_vanish_are_seen_at_once_and_leave_nothing_open(scene: Scene) -> None:
    cgroups = scene.cgroups()
    cgroups.pod(A)
    reader = scene.reader()
    read(reader)
    before = open_files()
    cgroups.pod(B, "burstable")
    assert set(read(reader).pods) == {A, B}
    cgroups.pod(C, "burstable")
    assert set(read(reader).pods) == {A, B, C}
    cgroups.remove(B, "burstable")
    cgroups.remove(C, "burstable")

    assert set(read(reader).pods) == {A}
    assert open_files() == before
    assert reader.faults == NONE


def test_a_pod_that_vanishes_after_it_was_listed_is_left_out(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    cgroups = scene.cgroups()
    cgroups.pod(A)
    cgroups.pod(B)
    reader = scene.reader()
    monkeypatch.setattr("daemons.malacoda.sampling.pod_cgroups._mark", lambda _: (0,))
    read(reader)
    cgroups.remove(A)
    real = os.pread

    def gone(descriptor: int, size: int, offset: int) -> bytes:
        if f"/pod{A}/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENODEV, "no such device")
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", gone)

    assert set(read(reader).pods) == {B}
    assert set(read(reader).pods) == {B}
    assert reader.faults == NONE


def test_a_pod_made_again_under_the_same_uid_is_read_anew(scene: Scene) -> None:
    cgroups = scene.cgroups()
    cgroups.pod(A, used=(0, 50))
    reader = scene.reader()
    read(reader)
    cgroups.remove(A)
    assert read(reader).pods == {}

    cgroups.pod(A, "besteffort", used=(0, 3))

    assert read(reader).pods[A].used == 3


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("cpuacct.usage_percpu", "pod-cpu"),
        ("cpuacct.usage_percpu_sys", "pod-cpu"),
        ("pids.current", "pod-pids"),
    ],
)
@pytest.mark.parametrize("text", [None, "", "max\n", "-1 -1\n", "5\n", "a b\n"])
def test_a_counter_that_is_missing_or_garbled_is_none_and_counted_once_a_sample(
    scene: Scene, file: str, source: str, text: str | None
) -> None:
    cgroups = scene.cgroups()
    for pod in (A, B):
        cgroups.pod(pod, used=(0, 7))
        path = cgroups.paths(pod)[file == "pids.current"] / file
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    reader = scene.reader()
    read(reader)

    usage = read(reader).pods[A]

    if source == "pod-cpu":
        assert (usage.used, usage.system, usage.pids) == (None, None, 1)
    elif text == "5\n":
        assert (usage.pids, reader.faults) == (5, NONE)
        return
    else:
        assert (usage.used, usage.pids) == (7, None)
    assert reader.faults == NONE | {source: 2}


def test_without_a_hierarchy_its_counters_are_missing(scene: Scene) -> None:
    cgroups = scene.cgroups()
    cgroups.pod(A, used=(0, 7))
    shutil.rmtree(scene.root / "cgroup/pids")

    reader = scene.reader()

    assert (read(reader).pods[A].used, read(reader).pods[A].pids) == (7, None)
    assert reader.faults == NONE | {"pod-pids": 2}


def test_without_the_root_groups_counters_the_nodes_time_is_unknown(scene: Scene) -> None:
    cgroups = scene.cgroups()
    cgroups.pod(A, used=(0, 7))
    (cgroups.trees[0] / "cpuacct.usage_percpu_sys").write_text("")

    reader = scene.reader()
    sample = read(reader)

    assert (sample.used, sample.system, sample.pods[A].used) == (None, None, 7)
    assert reader.faults == NONE | {"node-cpu": 1}


def test_cpus_are_found_by_their_number(scene: Scene) -> None:
    cgroups = scene.cgroups()
    (cgroups.trees[0] / "cpuacct.usage_all").write_text("cpu user system\n1 0 0\n4 0 0\n")
    cgroups.pod(A, used=(7, 9))

    assert read(scene.reader()).pods[A].used == 7


def test_v2_without_the_nodes_stat_has_no_times_of_the_node(scene: Scene) -> None:
    scene.cgroups(unified=True).pod(A)
    reader = scene.reader()

    sample = reader.read(PODS, stat=None)

    assert (sample.used, sample.system) == (None, None)
    assert reader.faults["node-cpu"] == 1


@pytest.mark.parametrize("made", [False, True])
def test_where_there_are_no_cgroups_there_are_no_pods(scene: Scene, *, made: bool) -> None:
    if made:
        (scene.root / "cgroup").mkdir()
    reader = scene.reader()

    assert read(reader).pods == {}
    assert reader.faults == NONE | {"pods": 1}


def test_cgroups_that_appear_later_are_found(scene: Scene) -> None:
    reader = scene.reader()
    read(reader)
    cgroups = scene.cgroups()
    shutil.rmtree(cgroups.kubepods(cgroups.trees[0]))
    assert read(reader).pods == {}

    cgroups.pod(A)

    assert set(read(reader).pods) == {A}
    assert reader.faults == NONE | {"pods": 2}


def test_pods_are_listed_now_and_then_though_nothing_shows_a_change(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    cgroups = scene.cgroups()
    reader = scene.reader()
    monkeypatch.setattr("daemons.malacoda.sampling.pod_cgroups._mark", lambda _: (0,))
    read(reader)
    cgroups.pod(A)
    assert read(reader).pods == {}

    scene.clock.pass_seconds(10)

    assert set(read(reader).pods) == {A}


def test_kubepods_that_cannot_be_listed_are_a_fault(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    cgroups = scene.cgroups()
    cgroups.pod(A)
    cgroups.pod(B, "burstable")
    real = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "burstable":
            raise PermissionError(errno.EACCES, "permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    reader = scene.reader()

    assert set(read(reader).pods) == {A}
    assert reader.faults == NONE | {"pods": 1}


def test_more_pods_than_the_most_are_left_out_and_those_known_stay(scene: Scene) -> None:
    cgroups = scene.cgroups()
    for number in (5, 6):
        cgroups.pod(uid(number))
    reader = scene.reader(most_pods=3)
    read(reader)
    assert reader.faults == NONE
    for number in (1, 2, 3):
        cgroups.pod(uid(number))

    assert set(read(reader).pods) == {uid(5), uid(6), uid(1)}
    assert reader.faults == NONE | {"pods": 1}


def test_few_descriptors_are_kept_and_all_pods_are_read(scene: Scene) -> None:
    cgroups = scene.cgroups()
    for number in range(20):
        cgroups.pod(uid(number), used=(0, number), pids=number)
    before = open_files()
    reader = scene.reader(most_open=10)

    for _ in range(2):
        sample = read(reader)
        assert {pod.used for pod in sample.pods.values()} == set(range(20))
        assert {pod.pids for pod in sample.pods.values()} == set(range(20))
    assert open_files() == before + 10
    reader.close()
    assert open_files() == before


@pytest.mark.parametrize("unified", [False, True])
def test_pressure_of_some_pods(scene: Scene, *, unified: bool) -> None:
    cgroups = scene.cgroups(unified=unified)
    for pod in (A, B, C):
        cgroups.pod(pod, "burstable")
    cgroups.pressure(A, "burstable", 1234)
    cgroups.pressure(B, "burstable", 99)
    reader = scene.reader()
    read(reader)

    assert reader.read_pressure([A, C, uid(9)]) == {A: 1234}
    cgroups.pressure(A, "burstable", 2234)
    assert reader.read_pressure([A]) == {A: 2234}
    assert reader.faults == NONE

    (cgroups.root / "unified" if not unified else cgroups.root).joinpath(
        cgroups.paths(B, "burstable")[0].relative_to(cgroups.trees[0]), "cpu.pressure"
    ).write_text("full\n")
    assert reader.read_pressure([B]) == {}
    assert reader.faults == NONE | {"pod-pressure": 1}


def test_there_is_no_pressure_without_v2(scene: Scene) -> None:
    cgroups = scene.cgroups()
    cgroups.pod(A)
    shutil.rmtree(scene.root / "cgroup/unified")
    reader = scene.reader()
    read(reader)

    assert reader.read_pressure([A]) == {}
    assert reader.faults == NONE


def thread(proc: Path, number: int, *, state: str, cgroup: str, cpu: int = 1) -> None:
    directory = proc / f"{number}/task/{number}"
    directory.mkdir(parents=True)
    line = f"{number} (a) b) {state} " + "0 " * 16 + "1 " + "0 " * 18 + f"{cpu} 0 0\n"
    (proc / f"{number}/stat").write_text(line)
    (directory / "stat").write_text(line)
    (directory / "status").write_text(f"Cpus_allowed_list:\t{cpu}\n")
    (directory / "cgroup").write_text(cgroup)


def test_runnable_threads_are_counted_by_pod_when_asked(scene: Scene) -> None:
    cgroups = scene.cgroups()
    for pod in (A, B):
        cgroups.pod(pod, "burstable")
    scene.proc.mkdir()
    (scene.proc / "thread-self").symlink_to("1/task/1")
    inside = f"3:cpuset:/\n2:cpuacct:/kubepods/burstable/pod{A}/{'c' * 64}\n0::/\n"
    thread(scene.proc, 10, state="R", cgroup=inside)
    thread(scene.proc, 11, state="R", cgroup=f"0::/../../pod{A}/x\n")
    thread(scene.proc, 12, state="S", cgroup=inside)
    thread(scene.proc, 13, state="R", cgroup=inside, cpu=0)
    thread(scene.proc, 14, state="R", cgroup="0::/system.slice/ssh.service\n")
    reader = scene.reader()

    sample = reader.read(PODS, stat=stat(running=5), with_threads=True)

    assert sample.runnable == 3
    assert (sample.pods[A].runnable, sample.pods[B].runnable) == (2, 0)
    assert reader.faults == NONE
    without = read(reader)
    assert (without.runnable, without.pods[A].runnable) == (None, None)


def test_where_nothing_else_runs_there_are_no_runnable_threads(scene: Scene) -> None:
    scene.cgroups().pod(A)

    sample = scene.reader().read(PODS, stat=stat(running=1), with_threads=True)

    assert (sample.runnable, sample.pods[A].runnable) == (0, 0)


@pytest.mark.parametrize("known", [None, stat(running=9)])
def test_threads_that_cannot_be_counted_are_none_and_counted(
    scene: Scene, known: StatCounters | None
) -> None:
    scene.cgroups().pod(A)
    reader = scene.reader()

    sample = reader.read(PODS, stat=known, with_threads=True)

    assert (sample.runnable, sample.pods[A].runnable) == (None, None)
    assert reader.faults == NONE | {"threads": 1}


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("unified", [False, True])
def test_without_kubepods_the_sample_is_incomplete_and_not_a_node_without_pods(
    scene: Scene, *, unified: bool
) -> None:
    scene.cgroups(unified=unified, below="elsewhere").pod(A)

    reader = scene.reader()
    sample = read(reader)

    assert (sample.used, sample.system, sample.pods) == (None, None, {})
    assert reader.faults == NONE | {"pods": 1}


def test_a_cgroup_path_that_cannot_be_looked_at_is_a_fault_and_no_error(scene: Scene) -> None:
    reader = UsageReader(cpus={1}, clock=scene.clock, root=scene.root / ("x" * 5000))

    assert read(reader).pods == {}
    assert reader.faults == NONE | {"pods": 1}
