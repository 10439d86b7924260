import pytest

from k40s.assurance.gamma import GammaPolicy, GammaState, follow
from k40s.units import NS_PER_S, Nanoseconds

POLICY = GammaPolicy(
    lower_step=4,
    lower_after=Nanoseconds(2 * NS_PER_S),
    lower_every=Nanoseconds(3 * NS_PER_S),
    raise_step=3,
    raise_after=Nanoseconds(4 * NS_PER_S),
    raise_every=Nanoseconds(2 * NS_PER_S),
)


def run(hazards: str, state: GammaState | None = None) -> list[int]:
    """γ after each second; "x" is a hazard, "." calm."""
    gamma = state or GammaState()
    values = []
    for second, hazard in enumerate(hazards):
        gamma = follow(gamma, POLICY, at=Nanoseconds(second * NS_PER_S), hazardous=hazard == "x")
        values.append(gamma.value)
    return values


def test_a_hazard_that_lasts_lowers_it_step_by_step_to_zero() -> None:
    assert run("xxxxxxxxxxxx") == [10, 10, 6, 6, 6, 2, 2, 2, 0, 0, 0, 0]


def test_a_short_hazard_does_not() -> None:
    assert run("xx..xx..") == [10] * 8


def test_calm_that_lasts_raises_it_step_by_step_to_ten() -> None:
    assert run("." * 14, GammaState(value=2, hazardous=True)) == [
        *([2] * 4),
        *(5, 5, 8, 8, 10, 10, 10, 10, 10, 10),
    ]


def test_a_new_hazard_ends_the_rise() -> None:
    state = GammaState(value=2, hazardous=True)

    assert run("......x" + "......", state) == [2, 2, 2, 2, 5, 5, 5, 5, 5, 5, 5, 8, 8]


def test_after_a_restart_it_rises_as_after_a_hazard() -> None:
    assert run(".....", GammaState(value=0)) == [0, 0, 0, 0, 3]


@pytest.mark.parametrize(
    "change",
    [
        {"lower_step": 0},
        {"raise_step": 11},
        {"lower_after": -1},
        {"raise_after": -1},
        {"lower_every": 0},
        {"raise_every": 0},
    ],
)
def test_a_policy_that_cannot_be_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="γ"):
        GammaPolicy(**change)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("value", [-1, 11])
def test_it_lies_in_0_to_10(value: int) -> None:
    with pytest.raises(ValueError, match="0 to 10"):
        GammaState(value=value)
