"""Partitions of both cgroup versions: made, kept, put back."""

import errno
from pathlib import Path

import pytest

from daemons.rubicante.kernel.saved_values import SavedValues
from daemons.rubicante.mechanisms.deadline.core_cpusets import CorePartitions
from daemons.rubicante.mechanisms.deadline.pod_partitions import PodPartitions
from k40s.cpu.model import Domain
from k40s.errors import KernelError
from tests.fakes.rubicante.deadline_offer import BALANCE, PODS, ask
from tests.fakes.rubicante.domains import PROC, V1, V2, DomainKernel


@pytest.fixture
def kernel() -> DomainKernel:
    return DomainKernel()


def v1(kernel: DomainKernel, memory: Path) -> CorePartitions:
    saved = SavedValues(system=kernel, proc=PROC, file=memory)
    return CorePartitions(
        system=kernel,
        root=V1,
        prefix="k40s-rt",
        saved=saved,
        start_probe=kernel,
        wait=lambda _: None,
    )


def v2(kernel: DomainKernel, memory: Path) -> PodPartitions:
    saved = SavedValues(system=kernel, proc=PROC, file=memory)
    return PodPartitions(system=kernel, root=V2, pods=PODS, prefix="k40s-rt", saved=saved)


def pod(kernel: DomainKernel, name: str) -> Path:
    for path in (PODS, PODS / "burstable", PODS / "burstable" / name):
        if path not in kernel.folders:
            kernel.make_directory(path)
    return PODS / "burstable" / name


def test_partitions_of_v1_need_the_operators_leave(kernel: DomainKernel, memory: Path) -> None:
    kernel.add_cpuset(V1 / "kubepods", "0-1")

    support, partitions = ask(kernel, memory, cores={1}, allowed=True)

    assert support.offer is not None
    assert (support.offer.domain, support.partitions) == (Domain.PARTITIONED, True)
    assert isinstance(partitions, CorePartitions)
    assert kernel.files[V1 / BALANCE] == kernel.files[V1 / "kubepods" / BALANCE] == "0"
    assert kernel.domain(1) == {1}


def test_balancing_comes_back_when_the_leave_is_withdrawn(
    kernel: DomainKernel, memory: Path
) -> None:
    kernel.add_cpuset(V1 / "kubepods", "0-1")
    kernel.add_cpuset(V1 / "still", "0-1")
    kernel.files[V1 / "still" / BALANCE] = "0"
    ask(kernel, memory, cores={1}, allowed=True)

    ask(kernel, memory, cores={1}, allowed=False)

    assert kernel.files[V1 / BALANCE] == kernel.files[V1 / "kubepods" / BALANCE] == "1"
    assert kernel.files[V1 / "still" / BALANCE] == "0"
    assert not [p for p in kernel.folders if p.name.startswith("k40s-rt-")]


def test_partitions_stay_while_threads_are_inside(kernel: DomainKernel, memory: Path) -> None:
    partitions = v1(kernel, memory)
    partitions.set_up({1})
    kernel.spawn(50)
    assert partitions.move_in(1, 50)

    assert not partitions.put_back()

    assert kernel.files[V1 / BALANCE] == "0"
    assert partitions.move_back(50, "/")
    assert partitions.put_back()
    assert kernel.files[V1 / BALANCE] == "1"


def test_other_cpus_stay_balanced_among_themselves(memory: Path) -> None:
    kernel = DomainKernel(cores={0, 1, 2, 3})

    v1(kernel, memory).set_up({3})

    assert kernel.domain(0) == {0, 1, 2}
    assert kernel.domain(3) == {3}


def test_what_fails_is_put_back(kernel: DomainKernel, memory: Path) -> None:
    kernel.refuse["set"] = [OSError(errno.EPERM, "no")]

    with pytest.raises(KernelError, match="partitions by cpusets"):
        v1(kernel, memory).set_up({1})

    assert kernel.files[V1 / BALANCE] == "1"
    assert kernel.folders == {V1, V2}


def test_a_container_that_comes_while_partitions_are_made_does_not_end_them(
    kernel: DomainKernel, memory: Path
) -> None:
    """The kernel's sum is wrong for a moment, and while that is waited for, the cpuset appears."""
    kernel.refuse["set"] = [OSError(errno.EBUSY, "busy")] * 3

    def wait(_seconds: float) -> None:
        if V1 / "newcomer" not in kernel.folders:
            kernel.add_cpuset(V1 / "newcomer", "0-1")

    support, _ = ask(kernel, memory, cores={1}, allowed=True, wait=wait, patience=5)

    assert support.offer is not None
    assert support.offer.domain is Domain.PARTITIONED
    assert kernel.files[V1 / "newcomer" / BALANCE] == "0"


def test_what_a_former_boot_changed_is_forgotten(kernel: DomainKernel, memory: Path) -> None:
    v1(kernel, memory).set_up({1})
    kernel.files[PROC / "sys/kernel/random/boot_id"] = "boot-2"

    assert SavedValues(system=kernel, proc=PROC, file=memory).values() == {}


def test_a_memory_that_cannot_be_read_is_a_problem(kernel: DomainKernel, memory: Path) -> None:
    memory.write_text("[]")

    support, _ = ask(kernel, memory, cores={0, 1})

    assert "something else than saved values" in support.problems[0]
    with pytest.raises(KernelError):
        SavedValues(system=kernel, proc=PROC, file=memory)


def test_v2_offers_exclusive_cores_where_one_is_left(kernel: DomainKernel, memory: Path) -> None:
    kernel.make_directory(PODS)

    support, partitions = ask(kernel, memory, cores={1}, version=2)

    assert support.offer is not None
    assert support.offer.domain is Domain.EXCLUSIVE
    assert isinstance(partitions, PodPartitions)
    assert PODS / "k40s-rt-probe" not in kernel.folders
    assert kernel.files[PODS / "cpuset.cpus.exclusive"] == ""


def test_v2_says_why_it_offers_no_exclusive_cores(kernel: DomainKernel, memory: Path) -> None:
    kernel.make_directory(PODS)

    support, _ = ask(kernel, memory, cores={0, 1}, version=2)

    assert support.offer is not None
    assert support.offer.domain is Domain.SHARED
    assert support.warnings == ("exclusive partitions need a CPU besides those of K40S_CPUS",)


def test_a_pod_gets_a_core_down_the_chain_and_gives_it_back(
    kernel: DomainKernel, memory: Path
) -> None:
    cgroup = pod(kernel, "pod-a")
    partitions = v2(kernel, memory)

    assert partitions.make(cgroup, 1)
    assert not partitions.make(cgroup, 1)

    assert (partitions.state(cgroup), partitions.held(PODS)) == ("root", {1})
    assert partitions.partitions() == (cgroup,)
    partitions.undo(cgroup)
    assert (partitions.state(cgroup), partitions.held(PODS)) == ("member", frozenset())


def test_a_core_of_another_pod_is_refused_and_nothing_changes(
    kernel: DomainKernel, memory: Path
) -> None:
    first, second = pod(kernel, "pod-a"), pod(kernel, "pod-b")
    partitions = v2(kernel, memory)
    partitions.make(first, 1)

    with pytest.raises(KernelError, match="pod-b"):
        partitions.make(second, 1)

    assert (partitions.state(first), partitions.held(PODS)) == ("root", {1})
    assert partitions.held(second) == frozenset()
