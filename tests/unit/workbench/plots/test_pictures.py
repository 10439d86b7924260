import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from workbench import analyze
from workbench.inputs.task_set_file import read_task_set_file
from workbench.plots.chart import MAX_ALL_ROWS, MAX_ROWS, chart_of, chosen_window
from workbench.plots.curves import SupplyPicture
from workbench.plots.files import PlotError, check_path, plot_gantt, plot_supply
from workbench.simulate import simulate_task_set
from workbench.simulation.run import SimulationReport
from workbench.simulation.scenario import Behaviour
from workbench.simulation.trace import MAX_MARKS, Trace

EXAMPLES = Path("docs/examples/tasksets")
CELL = (EXAMPLES / "cell.yaml").read_text()
BARE = """
tasks:
  - {name: fast, wcet: 3ms, period: 7ms}
  - {name: slow, wcet: 9ms, period: 20ms}
"""


def report_of(text: str, behaviour: Behaviour, seconds: int = 2) -> SimulationReport:
    return simulate_task_set(
        read_task_set_file(text, source="set.yaml"),
        behaviour,
        Nanoseconds(seconds * NS_PER_S),
        tick=None,
        progress=lambda _done, _of: None,
    ).report


def picture_of(text: str, test: str | None = None, server: str | None = None) -> SupplyPicture:
    question = analyze.read_input(text, source="set.yaml", node=None)
    return analyze.supply_picture(question, analyze.analyze_input(question, test), server)


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
            timeout=600,
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
    first = min(at for panel in overloaded.panels for _, _, at in panel.missed)
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

    assert "demand: slow, not met by 20ms" in path.read_text()
    assert "demand: fast, met within 3ms of 7ms" in path.read_text()


def many(count: int) -> str:
    wcet = 5000 // count
    return yaml.safe_dump(
        {
            "tasks": [
                {"name": f"t{n}", "wcet": f"{wcet}us", "period": f"{10 + n}ms"}
                for n in range(count)
            ]
        }
    )


WIDE = """
tasks:
  - {name: short, wcet: 1ms, period: 10ms}
  - {name: long, wcet: 3s, period: 10s}
"""


def svg_of_supply(text: str, path: Path, test: str | None = None) -> str:
    plot_supply(picture_of(text, test), path)
    return path.read_text()


def test_a_picture_says_which_tasks_it_leaves_out(tmp_path: Path) -> None:
    text = svg_of_supply(many(60), tmp_path / "supply.svg")

    assert text.count("demand: t") == 6
    assert "6 of 60 tasks are drawn, those nearest to their deadlines" in text
    assert "tasks are drawn" not in svg_of_supply(many(6), tmp_path / "all.svg")


def test_a_task_that_may_be_late_is_drawn_whatever_its_rank() -> None:
    overloaded = yaml.safe_load(many(20))
    overloaded["tasks"][1]["deadline"] = "300us"
    overloaded["tasks"].append({"name": "hog", "wcet": "9ms", "period": "9ms"})
    picture = picture_of(yaml.safe_dump(overloaded))

    late = [curve.label for curve in picture.demands if curve.response is None]

    assert len(late) == len(picture.demands) == 6


def test_tasks_of_very_different_periods_are_seen_together(tmp_path: Path) -> None:
    text = svg_of_supply(WIDE, tmp_path / "wide.svg")

    assert "length of the interval [ms], logarithmic" in text
    assert "demand: short, met within 1ms of 10ms" in text
    assert "logarithmic" not in svg_of_supply(BARE, tmp_path / "even.svg")


def test_demands_are_sampled_on_every_scale() -> None:
    (_, slow) = picture_of(WIDE).demands
    edges = [edge for edge, _ in slow.points]

    assert {10 * NS_PER_MS, 20 * NS_PER_MS, 30 * NS_PER_MS} <= set(edges)
    assert len(edges) < 2000


def test_deadlines_are_named_in_the_legend_where_no_line_crosses_them(tmp_path: Path) -> None:
    near = BARE.replace("period: 20ms", "period: 20ms, deadline: 19ms") + (
        "  - {name: other, wcet: 1ms, period: 20ms}\n"
    )

    text = svg_of_supply(near, tmp_path / "near.svg")

    assert "met within 18ms of 19ms" in text
    assert "of 20ms" in text
    assert "deadline of" not in text


def test_edf_says_up_to_which_interval_it_is_drawn(tmp_path: Path) -> None:
    text = svg_of_supply(WIDE + "scheduling: edf\n", tmp_path / "edf.svg")

    assert "intervals up to 6s are drawn" in text


