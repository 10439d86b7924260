"""Outcomes of runs on disk, one JSON object a line, and what they come to.

A bench that is stopped goes on where it was: a run that has its line is not made again. A line that
was torn when the bench was killed is left out, and its run is made again.
"""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one run; ``named`` is empty where nobody was. Times are seconds.

    ``alarmed`` is from the stress on, ``delay`` from the alarm to the name.
    """

    alarmed: float | None = None
    named: str = ""
    delay: float | None = None
    verdict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A finished run of a scene. ``guilty`` are the pods that may be named; none: nobody may."""

    key: str
    scene: str
    guilty: tuple[str, ...]
    outcome: Outcome

    @property
    def right(self) -> bool:
        """Whether the pod that was named is guilty."""
        return self.outcome.named in self.guilty


def append(path: Path, done: Done) -> None:
    """Add a line; one that was torn before is ended first."""
    torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * torn + json.dumps(asdict(done)) + "\n")


def read(path: Path) -> list[Done]:
    """All whole lines."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            value: dict[str, Any] = json.loads(line)
            outcome = Outcome(**value.pop("outcome"))
            guilty = tuple(value.pop("guilty"))
            found.append(Done(guilty=guilty, outcome=outcome, **value))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return found


def table(runs: Iterable[Done]) -> list[str]:
    """A line for each scene, and one for all together."""
    by_scene: dict[str, list[Done]] = {}
    for one in runs:
        by_scene.setdefault(one.scene, []).append(one)
    head = ("scene", "right", "named", "alarms", "runs", "alarm after s", "named after alarm s")
    rows = [_row(scene, found) for scene, found in by_scene.items()]
    together = [one for found in by_scene.values() for one in found]
    return [_line(head), "|---" * len(head) + "|", *rows, _row("all", together), *_bars(together)]


def _row(scene: str, runs: Sequence[Done]) -> str:
    named = [one for one in runs if one.outcome.named]
    alarms = [one.outcome.alarmed for one in runs if one.outcome.alarmed is not None]
    delays = [one.outcome.delay for one in named if one.outcome.delay is not None]
    right = sum(one.right for one in named)
    return _line(
        (scene, right, len(named), len(alarms), len(runs), _spread(alarms), _spread(delays))
    )


def _bars(runs: Sequence[Done]) -> list[str]:
    """The figures of docs/assurance.md's bars: right of those named, named where there is one."""
    named = [one for one in runs if one.outcome.named]
    guilty = [one for one in runs if one.guilty and one.outcome.alarmed is not None]
    innocent = [one for one in runs if not one.guilty]
    soon = [one for one in named if one.outcome.delay is not None and one.outcome.delay <= 1]
    right, found = sum(one.right for one in named), sum(bool(one.outcome.named) for one in guilty)
    accused = sum(bool(one.outcome.named) for one in innocent)
    return [
        "",
        f"right of those named: {_share(right, len(named))}",
        f"named of alarms with a culprit: {_share(found, len(guilty))}",
        f"named within 1 s of the alarm: {_share(len(soon), len(named))}",
        f"named though no pod was guilty: {_share(accused, len(innocent))}",
    ]


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({part / whole:.1%})" if whole else "")


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} ({max(values):.1f})" if values else "-"


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
