"""A terminal's recording as a picture: an SVG that plays, and whose rest is the last screen.

It needs no script and no font of its own, so it plays wherever a picture is shown. Waiting is
shortened; what was printed is not changed.
"""

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

COLUMNS = 156
ROWS = 34
LONGEST_PAUSE = 1.2
"""Seconds that a pause takes at most when it is played."""
_LEAST_PAUSE = 0.05
_LINE_HEIGHT, _CHARACTER_WIDTH, _MARGIN, _BAR = 16, 7.25, 14, 26
_STYLES = (
    (re.compile(r"\([a-z]\) "), "chapter"),
    (re.compile(r"\$ "), "command"),
    (re.compile(r"ok "), "held"),
    (re.compile(r"FAIL "), "failed"),
    (re.compile(r"    (event|kubectl apply) of |    kubectl apply "), "refused"),
)
_CSS = """
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
  white-space: pre; fill: #d4d4d8 }
.chapter, .command { font-weight: bold; fill: #fafafa } .held { fill: #86efac }
.failed { fill: #fca5a5 } .refused { fill: #fcd34d }
@media (prefers-reduced-motion: no-preference) {
  .line { animation: appear 1ms both } @keyframes appear { from { opacity: 0 } to { opacity: 1 } }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A printed text, and when: seconds from any origin. ``style`` is a class of the SVG's."""

    at: float
    text: str
    style: str = ""


class Recorder:
    """Passes on what is said, and remembers it. ``clock`` is in seconds."""

    def __init__(self, *, say: Callable[[str], object], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self.lines: list[Line] = []

    def say(self, text: str) -> None:
        """Print a text of one or several lines."""
        self._say(text)
        at = self._clock()
        self.lines += [Line(at=at, text=line) for line in text.split("\n")]


def draw(lines: Iterable[Line], *, title: str) -> str:
    """The SVG of what was printed, in order."""
    screen = _wrap(_played(lines))
    width = round(COLUMNS * _CHARACTER_WIDTH) + 2 * _MARGIN
    height = _BAR + ROWS * _LINE_HEIGHT + _MARGIN
    shown = "\n".join(_text(row, line) for row, line in enumerate(screen))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' xml:space="preserve"'
        f' width="{width}" height="{height}" role="img" aria-label="{escape(title)}">\n'
        f"<style>{_CSS}{_scrolling(screen)}}}</style>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="#18181b"/>\n'
        f'<text x="{_MARGIN}" y="18">{escape(title)}</text>\n'
        f'<svg y="{_BAR}" width="{width}" height="{ROWS * _LINE_HEIGHT}">\n'
        f'<g class="screen" transform="translate(0 {_offset(len(screen))})">\n{shown}\n</g>\n'
        "</svg>\n</svg>\n"
    )


def _played(lines: Iterable[Line]) -> list[Line]:
    """The same lines, from time 0 on, with pauses between a least and a longest one."""
    played: list[Line] = []
    shown, former = 0.0, None
    for line in lines:
        pause = 0.0 if former is None else line.at - former
        shown += min(max(pause, _LEAST_PAUSE), LONGEST_PAUSE)
        former = line.at
        played.append(Line(at=round(shown, 2), text=line.text))
    return played


def _wrap(lines: Sequence[Line]) -> list[Line]:
    """Lines of at most ``COLUMNS`` characters; the rest of a longer one is indented further."""
    wrapped: list[Line] = []
    for line in lines:
        indent = " " * (len(line.text) - len(line.text.lstrip()) + 4)
        parts = textwrap.wrap(
            line.text,
            COLUMNS,
            subsequent_indent=indent,
            drop_whitespace=False,
            replace_whitespace=False,
            break_on_hyphens=False,
        )
        style = next((name for pattern, name in _STYLES if pattern.match(line.text)), "")
        wrapped += [Line(at=line.at, text=part, style=style) for part in parts or [""]]
    return wrapped


def _text(row: int, line: Line) -> str:
    names = f"line {line.style}".strip()
    y = (row + 1) * _LINE_HEIGHT - 4
    delay = f"animation-delay: {line.at}s"
    return f'<text x="{_MARGIN}" y="{y}" class="{names}" style="{delay}">{escape(line.text)}</text>'


def _offset(rows: int) -> int:
    """By how much the screen is moved when so many rows are printed, in pixels; never down."""
    return -max(0, rows - ROWS) * _LINE_HEIGHT


def _scrolling(screen: Sequence[Line]) -> str:
    """Keyframes that move the screen whenever a row is printed below its end."""
    if not screen:
        return ""
    whole = max(screen[-1].at, _LEAST_PAUSE)
    steps = {}
    for count, line in enumerate(screen, start=1):
        steps[round(100 * line.at / whole, 2)] = _offset(count)
    frames = " ".join(
        f"{percent}% {{ transform: translate(0, {offset}px) }}"
        for percent, offset in ({0.0: 0} | steps).items()
    )
    return (
        f"  .screen {{ animation: scroll {whole}s step-end both }}\n"
        f"  @keyframes scroll {{ {frames} }}\n"
    )
