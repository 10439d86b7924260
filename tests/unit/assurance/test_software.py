from dataclasses import replace

import pytest

from k40s.assurance.software import (
    Preemption,
    SoftwareFacts,
    propose_software_assurance,
    sampling_period,
)
from k40s.units import NS_PER_MS, Nanoseconds

BEST = SoftwareFacts(
    preemption=Preemption.CO_KERNEL,
    tick=Nanoseconds(NS_PER_MS),
    isolated=True,
    group_budgets=True,
    governor="performance",
    multithreading=False,
    virtual=False,
)


def test_the_best_node_deserves_5_and_the_worst_0() -> None:
    worst = SoftwareFacts(
        preemption=None,
        tick=None,
        isolated=False,
        group_budgets=False,
        governor="powersave",
        multithreading=True,
        virtual=True,
    )

    assert propose_software_assurance(BEST).value == 5
    assert propose_software_assurance(worst).value == 0


def test_kernels_are_ordered_as_their_isolation_was_measured() -> None:
    proposals = [
        propose_software_assurance(replace(BEST, preemption=kind, isolated=False)).value
        for kind in (None, *Preemption)
    ]

    assert proposals == [1, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"isolated": False}, "isolated CPUs"),
        ({"virtual": True}, "virtual machine"),
        ({"multithreading": True}, "simultaneous multithreading"),
        ({"governor": "ondemand"}, "frequency governor ondemand"),
        ({"tick": Nanoseconds(10 * NS_PER_MS)}, "tick slower than 250 Hz"),
        ({"tick": None}, "tick slower than 250 Hz"),
        ({"group_budgets": False}, "no real-time group budgets"),
    ],
)
def test_what_disturbs_costs_a_point_and_is_named(change: dict[str, object], reason: str) -> None:
    better = propose_software_assurance(BEST)

    worse = propose_software_assurance(replace(BEST, **change))  # type: ignore[arg-type]  # one field each

    assert worse.value == 4
    assert any(reason in line for line in (*better.reasons, *worse.reasons))


def test_an_unknown_governor_is_that_of_a_machine_without_frequency_scaling() -> None:
    assert propose_software_assurance(replace(BEST, governor=None)).value == 5


def test_a_node_that_isolates_little_is_sampled_twice_as_often() -> None:
    periods = [sampling_period(software) for software in range(6)]

    assert periods == [500 * NS_PER_MS] * 2 + [1000 * NS_PER_MS] * 4


def test_every_point_has_its_line() -> None:
    proposal = propose_software_assurance(replace(BEST, virtual=True, preemption=None))

    assert proposal.reasons == (
        "+1 unknown preemption model",
        "+1 isolated CPUs",
        "-1 virtual machine",
    )


def test_a_kernel_that_enforces_by_deadline_needs_no_group_budgets() -> None:
    facts = replace(BEST, group_budgets=False, deadline=True)

    assert propose_software_assurance(facts).value == 5
