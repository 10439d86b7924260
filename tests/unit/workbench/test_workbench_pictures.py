import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from workbench import asking
from workbench.curves import SupplyPicture
from workbench.draw_gantt import chosen_window
from workbench.plotting import PlotError, check_path, plot_gantt, plot_supply
from workbench.problem import read_problem
from workbench.running import run_problem
from workbench.scenario import Behaviour
from workbench.simulating import SimulationReport

EXAMPLES = Path("docs/examples/tasksets")
CELL = (EXAMPLES / "cell.yaml").read_text()
BARE = """
tasks:
  - {name: fast, wcet: 3ms, period: 7ms}
  - {name: slow, wcet: 9ms, period: 20ms}
"""


def report_of(text: str, behaviour: Behaviour, seconds: int = 2) -> SimulationReport:
    return run_problem(
        read_problem(text, source="set.yaml"),
        behaviour,
        Nanoseconds(seconds * NS_PER_S),
        tick=None,
        progress=lambda _done, _of: None,
    ).report


def picture_of(text: str, test: str | None = None, server: str | None = None) -> SupplyPicture:
    question = asking.read_question(text, source="set.yaml", node=None)
    return asking.picture(question, asking.answer(question, test), server)


def test_a_chart_shows_every_task_throttling_and_refills(tmp_path: Path) -> None:
    path = tmp_path / "gantt.svg"

    plot_gantt(report_of(CELL, Behaviour(hogs=True)), path, window=None)

    text = path.read_text()
    for word in (
        *("arm/control/servo", "arm/control/plan", "camera/grab/frame", "arm/control/(hog)"),
        *("core 0, tick 4 ms", "time [ms]", "arrives", "deadline", "missed", "refill"),
        "throttled",
    ):
        assert word in text


def test_a_chart_has_a_lane_for_threads_of_sched_deadline(tmp_path: Path) -> None:
    path = tmp_path / "gantt.svg"
    text = (EXAMPLES / "two-mechanisms.yaml").read_text()

    plot_gantt(report_of(text, Behaviour()), path, window=100 * NS_PER_MS)

    assert "core 0, SCHED_DEADLINE, tick 4 ms" in path.read_text()
    assert "drive/loop/current" in path.read_text()


def test_the_same_picture_is_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    program = "from cli.main import main; main()"
    for seed in ("1", "2"):
        words = [sys.executable, "-c", program, "simulate", str(EXAMPLES / "cell.yaml"), "--hogs"]
        subprocess.run(
            [*words, "--for", "300ms", "--plot", str(tmp_path / f"{seed}.svg")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=False,
            timeout=120,
            stdout=subprocess.DEVNULL,
        )

    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "1.svg").read_bytes()


def test_a_chart_as_png_is_wide_enough_to_read(tmp_path: Path) -> None:
    path = tmp_path / "gantt.PNG"

    plot_gantt(report_of(BARE, Behaviour()), path, window=None)

    head = path.read_bytes()[:24]
    width, height = struct.unpack(">II", head[16:24])
    assert head.startswith(b"\x89PNG")
    assert (width, height > 300) == (1440, True)


def test_the_window_is_around_the_first_miss() -> None:
    overloaded = report_of(BARE.replace("9ms", "14ms"), Behaviour(together=True))
    fine = report_of(BARE, Behaviour(together=True))

    assert chosen_window(fine, None) == (0, 40 * NS_PER_MS)
    start, end = chosen_window(overloaded, 100 * NS_PER_MS)
    first = min(at for lane in overloaded.lanes for _, _, at in lane.missed)
    assert start <= first <= end


def test_the_window_is_never_longer_than_the_run() -> None:
    report = report_of(BARE, Behaviour(), 1)

    assert chosen_window(report, 50 * NS_PER_S) == (0, NS_PER_S)


def test_demand_meets_supply_where_the_analysis_says(tmp_path: Path) -> None:
    picture = picture_of(CELL)
    path = tmp_path / "supply.svg"

    plot_supply(picture, path)

    for curve in picture.demands:
        assert curve.response is not None
        at = max(value for time, value in picture.supply if time <= curve.response)
        assert at == pytest.approx(curve.demand_then, rel=0.01)
    text = path.read_text()
    assert "demand: plan, met within" in text
    assert "least supply of the server" in text
    assert "as a periodic resource" in text
    assert "length of the interval [ms]" in text


@pytest.mark.parametrize(
    ("text", "test", "supply", "met"),
    [
        (BARE, "fp", "the core", [3, 18]),
        (BARE, "edf", "the core", [None]),
        (BARE + "server: {budget: 1ms, period: 7ms}", "ds", "what the server leaves", [5, None]),
        (BARE + "server: {budget: 6ms, period: 7ms}", "prm", "least supply", [5, None]),
        (
            BARE + "server: {budget: 6ms, period: 7ms}\nscheduling: edf",
            "prm",
            "least supply",
            [None],
        ),
        (
            BARE + "server: {budget: 6ms, period: 7ms}",
            "hierarchical",
            "least supply of the server",
            [4, None],
        ),
    ],
)
def test_every_analysis_has_a_picture(
    text: str, test: str, supply: str, met: list[int | None]
) -> None:
    picture = picture_of(text, test)

    assert picture.supply_label == supply
    found = [c.response if c.response is None else c.response // NS_PER_MS for c in picture.demands]
    assert found == met
    assert picture.supply == tuple(sorted(picture.supply))


def test_a_demand_that_is_not_met_is_drawn_as_such(tmp_path: Path) -> None:
    path = tmp_path / "supply.svg"

    plot_supply(picture_of(BARE.replace("9ms", "14ms")), path)

    assert "demand: slow, not met in time" in path.read_text()
    assert "demand: fast, met within 3 ms" in path.read_text()


def test_a_server_can_be_chosen() -> None:
    assert picture_of(CELL, server="camera/grab").title.startswith("camera/grab: ")
    with pytest.raises(asking.UnsuitableTestError, match="no server x was admitted; there are"):
        picture_of(CELL, server="x")


def test_a_file_that_is_no_picture_is_refused() -> None:
    with pytest.raises(PlotError, match=r"gantt\.pdf: a picture's name ends in \.png or \.svg"):
        check_path(Path("gantt.pdf"))


def test_without_matplotlib_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("workbench.draw_supply", "workbench.draw_gantt", "workbench.paper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(PlotError, match=r"pip install 'k40s\[plot\]'"):
        plot_supply(picture_of(BARE), tmp_path / "x.svg")
