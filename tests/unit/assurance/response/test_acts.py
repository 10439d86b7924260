import json
from fractions import Fraction

import pytest

from k40s.assurance.response.acts import (
    Act,
    ActKind,
    Cause,
    Hold,
    Reason,
    Step,
    do_step,
    format_holds,
    parse_holds,
    undo_steps,
)
from k40s.errors import InvalidInputError

REASON = Reason(cause=Cause.NAMED)
HOLD = Hold(uid="a", pod="default/a", steps=(Step.QUOTA, Step.FREEZE), reached=Step.FREEZE)


def test_steps_go_from_the_mildest_to_the_last_resort() -> None:
    assert sorted(Step, key=lambda step: step.rank) == [
        Step.QUOTA,
        Step.MOVE,
        Step.FREEZE,
        Step.EVICT,
        Step.KILL,
    ]
    assert [step for step in Step if step.reversible] == [Step.QUOTA, Step.MOVE, Step.FREEZE]


def test_every_kind_of_act_does_or_undoes_one_step() -> None:
    done = {do_step(s, uid="a", pod="a", quota=Fraction(1, 10), reason=REASON) for s in Step}
    everything = Hold(
        uid="a", pod="a", steps=(Step.QUOTA, Step.MOVE, Step.FREEZE), reached=Step.FREEZE
    )
    undone = undo_steps(everything, REASON)

    assert {act.kind for act in (*done, *undone)} == set(ActKind)
    assert {act.step for act in done} == set(Step)
    assert not any(act.undoes for act in done)
    assert all(act.undoes for act in undone)


def test_a_hold_is_undone_in_reverse_order() -> None:
    assert [act.kind for act in undo_steps(HOLD, REASON)] == [ActKind.THAW, ActKind.UNTHROTTLE]


def test_holds_are_read_as_they_were_written() -> None:
    text = json.dumps(format_holds([HOLD]))

    assert parse_holds(json.loads(text), source="holds") == (HOLD,)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"steps": ["evict"]}, "$[0].steps"),
        ({"steps": ["quota", "quota"]}, "$[0].steps"),
        ({"steps": ["stop"]}, "$[0].steps[0]"),
        ({"reached": "end"}, "$[0].reached"),
        ({"uid": ""}, "$[0].uid"),
        ({"helped": 1}, "$[0].helped"),
        ({"releases": -1}, "$[0].releases"),
        ({"more": 1}, "$[0].more"),
    ],
)
def test_holds_that_cannot_be_read_say_where(change: dict[str, object], path: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_holds([format_holds([HOLD])[0] | change], source="holds")

    assert caught.value.path == path


@pytest.mark.parametrize("value", [None, {}, [1], [{}], format_holds([HOLD, HOLD])])
def test_nor_can_other_values(value: object) -> None:
    with pytest.raises(InvalidInputError):
        parse_holds(value, source="holds")


@pytest.mark.parametrize(
    ("kind", "quota"), [(ActKind.THROTTLE, None), (ActKind.FREEZE, Fraction(1, 10))]
)
def test_a_quota_belongs_to_throttling_alone(kind: ActKind, quota: Fraction | None) -> None:
    with pytest.raises(ValueError, match="quota"):
        Act(kind=kind, uid="a", pod="a", reason=REASON, quota=quota)


@pytest.mark.parametrize(
    ("uid", "steps", "releases"),
    [
        ("", (Step.QUOTA,), 0),
        ("a", (Step.EVICT,), 0),
        ("a", (Step.QUOTA, Step.QUOTA), 0),
        ("a", (), -1),
    ],
)
def test_a_hold_that_cannot_be_is_refused(uid: str, steps: tuple[Step, ...], releases: int) -> None:
    with pytest.raises(ValueError, match="hold"):
        Hold(uid=uid, pod="a", steps=steps, reached=Step.QUOTA, releases=releases)
