"""Rubicantes on one kernel, in any order: HRTICK_DL is never lost under one, nor left on."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from daemons.rubicante.mechanisms.timer.hrtick import FeatureState, HrtickFeature
from tests.fakes.rubicante.faults import FaultySystem, Points
from tests.fakes.rubicante.features import OFF, ON, feature, is_on, kernel_with, marks

NAMES = ("a", "b", "c")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("begin", "end")),
        st.sampled_from(NAMES),
        st.booleans(),
        st.integers(0, 3),
    ),
    max_size=16,
)


class KilledError(BaseException):
    """kill −9."""


def die(_what: str) -> None:
    raise KilledError


class Machine:
    """``alive`` are processes that have begun, by prefix, with what they found."""

    def __init__(self, features: str) -> None:
        self.kernel = kernel_with(features)
        self.alive: dict[str, FeatureState] = {}

    def begin(self, name: str, *, permitted: bool, at: int) -> None:
        self.alive.pop(name, None)
        one = self._feature(name, permitted=permitted, at=at)
        try:
            self.alive[name] = one.begin(in_use=False).state
        except KilledError:
            return

    def end(self, name: str, *, at: int) -> None:
        self.alive.pop(name, None)
        try:
            assert self._feature(name, permitted=True, at=at).put_back() == ""
        except KilledError:
            return

    def _feature(self, name: str, *, permitted: bool, at: int) -> HrtickFeature:
        system = FaultySystem(self.kernel, Points(at=at, fault=die))
        return feature(self.kernel, prefix=name, permitted=permitted, system=system)


def play(features: str, steps: Sequence[tuple[str, str, bool, int]]) -> Machine:
    """``at`` of a step is the write before which its process is killed; 0: none."""
    machine = Machine(features)
    for what, name, permitted, at in steps:
        if what == "begin":
            machine.begin(name, permitted=permitted, at=at)
        else:
            machine.end(name, at=at)
        counting = {n for n, state in machine.alive.items() if state is FeatureState.ON}
        assert is_on(machine.kernel) or not counting
    return machine


@given(STEPS)
def test_it_is_never_off_under_a_process_that_counts_on_it_and_off_after_the_last(
    steps: list[tuple[str, str, bool, int]],
) -> None:
    machine = play(OFF, steps)

    for name in NAMES:
        machine.end(name, at=0)

    assert not is_on(machine.kernel)
    assert marks(machine.kernel) == set()


@given(STEPS)
def test_what_somebody_else_had_switched_on_is_never_switched_off(
    steps: list[tuple[str, str, bool, int]],
) -> None:
    machine = play(ON, steps)

    for name in NAMES:
        machine.end(name, at=0)

    assert is_on(machine.kernel)
