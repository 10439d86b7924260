import io
import json
from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.errors import InvalidInputError
from workbench.calibrate import Calibration, calibration_json, format_calibration, interpreter
from workbench.calibration.factor import commands, compare, warnings
from workbench.calibration.machine import Identity
from workbench.calibration.speed import KERNELS, KERNELS_VERSION, Times, allowed_cores, measure
from workbench.calibration.speed_run import (
    SpeedRun,
    Spread,
    check_comparable,
    read_run,
    run_json,
    spread_of,
)
from workbench.progress import Counter

IDENTITY = Identity(
    model="A CPU",
    microarchitecture="intel-6-1-2",
    kinds=1,
    governor="performance",
    min_mhz=800,
    max_mhz=3600,
    boost=False,
    smt=None,
    virtual=False,
)


def run_of(
    scale: int = 1, identity: Identity = IDENTITY, steal: Fraction = Fraction(0)
) -> SpeedRun:
    return SpeedRun(
        identity=identity,
        interpreter=interpreter(),
        kernels=KERNELS_VERSION,
        repetitions=200,
        core=1,
        steal=steal,
        spreads=tuple(
            Spread(kernel=name, p5=900 * scale, median=1000 * scale, p99=1010 * scale, longest=9999)
            for name in KERNELS
        ),
    )


def test_percentiles_are_by_nearest_rank() -> None:
    spread = spread_of(Times(name="integer", sorted_ns=tuple(range(1, 101))))

    assert (spread.p5, spread.median, spread.p99, spread.longest) == (5, 50, 99, 100)


def test_the_factor_is_the_slow_end_of_the_spread_rounded_up() -> None:
    comparison = compare(run_of(2), run_of())

    assert [ratio.usual for ratio in comparison.ratios] == [2, 2, 2]
    assert {ratio.upper for ratio in comparison.ratios} == {Fraction(202, 100)}
    assert {ratio.least for ratio in comparison.ratios} == {Fraction(18, 10)}
    assert comparison.factor == Fraction(41, 20)


def test_the_slowest_kernel_decides() -> None:
    here = run_of()
    slow = replace(here.spreads[1], median=3000, p99=3000)
    mixed = replace(here, spreads=(here.spreads[0], slow, here.spreads[2]))

    assert compare(mixed, run_of()).factor == 3


def test_commands_set_the_label_and_the_factor() -> None:
    comparison = compare(run_of(2), run_of())

    assert commands("edge-1", run_of(2), comparison) == (
        "kubectl label node edge-1 k40s.io/platform=intel-6-1-2-performance-3600mhz --overwrite",
        "kubectl annotate node edge-1 k40s.io/platform-factor=41/20 --overwrite",
    )
    assert len(commands("edge-1", run_of(), None)) == 1


def test_a_saved_run_can_be_read_again() -> None:
    text = json.dumps(run_json(run_of(steal=Fraction(1, 3))))

    assert read_run(text, source="reference.json") == run_of(steal=Fraction(1, 3))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"v": 2}, "r.json at $.v: found 2, expected a whole number from 1 to 1"),
        ({"kind": "x"}, "r.json at $.kind: found 'x', expected \"platform-run\""),
        ({"kernels": 0}, "r.json at $.kernels: found 0"),
        ({"x": 0}, 'r.json at $.x: found the unknown field "x"'),
        ({"times_ns": {"integer": {"p5": 2, "median": 1, "p99": 3, "max": 4}}}, "integer.p5: fou"),
        ({"times_ns": {"1": {"p5": 1, "median": 1, "p99": 3, "max": 4}}}, "under a kernel's name"),
    ],
)
def test_a_saved_run_that_is_wrong_names_its_path(change: dict[str, object], error: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_run(json.dumps(run_json(run_of()) | change), source="r.json")

    assert error in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        (replace(run_of(), kernels=KERNELS_VERSION + 1), "the pieces of work are others"),
        (replace(run_of(), interpreter="cpython 3.99"), "another interpreter differs as much"),
        (replace(run_of(), spreads=run_of().spreads[:2]), "found other pieces of work"),
    ],
)
def test_runs_that_differ_in_more_than_the_machine_are_not_compared(
    reference: SpeedRun, error: str
) -> None:
    with pytest.raises(InvalidInputError, match=error):
        check_comparable(reference, interpreter=interpreter(), source="r.json")


def test_what_makes_figures_doubtful_is_said() -> None:
    doubtful = replace(IDENTITY, virtual=True, kinds=2, governor="powersave", boost=True)

    found = warnings(run_of(identity=doubtful, steal=Fraction(1, 20)))

    assert len(found) == 5
    assert warnings(run_of()) == ()
    assert any("5.0% of the time was stolen" in text for text in found)


def test_the_report_says_what_a_factor_is_no_ground_for() -> None:
    found = Calibration(run=run_of(2), comparison=compare(run_of(2), run_of()), node="edge-1")

    text = format_calibration(found)

    assert "frequency:         800 to 3600 MHz" in text
    assert "factor: 41/20, the greatest p99, rounded up" in text
    assert "no HI workload can rest on it" in text
    assert text.endswith("k40s.io/platform-factor=41/20 --overwrite")


def test_json_has_stable_fields() -> None:
    found = calibration_json(Calibration(run=run_of(), comparison=None, node="NODE"))

    assert {key for key in found if key != "run"} == {
        *("v", "kind", "ratios", "labels", "annotations", "warnings", "commands")
    }
    assert found["ratios"] is None
    assert found["labels"] == {"k40s.io/platform": "intel-6-1-2-performance-3600mhz"}


def test_progress_is_shown_on_a_terminal_only() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        counter = Counter("measuring", stream)
        for done in (1, 1, 2):
            counter(done, 2)

    assert terminal.getvalue() == "\rmeasuring  50 %\r\x1b[K"
    assert file.getvalue() == ""


def test_every_kernel_is_measured_as_often_as_asked() -> None:
    told: list[tuple[int, int]] = []

    times = measure(
        repetitions=2, core=allowed_cores()[0], progress=lambda done, of: told.append((done, of))
    )

    assert [each.name for each in times] == list(KERNELS)
    assert all(len(each.sorted_ns) == 2 for each in times)
    assert told == [(1, 2), (2, 2)]
