from fractions import Fraction
from pathlib import Path

import pytest

from localcluster.claims import Claim, ClaimRefusal, choose_claim
from localcluster.errors import LocalClusterError
from localcluster.registry import Registry, format_claims, parse_claims

CAPACITY = Fraction(45, 100)
DEMO = Claim(cluster="demo", index=0, real_time_cpus=(1,), general_cpus=(0,), rt_capacity=CAPACITY)


def choose(*held: Claim, cpus: int = 2, wanted: int = 1, **others: object) -> Claim | ClaimRefusal:
    taken = others.get("taken", ())
    assert isinstance(taken, tuple)
    capacity = others.get("capacity", CAPACITY)
    keep_one = bool(others.get("keep_one"))
    assert isinstance(capacity, Fraction)
    return choose_claim(
        cluster="test",
        held=held,
        machine_cpus=range(cpus),
        cpus_wanted=wanted,
        rt_capacity=capacity,
        taken_indexes=taken,
        keep_one=keep_one,
    )


def test_the_first_cluster_gets_the_last_cpu_and_the_first_index() -> None:
    claim = choose()

    assert isinstance(claim, Claim)
    assert claim.real_time_cpus == (1,)
    assert claim.general_cpus == (0,)
    assert claim.index == 0


def test_the_second_cluster_gets_what_the_first_left() -> None:
    claim = choose(DEMO)

    assert isinstance(claim, Claim)
    assert claim.real_time_cpus == (0,)
    assert claim.index == 1


def test_one_cpu_is_kept_for_everything_else_where_real_time_nodes_have_theirs_alone() -> None:
    first, second = choose(keep_one=True), choose(DEMO, cpus=1, keep_one=True)
    third = choose(DEMO, cpus=3, keep_one=True)
    only = choose(cpus=1, keep_one=True)

    assert isinstance(first, Claim)
    assert first.real_time_cpus == (1,)
    assert isinstance(second, ClaimRefusal)
    assert "free are 0, as one is for everything else" in second.text
    assert isinstance(third, Claim)
    assert (third.real_time_cpus, third.general_cpus) == ((2,), (0,))
    assert isinstance(only, Claim)
    assert (only.real_time_cpus, only.general_cpus) == ((0,), (0,))


def test_general_nodes_keep_off_every_real_time_cpu_when_there_are_enough() -> None:
    held = Claim(
        cluster="demo", index=0, real_time_cpus=(3,), general_cpus=(0, 1, 2), rt_capacity=CAPACITY
    )

    claim = choose(held, cpus=4)

    assert isinstance(claim, Claim)
    assert claim.real_time_cpus == (2,)
    assert claim.general_cpus == (0, 1)


def test_general_nodes_share_with_another_cluster_when_all_cpus_are_taken() -> None:
    claim = choose(DEMO)

    assert isinstance(claim, Claim)
    assert claim.general_cpus == (1,)


def test_on_one_cpu_both_kinds_of_node_share_it() -> None:
    claim = choose(cpus=1)

    assert isinstance(claim, Claim)
    assert claim.real_time_cpus == claim.general_cpus == (0,)


def test_a_cluster_without_a_cpu_left_is_told_who_holds_them() -> None:
    other = Claim(
        cluster="other",
        index=1,
        real_time_cpus=(0,),
        general_cpus=(1,),
        rt_capacity=Fraction(1, 100),
    )

    refusal = choose(DEMO, other)

    assert isinstance(refusal, ClaimRefusal)
    assert "'demo' holds CPU 1" in refusal.text
    assert "'other' holds CPU 0" in refusal.text
    assert "k40s local down --name demo" in refusal.text


def test_a_cluster_that_wants_more_cpus_than_there_are_is_refused_without_advice() -> None:
    refusal = choose(wanted=3)

    assert isinstance(refusal, ClaimRefusal)
    assert "no cluster holds any" in refusal.text
    assert "down" not in refusal.text


def test_the_real_time_bandwidth_of_the_machine_is_shared() -> None:
    refusal = choose(DEMO, cpus=4, capacity=Fraction(51, 100))

    assert isinstance(refusal, ClaimRefusal)
    assert "real-time bandwidth, free is 0.5" in refusal.text


def test_networks_that_the_machine_uses_are_left_out() -> None:
    claim = choose(taken=(0, 1))

    assert isinstance(claim, Claim)
    assert claim.index == 2


def test_a_cluster_without_a_network_left_is_refused() -> None:
    refusal = choose(taken=tuple(range(16)))

    assert isinstance(refusal, ClaimRefusal)
    assert "10.77" in refusal.text


def test_claims_survive_being_written() -> None:
    assert parse_claims(format_claims([DEMO])) == [DEMO]


@pytest.mark.parametrize("text", ["{", "[1]", '[{"cluster": "demo"}]'])
def test_a_damaged_registry_is_an_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text(text)

    with pytest.raises(LocalClusterError, match=r"claims\.json is damaged"):
        Registry(tmp_path).claims()


def test_a_claim_is_held_until_it_is_dropped(tmp_path: Path) -> None:
    registry = Registry(tmp_path)

    with registry.locked():
        registry.put(DEMO)
    held = Registry(tmp_path).claims()
    with registry.locked():
        registry.drop("demo")

    assert held == [DEMO]
    assert registry.claims() == []


def test_a_cleared_registry_leaves_no_file_and_can_be_locked_again(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    with registry.locked():
        registry.put(DEMO)
        registry.clear()
    left = list(tmp_path.iterdir())

    with registry.locked():
        registry.put(DEMO)

    assert left == []
    assert registry.claims() == [DEMO]
