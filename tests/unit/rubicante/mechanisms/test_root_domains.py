"""What a kernel offers for SCHED_DEADLINE, by its answers."""

import errno
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante.kernel.sched_attr import LEAST, SCHED_DEADLINE, SchedAttr
from daemons.rubicante.mechanisms.deadline.discovery import has_deadline_threads, read_bandwidths
from daemons.rubicante.mechanisms.deadline.pod_partitions import EXCLUSIVE, PARTITION
from daemons.rubicante.mechanisms.deadline.recount import PatientProbes
from k40s.cpu.model import Domain
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.deadline_offer import BALANCE, DEBUG, PODS, ask
from tests.fakes.rubicante.domains import PROC, V1, V2, DomainKernel


@pytest.fixture
def kernel() -> DomainKernel:
    return DomainKernel()


def fill(kernel: DomainKernel) -> None:
    """Others' threads have the whole domain."""
    runtime, period = Nanoseconds(9 * NS_PER_MS), Nanoseconds(10 * NS_PER_MS)
    attr = SchedAttr(policy=SCHED_DEADLINE, runtime=runtime, deadline=period, period=period)
    for tid in (60, 61):
        kernel.set(kernel.spawn(tid), attr)
    for tid in (60, 61):
        kernel.threads[tid].charged = Fraction(95, 100)


def rebuilds(kernel: DomainKernel) -> int:
    cut = V1 / "k40s-rt-rebuild" / "cpuset.cpus"
    return sum(path == cut for path, _ in kernel.writes)


def tell_bandwidth(kernel: DomainKernel, total: int, *, features: str = "NO_HRTICK_DL") -> None:
    block = "dl_rq[{}]:\n  .dl_nr_running : 0\n  .dl_bw->bw : 996147\n  .dl_bw->total_bw : {}\n"
    kernel.folders |= {DEBUG, DEBUG / "fair_server"}
    kernel.files[DEBUG / "debug"] = "".join(block.format(cpu, total) for cpu in kernel.cores)
    kernel.files[DEBUG / "features"] = features


def test_offers_a_shared_domain_of_all_cpus(kernel: DomainKernel, memory: Path) -> None:
    support, partitions = ask(kernel, memory, cores={0, 1})

    assert support.offer is not None
    assert (support.offer.domain, support.offer.cpus) == (Domain.SHARED, 2)
    assert support.offer.capacity == Fraction(9, 10)
    assert (support.problems, partitions) == ((), None)


def test_offers_nothing_where_the_domain_is_wider_than_the_operators_cores(
    kernel: DomainKernel, memory: Path
) -> None:
    support, _ = ask(kernel, memory, cores={1})

    assert support.offer is None
    assert "the root domain has CPUs besides [1]" in support.problems[0]


def test_finds_cores_that_somebody_has_partitioned_already(
    kernel: DomainKernel, memory: Path
) -> None:
    kernel.files[V1 / BALANCE] = "0"

    support, partitions = ask(kernel, memory, cores={0, 1})

    assert support.offer is not None
    assert (support.offer.domain, support.partitions) == (Domain.PARTITIONED, False)
    assert partitions is None


def test_a_node_that_is_a_partition_makes_none_for_its_pods(
    kernel: DomainKernel, memory: Path
) -> None:
    node = V2 / "k40s-demo-edge-1"
    kernel.make_directory(node)
    kernel.files |= {node / EXCLUSIVE: "1", node / PARTITION: "root"}
    kernel.make_directory(PODS)
    kernel.writes.clear()

    support, partitions = ask(kernel, memory, cores={1}, version=2)

    assert support.offer is not None
    assert (support.offer.domain, support.partitions) == (Domain.PARTITIONED, False)
    assert (partitions, kernel.writes) == (None, [])


@pytest.mark.parametrize("runtime", ["0", None])
def test_offers_nothing_where_the_system_leaves_no_bandwidth(
    kernel: DomainKernel, memory: Path, runtime: str | None
) -> None:
    del kernel.files[PROC / "sys/kernel/sched_rt_runtime_us"]
    if runtime is not None:
        kernel.files[PROC / "sys/kernel/sched_rt_runtime_us"] = runtime

    support, _ = ask(kernel, memory, cores={0, 1})

    assert support.problems == ("sched_rt_runtime_us leaves no bandwidth to SCHED_DEADLINE",)


def test_names_what_the_kernel_answers(kernel: DomainKernel, memory: Path) -> None:
    refusal = OSError(errno.ENOSYS, "Function not implemented")
    kernel.refuse["set"] = [refusal] * 9

    support, _ = ask(kernel, memory, cores={0, 1})

    assert "Function not implemented" in support.problems[0]


def test_a_wrong_sum_is_counted_again_before_it_counts_as_a_refusal(
    kernel: DomainKernel, memory: Path
) -> None:
    kernel.lost = Fraction(2)
    waits: list[float] = []

    support, _ = ask(kernel, memory, cores={0, 1}, wait=waits.append, patience=5)

    assert support.offer is not None
    assert support.problems == ()
    assert 0.5 <= sum(waits) <= 0.6


