"""What nobody needs any more does not pile up, and what a crash left does not stand in the way."""

from pathlib import Path

import pytest

from daemons.rubicante.kernel.saved_values import SavedValues
from daemons.rubicante.mechanisms.deadline.affinity import CpusetCores
from daemons.rubicante.mechanisms.deadline.assembly import withdraw
from daemons.rubicante.mechanisms.deadline.bandwidth_leaks import BandwidthLeaks
from daemons.rubicante.mechanisms.paths import KernelPaths
from k40s.cpu.model import Domain
from k40s.errors import KernelError
from tests.fakes.rubicante.deadline_scene import PODS, UID, Scene, held
from tests.fakes.rubicante.domains import PROC, V1, DomainKernel

DEBUG = Path("/debug/sched")
PROBE = PODS / "k40s-rt-probe"


def places(memory: Path) -> KernelPaths:
    return KernelPaths(proc=PROC, debug=DEBUG, saved_values=memory, cpusets=V1)


def test_cpusets_that_are_gone_are_not_remembered(memory: Path) -> None:
    scene = Scene(memory, "v1")
    for number in range(20):
        path = V1 / f"container-{number}"
        scene.kernel.add_cpuset(path, "0-1")
        scene.cores.keep()
        scene.kernel.remove_directory(path)

    scene.cores.keep()

    kept = SavedValues(system=scene.kernel, proc=PROC, file=memory).values()
    assert kept == {".": "1"}


def test_what_cannot_be_remembered_is_a_refusal_and_changes_nothing(memory: Path) -> None:
    scene = Scene(memory, "v1")
    scene.kernel.add_cpuset(V1 / "new", "0-1")
    memory.with_name("cpusets.json.new").mkdir()

    with pytest.raises(KernelError):
        scene.cores.keep()

    assert scene.kernel.files[V1 / "new" / "cpuset.sched_load_balance"] == "1"


def test_partitions_that_cannot_be_remembered_are_not_made(memory: Path) -> None:
    scene = Scene(memory)
    memory.with_name("cpusets.json.new").mkdir()

    with pytest.raises(KernelError):
        scene.cores.set_up({1})

    assert scene.cores.cores() == ()
    assert scene.kernel.files[V1 / "cpuset.sched_load_balance"] == "1"


class DryKernel(DomainKernel):
    """Writes nothing, as in a dry run."""

    def write(self, path: Path, text: str) -> None:
        self.writes.append((path, text))

    def remove_directory(self, path: Path) -> None:
        """It stays."""


def test_a_dry_run_keeps_in_mind_what_has_to_be_put_back(memory: Path) -> None:
    scene = Scene(memory, "v1")
    dry = DryKernel()
    dry.files, dry.folders = scene.kernel.files, scene.kernel.folders

    withdraw(system=dry, paths=places(memory), prefix="k40s-rt", start_probe=dry)

    kept = SavedValues(system=scene.kernel, proc=PROC, file=memory).values()
    assert kept == {".": "1"}


def test_balancing_comes_back_when_the_mechanism_is_withdrawn(memory: Path) -> None:
    scene = Scene(memory, "v1")

    withdraw(system=scene.kernel, paths=places(memory), prefix="k40s-rt", start_probe=scene.kernel)

    assert scene.kernel.files[V1 / "cpuset.sched_load_balance"] == "1"
    assert scene.kernel.domain(1) == {0, 1}


def test_cpusets_with_threads_inside_stay_and_that_is_told(memory: Path) -> None:
    scene = Scene(memory, "v1")
    scene.spawn(50)
    assert scene.cores.move_in(1, 50)

    told = withdraw(
        system=scene.kernel, paths=places(memory), prefix="k40s-rt", start_probe=scene.kernel
    )

    assert "threads are inside" in told


def test_threads_that_died_are_not_remembered(memory: Path) -> None:
    scene = Scene(memory, "v1")
    assert isinstance(scene.affinity, CpusetCores)
    scene.back_end.know([held(core=1)])
    for tid in range(100, 120):
        scene.spawn(tid)
        scene.enforce(tid, held(core=1))
        del scene.kernel.threads[tid]

    scene.back_end.sweep()

    assert not scene.affinity._former  # noqa: SLF001  # what nobody else can see


def test_a_probe_of_before_does_not_keep_its_core(memory: Path) -> None:
    scene = Scene(memory, "v2")
    scene.kernel.make_directory(PROBE)
    scene.pods.make(PROBE, 1)

    scene.pods.set_up({1})

    assert PROBE not in scene.kernel.folders
    assert scene.pods.held(PODS) == frozenset()
    assert scene.affinity.probe(1, UID) is None


def test_cores_that_no_pod_has_for_itself_are_not_taken_for_a_lost_count(memory: Path) -> None:
    scene = Scene(memory, "v2")
    text = "dl_rq[{}]:\n .dl_bw->bw : 996147\n .dl_bw->total_bw : {}\n"
    scene.kernel.files[DEBUG / "debug"] = "".join(text.format(cpu, 209715) for cpu in range(4))
    scene.kernel.folders |= {DEBUG, DEBUG / "fair_server", PROC}
    watch = BandwidthLeaks(
        system=scene.kernel,
        attributes=scene.kernel,
        threads=scene.threads,
        proc=PROC,
        debug=DEBUG,
        cores={1, 2},
        domain=Domain.EXCLUSIVE,
        rebuild=None,
        clock=lambda: 0.0,
    )

    watch.leaked()

    assert watch.leaked() == 0


def test_a_new_process_does_not_take_our_core_for_the_threads_own_affinity(memory: Path) -> None:
    scene = Scene(memory, "v1")
    scene.spawn(50)
    scene.kernel.threads[50].last_cpu = 1
    scene.back_end.know([held(core=1)])
    assert scene.enforce(50, held(core=1))
    scene.back_end = scene.start()
    scene.back_end.know([held(core=1)])
    assert scene.enforce(50, held(core=1))
    scene.kernel.add_cpuset(V1 / "kubepods", "0-1")
    for part in (f"pod{UID}", f"pod{UID}/{'a' * 64}"):
        scene.kernel.add_cpuset(V1 / "kubepods" / part, "0-1")

    assert scene.back_end.restore(50, held(core=1))

    assert scene.kernel.affinity(50) == {0, 1}
