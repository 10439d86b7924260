"""An installed test that hangs, dies or talks nonsense harms neither the daemon nor other pods."""

import json
import os
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from k40s.admission_plugins.isolated import LONGEST_PAUSE, SHORTEST_PAUSE, IsolatedTest
from k40s.admission_plugins.protocol import (
    format_outcome,
    format_question,
    parse_outcome,
    parse_question,
)
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    Packing,
    PodDemand,
    Task,
)
from k40s.cpu.outcome import Admission, Rejection
from k40s.criticality import Criticality
from k40s.errors import InvalidInputError
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.installed_example import install_test

MS = NS_PER_MS
NODE = CpuNode(
    cores=(1, 2),
    tick=Nanoseconds(4 * MS),
    node_capacity=Fraction(19, 10),
    core_capacity=Fraction(9, 10),
    platform="xeon",
    platform_factor=Fraction(3, 2),
    shared_groups=True,
    deadline=DeadlineOffer(tick=Nanoseconds(0), capacity=Fraction(7, 8), domain=Domain.PARTITIONED),
    packing=Packing.WORST_FIT,
)
ODD = """
import json, os, signal, time
from k40s.cpu.outcome import Rejection
from k40s.reasons import Reason

def admit(node, demand):
    what = demand.pod_uid
    if what == "hang":
        time.sleep(3600)
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    while what.startswith("/") and not os.path.exists(what):
        time.sleep(0.01)
    if what == "garble":
        for file in range(3, 16):
            try:
                os.write(file, b'{"reservations": 1, "granted": []}\\n')
            except OSError:
                pass
    print("what a test prints")
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    figures = {name: fields[name].strip() for name in ("CapEff", "CapPrm", "NoNewPrivs", "Pid")}
    figures["environment"] = sorted(os.environ)
    return Rejection(reason=Reason.CPU_NOT_SCHEDULABLE, detail=json.dumps(figures))
"""


def demand(uid: str = "calm", mechanism: Mechanism | None = None) -> PodDemand:
    task = Task(
        name="control",
        wcet=Nanoseconds(20 * MS),
        period=Nanoseconds(100 * MS),
        deadline=Nanoseconds(80 * MS),
        priority=3,
        core=1 if mechanism is None else None,
    )
    return PodDemand(
        pod_uid=uid,
        criticality=Criticality.HI,
        containers=(ContainerDemand(container="main", tasks=(task,)),),
        mechanism=mechanism,
    )


class Clock:
    """Stands still but for what the test adds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def start(
    place: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, patience_ms: int = 20_000
) -> IsolatedTest:
    install_test(place, "odd.1", "k40s_odd:admit", ODD)
    monkeypatch.syspath_prepend(str(place))
    test = IsolatedTest("odd.1", patience=Nanoseconds(patience_ms * MS), clock=clock)
    assert test.start() == ""
    return test


def detail(outcome: Admission | Rejection, reason: Reason = Reason.CPU_TEST_FAILED) -> str:
    assert isinstance(outcome, Rejection)
    assert outcome.reason is reason
    return outcome.detail


def test_a_test_that_never_returns_is_killed_and_the_pod_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    test = start(tmp_path, monkeypatch, clock, patience_ms=100)
    for _ in range(600):  # a busy machine may take longer than that patience for any answer
        first = test(NODE, demand())
        if isinstance(first, Rejection) and first.reason is Reason.CPU_NOT_SCHEDULABLE:
            break
        clock.now += LONGEST_PAUSE
    pid = json.loads(detail(first, Reason.CPU_NOT_SCHEDULABLE))["Pid"]

    late, after = test(NODE, demand("hang")), test(NODE, demand())

    assert detail(late) == "odd.1: it took longer than 100ms"
    assert detail(after) == "odd.1: it failed a moment ago, and is started again later"
    assert not Path(f"/proc/{pid}").exists()
    test.close()


def test_a_test_that_dies_or_talks_nonsense_is_started_again_after_a_growing_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    test = start(tmp_path, monkeypatch, clock)

    died = test(NODE, demand("die"))
    clock.now += SHORTEST_PAUSE
    garbled = test(NODE, demand("garble"))
    clock.now += SHORTEST_PAUSE
    early = test(NODE, demand())
    clock.now += LONGEST_PAUSE
    well = test(NODE, demand())

    assert detail(died) == "odd.1: it ended: status -9"
    assert "not understood" in detail(garbled)
    assert "started again later" in detail(early)
    assert "CapEff" in detail(well, Reason.CPU_NOT_SCHEDULABLE)
    test.close()


def test_who_waited_for_others_does_not_blame_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, end = Clock(), tmp_path / "end"
    test = start(tmp_path, monkeypatch, clock)
    outcomes = []

    def call(uid: str) -> None:
        outcomes.append(test(NODE, demand(uid)))

    slow, next_one = (threading.Thread(target=call, args=(uid,)) for uid in (str(end), "calm"))
    slow.start()
    slow.join(0.1)
    next_one.start()
    next_one.join(0.1)
    clock.now += 20
    end.touch()
    slow.join()
    next_one.join()
    test.close()

    assert [detail(o, Reason.CPU_NOT_SCHEDULABLE)[:1] for o in outcomes] == ["{", "{"]


def test_a_test_has_no_capabilities_and_none_of_the_daemons_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K40S_SECRET", "x")
    test = start(tmp_path, monkeypatch, Clock())

    found = json.loads(detail(test(NODE, demand()), Reason.CPU_NOT_SCHEDULABLE))
    test.close()

    assert {int(found[name], 16) for name in ("CapEff", "CapPrm")} == {0}
    assert found["NoNewPrivs"] == "1"
    assert "K40S_SECRET" not in found["environment"]
    assert int(found["Pid"]) != os.getpid()


NESTED = replace(NODE, shared_groups=False, ancestor_period=Nanoseconds(1000 * MS))


@pytest.mark.parametrize("node", [NODE, NESTED, replace(NODE, deadline=None)])
def test_a_node_reaches_the_test_as_it_is(node: CpuNode) -> None:
    assert parse_question(format_question(node, demand())) == (node, demand())


def test_questions_and_answers_survive_the_way_there_and_back() -> None:
    first = admit(NODE, demand("one"))
    assert isinstance(first, Admission)
    second = admit(first.node, demand("two", Mechanism.DEADLINE))
    assert isinstance(second, Admission)
    refusal = Rejection(reason=Reason.CPU_NO_BANDWIDTH, detail="2/3 of\n1/2 is ½ too much")

    asked = parse_question(format_question(second.node, demand("three", Mechanism.DEADLINE)))

    assert asked == (second.node, demand("three", Mechanism.DEADLINE))
    assert parse_outcome(format_outcome(second), first.node) == second
    assert parse_outcome(format_outcome(refusal), NODE) == refusal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{}",
        '{"reason":"no","detail":""}',
        '{"reason":"cpu.no-bandwidth"}',
        '{"reservations":[{}],"granted":[]}',
        '{"reservations":[],"granted":[],"more":1}',
        "[" * 100_000,
    ],
)
def test_what_is_no_answer_is_malformed(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_outcome(text, NODE)