@pytest.mark.parametrize("version", [1, 2])
def test_threads_that_have_just_gone_are_waited_for_and_nothing_is_counted_again(
    kernel: DomainKernel, memory: Path, version: int
) -> None:
    kernel.refuse["set"] = [OSError(errno.EBUSY, "busy")] * 5
    waits: list[float] = []

    support, _ = ask(kernel, memory, cores={0, 1}, version=version, wait=waits.append, patience=5)

    assert support.offer is not None
    assert sum(waits) == pytest.approx(0.25)
    assert rebuilds(kernel) == 0


def test_a_domain_that_stays_full_is_refused_after_the_patience(
    kernel: DomainKernel, memory: Path
) -> None:
    fill(kernel)
    waits: list[float] = []

    support, _ = ask(kernel, memory, cores={0, 1}, wait=waits.append, patience=2)

    assert support.offer is None
    assert "no room" in support.problems[0]
    assert sum(waits) == pytest.approx(2, abs=0.1)
    assert 3 <= rebuilds(kernel) <= 4


def test_each_probe_waits_for_itself_and_nothing_is_counted_again_too_soon(
    kernel: DomainKernel,
) -> None:
    """Half a second in all, but no thread was charged for so long."""
    busy = OSError(errno.EBUSY, "busy")
    waits: list[float] = []
    start = PatientProbes(kernel, rebuild=pytest.fail, wait=waits.append, patience=2)
    for _ in range(2):
        kernel.refuse["set"] = [busy] * 8
        assert start({0, 1}).attempt(LEAST) is None
    assert sum(waits) == pytest.approx(0.8)


def test_another_refusal_is_told_at_once(kernel: DomainKernel) -> None:
    kernel.refuse["set"] = [OSError(errno.EPERM, "no")]
    start = PatientProbes(kernel, rebuild=pytest.fail, wait=pytest.fail, patience=2)

    refusal = start({0, 1}).attempt(LEAST)

    assert isinstance(refusal, PermissionError)


@pytest.mark.parametrize("version", [1, 2])
def test_without_patience_it_counts_again_once_and_waits_for_nothing(
    kernel: DomainKernel, memory: Path, version: int
) -> None:
    fill(kernel)
    waits: list[float] = []

    support, _ = ask(kernel, memory, cores={0, 1}, version=version, wait=waits.append, patience=0)

    assert (support.offer, waits) == (None, [])
    assert rebuilds(kernel) == (1 if version == 1 else 0)


def test_a_process_that_stops_waits_for_nothing(kernel: DomainKernel, memory: Path) -> None:
    fill(kernel)
    waits: list[float] = []

    def stopped(seconds: float) -> bool:
        waits.append(seconds)
        return True

    support, _ = ask(kernel, memory, cores={0, 1}, wait=stopped, patience=5)

    assert (support.offer, len(waits), rebuilds(kernel)) == (None, 1, 0)


def test_where_nothing_can_be_counted_again_the_kernels_answer_stands(
    kernel: DomainKernel, memory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.lost = Fraction(2)
    kernel.refuse["make_directory"] = [OSError(errno.EROFS, "read-only")] * 9

    support, _ = ask(kernel, memory, cores={0, 1}, patience=2)

    assert support.offer is None
    assert "no room" in support.problems[0]
    assert "not counted again" in caplog.text


def test_cpus_that_are_offline_are_a_problem(kernel: DomainKernel, memory: Path) -> None:
    support, _ = ask(kernel, memory, cores={1, 7})

    assert support.problems == ("CPUs that are not online: [7]",)


def test_bandwidth_of_others_is_not_offered(kernel: DomainKernel, memory: Path) -> None:
    foreign = Fraction(1, 5)
    tell_bandwidth(kernel, round((Fraction(1, 10) + foreign) * (1 << 20)))

    support, _ = ask(kernel, memory, cores={0, 1})

    assert support.offer is not None
    assert float(support.offer.capacity) == pytest.approx(0.8, abs=1e-5)


def test_bandwidth_of_ours_is_offered_again(kernel: DomainKernel, memory: Path) -> None:
    own = Fraction(1, 5)
    tell_bandwidth(kernel, round((Fraction(1, 10) + own) * (1 << 20)))

    support, _ = ask(kernel, memory, cores={0, 1}, held={-1: own})

    assert support.offer is not None
    assert float(support.offer.capacity) == pytest.approx(0.9, abs=1e-5)


def test_a_sum_below_nothing_is_read_as_such(kernel: DomainKernel) -> None:
    tell_bandwidth(kernel, -209715)

    found = read_bandwidths(kernel, DEBUG)

    assert found[0].total < 0


@pytest.mark.parametrize(("foreign", "expected"), [(0, False), (52, True), (-209_715, False)])
def test_threads_of_others_are_seen_by_bandwidth_beyond_the_fair_servers(
    kernel: DomainKernel, foreign: int, expected: bool
) -> None:
    tell_bandwidth(kernel, 2 * 52_428 + foreign)

    assert has_deadline_threads(kernel, DEBUG, {0, 1}) is expected


def test_without_the_schedulers_files_nobody_is_seen(kernel: DomainKernel) -> None:
    assert not has_deadline_threads(kernel, DEBUG, {0, 1})
