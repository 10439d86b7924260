"""The recording of a terminal: every line is in it, at its time, and the last screen stays."""

import re
import xml.etree.ElementTree as ET

from demo.recording import COLUMNS, LONGEST_PAUSE, ROWS, Line, Recorder, draw

_SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    """The rows of the screen, without the title."""
    return [one.text or "" for one in ET.fromstring(svg).iter(f"{_SVG}text")][1:]  # noqa: S314  # ours


def delays(svg: str) -> list[float]:
    return [float(one) for one in re.findall(r"animation-delay: ([\d.]+)s", svg)]


def test_what_is_said_is_printed_and_kept_line_by_line() -> None:
    printed: list[str] = []
    times = iter((1.0, 4.0))
    recorder = Recorder(say=printed.append, clock=lambda: next(times))

    recorder.say("first")
    recorder.say("\nsecond")

    assert printed == ["first", "\nsecond"]
    assert [(line.at, line.text) for line in recorder.lines] == [
        (1.0, "first"),
        (4, ""),
        (4, "second"),
    ]


def test_every_line_is_in_the_picture_as_it_was_printed() -> None:
    lines = ["(a) a < b & c", '    allocation: {"v":2}', "ok  claim   x"]

    svg = draw([Line(at=0, text=text) for text in lines], title="demo")

    assert texts(svg) == lines


def test_a_long_line_goes_on_below_with_all_of_its_words() -> None:
    words = [f"word-{index}" for index in range(60)]

    rows = texts(draw([Line(at=0, text="    " + " ".join(words))], title="demo"))

    assert len(rows) > 1
    assert all(len(row) <= COLUMNS for row in rows)
    assert " ".join(rows).split() == words


def test_waiting_is_shortened_and_the_order_kept() -> None:
    lines = [Line(at=at, text=str(at)) for at in (100.0, 100.5, 400.0)]

    shown = delays(draw(lines, title="demo"))

    assert shown[1] - shown[0] == 0.5
    assert shown[2] - shown[1] == LONGEST_PAUSE


def test_the_picture_without_animation_is_the_last_screen() -> None:
    svg = draw([Line(at=row, text=str(row)) for row in range(ROWS + 3)], title="demo")
    group = ET.fromstring(svg).find(f".//{_SVG}g")  # noqa: S314  # ours

    assert group is not None
    assert group.get("transform") == "translate(0 -48)"


def test_the_picture_asks_no_other_host() -> None:
    svg = draw([Line(at=0, text="x")], title="demo")

    assert re.findall(r"https?://[^\"]*", svg) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in svg


def test_nothing_said_is_an_empty_screen() -> None:
    assert texts(draw([], title="demo")) == []