def test_a_name_is_drawn_as_it_is_and_not_too_long(tmp_path: Path) -> None:
    name = "$x_1$ " + "y" * 57
    named = BARE.replace("fast", f'"{name}"')

    text = svg_of_supply(named, tmp_path / "supply.svg")
    plot_gantt(report_of(named, Behaviour()), tmp_path / "gantt.svg", window=None)

    assert "demand: $x_1$ yyyyyyyyy…yyyyyyyyyyyyyyyy, met within" in text
    assert "$x_1$ yyyy" in (tmp_path / "gantt.svg").read_text()


def test_a_chart_says_how_many_tasks_it_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "gantt.svg"

    plot_gantt(report_of(many(60), Behaviour(), 1), path, window=None)

    text = path.read_text()
    assert "core 0, 40 of 60 tasks are drawn, the most urgent and late ones" in text


def test_rows_of_late_tasks_come_before_more_urgent_ones() -> None:
    crowded = yaml.safe_load(many(60))
    crowded["tasks"].append({"name": "late", "wcet": "79ms", "period": "80ms"})

    (panel,) = chart_of(report_of(yaml.safe_dump(crowded), Behaviour()), None).panels

    assert len(panel.rows) == MAX_ROWS
    assert panel.rows[-1].task == "late"


def test_a_chart_has_no_more_rows_than_a_picture_can_hold() -> None:
    pods = [
        {
            "name": f"p{n}",
            "criticality": "LOW",
            "enforcement": "deadline",
            "containers": [
                {"name": "c", "tasks": [{"name": "t", "period": "1s", "wcet": "600ms"}]}
            ],
        }
        for n in range(130)
    ]
    text = yaml.safe_dump({"node": {"cores": 130, "deadline": True}, "pods": pods})

    report = report_of(text, Behaviour(), 1)
    chart = chart_of(report, None)

    assert len(report.panels) > len(chart.panels)
    assert sum(len(panel.rows) for panel in chart.panels) <= MAX_ALL_ROWS
    hidden = len(report.panels) - len(chart.panels)
    assert chart.note == f"{hidden} of {len(report.panels)} cores are not drawn"


def test_an_empty_row_says_why_it_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "gantt.svg"

    plot_gantt(report_of(WIDE, Behaviour(seed=1)), path, window=100 * NS_PER_MS)

    assert "nothing of it in this time (period 10s)" in path.read_text()


def test_the_time_shown_has_the_arrival_of_the_task_that_comes_last() -> None:
    report = report_of(WIDE.replace("10s", "1s").replace("3s", "300ms"), Behaviour(seed=3))
    first = min(m.at for m in report.panels[0].trace.releases if m.task == "long")

    start, end = chosen_window(report, 50 * NS_PER_MS)

    assert start <= first < end


def test_a_rogue_alone_can_be_drawn(tmp_path: Path) -> None:
    text = (EXAMPLES / "two-mechanisms.yaml").read_text()
    alone = yaml.safe_load(text)
    alone["pods"] = [pod for pod in alone["pods"] if pod["name"] == "drive"]
    behaviour = Behaviour(
        rogues=tuple(f"drive/{c['name']}" for c in alone["pods"][0]["containers"])
    )

    plot_gantt(report_of(yaml.safe_dump(alone), behaviour), tmp_path / "rogue.svg", window=None)

    assert "runs" in (tmp_path / "rogue.svg").read_text()


def test_a_trace_that_is_full_says_from_when_on_it_lacks_something() -> None:
    trace = Trace()
    for at in range(MAX_MARKS + 5):
        trace.released("", "t", at)

    assert len(trace.releases) == MAX_MARKS
    assert trace.cut_at == MAX_MARKS


def test_a_server_can_be_chosen() -> None:
    assert picture_of(CELL, server="camera/grab").title.startswith("camera/grab: ")
    with pytest.raises(analyze.UnsuitableTestError, match="no server x was admitted; there are"):
        picture_of(CELL, server="x")


def test_a_file_that_is_no_picture_is_refused() -> None:
    with pytest.raises(PlotError, match=r"gantt\.pdf: a picture's name ends in \.png or \.svg"):
        check_path(Path("gantt.pdf"))


def test_without_matplotlib_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    for name in (
        "workbench.plots.draw_supply",
        "workbench.plots.draw_gantt",
        "workbench.plots.style",
    ):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(PlotError, match=r"pip install 'k40s\[plot\]'"):
        plot_supply(picture_of(BARE), tmp_path / "x.svg")
