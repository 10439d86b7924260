import io
import json
import logging
import threading

import pytest

from k40s.runtime.log import JsonFormatter, configure
from k40s.runtime.loop import run_every, start_thread
from k40s.units import NS_PER_S, Nanoseconds


class Scene(threading.Event):
    """A stop event and a clock in one: waiting moves the clock, and nobody waits."""

    def __init__(self, *, waits: int) -> None:
        super().__init__()
        self.now = 0
        self.waited: list[float] = []
        self._waits = waits

    def clock(self) -> int:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waited.append(timeout)
        self.now += round(timeout * NS_PER_S)
        if len(self.waited) == self._waits:
            self.set()
        return self.is_set()


def test_ticks_without_drift() -> None:
    scene = Scene(waits=3)
    ticks = []

    def tick() -> None:
        ticks.append(scene.now)
        scene.now += NS_PER_S // 4

    run_every(period=Nanoseconds(NS_PER_S), tick=tick, stop=scene, clock=scene.clock)

    assert ticks == [0, NS_PER_S, 2 * NS_PER_S]
    assert scene.waited == [0.75, 0.75, 0.75]


def test_a_period_that_changes_is_asked_for_after_each_tick() -> None:
    scene = Scene(waits=3)
    periods = [Nanoseconds(NS_PER_S), Nanoseconds(2 * NS_PER_S), Nanoseconds(NS_PER_S)]

    run_every(period=lambda: periods.pop(0), tick=lambda: None, stop=scene, clock=scene.clock)

    assert scene.waited == [1, 2, 1]


def test_skips_the_ticks_that_it_missed() -> None:
    scene = Scene(waits=2)
    ticks = []

    def tick() -> None:
        ticks.append(scene.now)
        scene.now += 5 * NS_PER_S // 2

    run_every(period=Nanoseconds(NS_PER_S), tick=tick, stop=scene, clock=scene.clock)

    assert ticks == [0, 3 * NS_PER_S]


def test_outlives_a_tick_that_fails_and_counts_it(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(waits=2)
    errors: list[int] = []

    def tick() -> None:
        raise RuntimeError("a bug")

    run_every(
        period=Nanoseconds(NS_PER_S),
        tick=tick,
        stop=scene,
        on_error=lambda: errors.append(scene.now),
        clock=scene.clock,
    )

    assert errors == [0, NS_PER_S]
    assert [record.message for record in caplog.records] == ["tick failed"] * 2


def test_does_not_tick_after_stop() -> None:
    stop = threading.Event()
    stop.set()
    ticks: list[None] = []

    run_every(period=Nanoseconds(1), tick=lambda: ticks.append(None), stop=stop)

    assert ticks == []


def test_runs_a_thread_under_its_name() -> None:
    names: list[str] = []

    start_thread(lambda: names.append(threading.current_thread().name), name="reconcile").join(
        timeout=120
    )

    assert names == ["reconcile"]


def record(**extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "k40s.x", "levelname": "INFO", "msg": "pod refused"})
    made.created = 1_700_000_000.25
    vars(made).update(extra)
    return made


def test_writes_one_json_object_with_its_fields() -> None:
    line = JsonFormatter().format(record(pod="uid-1", reason="cpu.no-bandwidth", path=object))

    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "level": "info",
        "logger": "k40s.x",
        "message": "pod refused",
        "pod": "uid-1",
        "reason": "cpu.no-bandwidth",
        "path": "<class 'object'>",
    }


def test_keeps_its_own_fields_from_an_extra_of_the_same_name() -> None:
    line = JsonFormatter().format(record(level=7))

    assert (json.loads(line)["level"], json.loads(line)["level_"]) == ("info", 7)


def test_keeps_a_traceback_on_the_one_line() -> None:
    error = RuntimeError("a bug")

    line = JsonFormatter().format(record(exc_info=(RuntimeError, error, None)))

    assert "\n" not in line
    assert json.loads(line)["error"].endswith("RuntimeError: a bug")


@pytest.fixture
def root_logger() -> object:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield root
    root.handlers, root.level = handlers, level


@pytest.mark.usefixtures("root_logger")
def test_configures_all_loggers_at_a_level() -> None:
    stream = io.StringIO()

    configure("warning", stream)
    logging.getLogger("any").info("not this")
    logging.getLogger("any").warning("this")

    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["this"]


@pytest.mark.usefixtures("root_logger")
def test_refuses_an_unknown_level() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure("loud", io.StringIO())
