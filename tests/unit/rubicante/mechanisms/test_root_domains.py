"""What a kernel offers for SCHED_DEADLINE, by its answers."""

import errno
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante.mechanisms.deadline.discovery import read_bandwidths
from k40s.cpu.model import Domain
from tests.fakes.rubicante.deadline_offer import BALANCE, DEBUG, ask
from tests.fakes.rubicante.domains import PROC, V1, DomainKernel


@pytest.fixture
def kernel() -> DomainKernel:
    return DomainKernel()


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


def test_a_timer_for_each_budget_makes_overruns_short(kernel: DomainKernel, memory: Path) -> None:
    tell_bandwidth(kernel, 104856, features="HRTICK HRTICK_DL")

    support, _ = ask(kernel, memory, cores={0, 1})

    assert support.offer is not None
    assert support.offer.tick == 100_000


def test_a_sum_below_nothing_is_read_as_such(kernel: DomainKernel) -> None:
    tell_bandwidth(kernel, -209715)

    found = read_bandwidths(kernel, DEBUG)

    assert found[0].total < 0
