import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.malacoda.actuator.protocol import (
    Answer,
    Held,
    Request,
    Result,
    Verb,
    format_answer,
    format_request,
    parse_answer,
    parse_request,
)
from k40s.assurance.response.acts import Step
from k40s.errors import InvalidInputError
from tests.fakes.malacoda.kernel import uid

POD = "default/noisy"
GOOD = {"do": "throttle", "uid": uid(1), "pod": POD, "quota": "1/10"}


@pytest.mark.parametrize(
    "request_",
    [
        Request(verb=Verb.KEEP),
        Request(verb=Verb.THROTTLE, uid=uid(1), pod=POD, quota=Fraction(1, 10)),
        Request(verb=Verb.UNTHROTTLE, uid=uid(1), pod=POD),
        Request(verb=Verb.FREEZE, uid=uid(1), pod=POD),
        Request(verb=Verb.THAW, uid=uid(1), pod=POD),
        Request(verb=Verb.MOVE, uid=uid(1), pod=POD, off=(0, 2, 3, 4)),
        Request(verb=Verb.MOVE_BACK, uid=uid(1), pod=POD),
        Request(verb=Verb.KILL, uid=uid(1), pod=POD),
    ],
)
def test_a_request_is_read_as_it_was_written(request_: Request) -> None:
    line = format_request(request_)

    assert line.count(b"\n") == 1
    assert parse_request(line.rstrip()) == request_


def test_an_answer_is_read_as_it_was_written() -> None:
    answer = Answer(
        result=Result.REFUSED,
        reason="holds",
        text="no",
        held=(Held(uid=uid(2), pod=POD, steps=(Step.QUOTA, Step.FREEZE)),),
        overwritten=3,
    )

    assert parse_answer(format_answer(answer).rstrip()) == answer


def test_a_text_of_the_kernel_stays_one_line() -> None:
    line = format_answer(Answer(result=Result.FAILED, text="a\nb\x00" + "c" * 500))

    assert line.count(b"\n") == 1
    assert parse_answer(line.rstrip()).text.startswith("a?b?c")


@pytest.mark.parametrize(
    ("change", "trouble"),
    [
        ({"do": "stop"}, r'\$\.do: found \'stop\', expected "throttle" or'),
        ({"do": None}, r"\$\.do: found null"),
        ({"uid": "../../etc"}, r"\$\.uid: found .* a pod's UID in lower case"),
        ({"uid": uid(1).upper().replace("1", "A")}, r"\$\.uid"),
        ({"uid": uid(1) + "\n"}, r"\$\.uid"),
        ({"uid": f"{uid(1)}/{uid(2)}"}, r"\$\.uid"),
        ({"uid": "d" * 32}, r"\$\.uid"),
        ({"uid": 7}, r"\$\.uid"),
        ({"pod": "default/noisy\n"}, r"\$\.pod"),
        ({"pod": "noisy"}, "namespace and name"),
        ({"quota": "0"}, "1/100 to 1 CPUs"),
        ({"quota": "2"}, "1/100 to 1 CPUs"),
        ({"quota": 0.1}, "a fraction as text"),
        ({"path": "/sys/fs/cgroup"}, "the unknown field"),
    ],
)
def test_a_bad_request_is_refused_with_the_place(change: dict[str, object], trouble: str) -> None:
    line = json.dumps({**GOOD, **change}).encode()

    with pytest.raises(InvalidInputError, match=trouble):
        parse_request(line)


@pytest.mark.parametrize("missing", ["do", "uid", "pod", "quota"])
def test_every_field_of_an_act_is_needed(missing: str) -> None:
    fields = {name: value for name, value in GOOD.items() if name != missing}

    with pytest.raises(InvalidInputError):
        parse_request(json.dumps(fields).encode())


def test_only_throttling_has_a_quota() -> None:
    with pytest.raises(InvalidInputError, match="unknown field"):
        parse_request(json.dumps({**GOOD, "do": "freeze"}).encode())
    with pytest.raises(InvalidInputError, match="unknown field"):
        parse_request(json.dumps({"do": "keep", "uid": uid(1)}).encode())


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(line: bytes) -> None:
    for parse in (parse_request, parse_answer):
        try:
            parse(line)
        except InvalidInputError:
            continue


@pytest.mark.parametrize("off", ["", "1-0", "a", "0\n", [0], "99999"])
def test_a_move_names_the_cpus_that_the_pod_leaves_and_nothing_else(off: object) -> None:
    fields = {"do": "move", "uid": uid(1), "pod": POD, "off": off}

    with pytest.raises(InvalidInputError, match="list of CPUs"):
        parse_request(json.dumps(fields).encode())
