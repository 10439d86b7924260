"""Which claims fail the demo, and how they are shown."""

from demo.report import Check, broken, format_table

HELD = Check(claim="policy", expected="SCHED_DEADLINE", measured="SCHED_DEADLINE", held=True)
BROKEN = Check(claim="node", expected="edge-1", measured="edge-2", held=False)
LATE = Check(claim="deadlines", expected="kept", measured="11 misses", held=False, of_time=True)


def test_each_claim_that_does_not_hold_fails_the_demo() -> None:
    assert broken([HELD, BROKEN, LATE]) == [BROKEN, LATE]
    assert [line.split()[0] for line in format_table([HELD, BROKEN, LATE]).splitlines()[2:]] == [
        "ok",
        "FAIL",
        "FAIL",
    ]


def test_on_an_emulated_machine_a_claim_of_time_is_shown_as_late_and_fails_nothing() -> None:
    table = format_table([HELD, BROKEN, LATE], patience=10)

    assert broken([HELD, BROKEN, LATE], patience=10) == [BROKEN]
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["ok", "FAIL", "late"]
