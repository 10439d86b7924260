"""The record of a bench that is stopped and goes on, and what its table says."""

from pathlib import Path

from bench.malacoda.outcomes import Done, Outcome, append, read, table


def done(number: int, scene: str, guilty: tuple[str, ...], **outcome: object) -> Done:
    return Done(key=f"1/{number}/{scene}", scene=scene, guilty=guilty, outcome=Outcome(**outcome))  # type: ignore[arg-type]  # fields of it


RUNS = [
    done(0, "open", ("a",), alarmed=1.5, named="a", delay=0.5, verdict="named"),
    done(1, "open", ("a",), alarmed=2.5, named="b", delay=1.5, verdict="named"),
    done(2, "open", ("a",), alarmed=1.0, verdict="unclear"),
    done(3, "open", ("a",)),
    done(0, "host", (), alarmed=1.0, verdict="outside"),
]


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    assert read(path) == []
    for one in RUNS:
        append(path, one)

    assert read(path) == RUNS


def test_a_line_that_was_torn_is_left_out_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    append(path, RUNS[0])
    append(path, RUNS[1])
    path.write_bytes(path.read_bytes()[:-20])

    append(path, RUNS[2])

    assert read(path) == [RUNS[0], RUNS[2]]


def test_the_table_has_right_named_alarms_and_runs_by_scene_and_the_bars() -> None:
    lines = table(RUNS)

    assert "| open | 1 | 2 | 3 | 4 | 1.5 (2.5) | 1.0 (1.5) |" in lines
    assert "| host | 0 | 0 | 1 | 1 | 1.0 (1.0) | - |" in lines
    assert lines[-4:] == [
        "right of those named: 1 of 2 (50.0%)",
        "named of alarms with a culprit: 2 of 3 (66.7%)",
        "named within 1 s of the alarm: 1 of 2 (50.0%)",
        "named though no pod was guilty: 0 of 1 (0.0%)",
    ]


def test_without_runs_there_is_a_table_all_the_same() -> None:
    assert "right of those named: 0 of 0" in table([])
