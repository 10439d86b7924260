"""A plan of slots as text, with a picture of the cycles."""

from collections.abc import Iterator, Sequence
from string import ascii_letters

from k40s.reasons import Reason
from k40s.tdma import utilization
from k40s.tdma.expression import Inexpressible
from k40s.tdma.model import Cycle, SlotRequest, Window
from workbench.analysis.slot_plan import Holder, SlotReport, Step
from workbench.table import as_share, as_time, format_table

COLUMNS = 64
MOST_ROWS = 16
_SYNC, _BACKUP, _FREE, _REST = "S", "B", ".", "#"


def format_report(report: SlotReport) -> str:
    """Network, requests, slots, picture, what is free, verdict."""
    parts = [_network(report)]
    if report.steps:
        parts.append("\n".join(_requests(report.steps)))
    if report.holders:
        parts.append(_slots(report))
    parts += ["\n".join(picture(report)), _free(report), _verdict(report)]
    return "\n\n".join(parts)


def _network(report: SlotReport) -> str:
    cycle = report.table.cycle
    words = [
        f"cycle {as_time(cycle.period)}",
        f"{cycle.bit_rate / 1_000_000:g} Mbit/s",
        f"MTU {cycle.mtu}",
        f"guard {as_time(cycle.guard)}",
        f"Sync {as_time(cycle.sync_time)} at 0",
        *(f"backup Sync at {as_time(offset)}" for offset in cycle.backup_offsets),
    ]
    return f"{report.name}: {', '.join(words)}"


def _requests(steps: Sequence[Step]) -> Iterator[str]:
    width = max(len(step.asked.name) for step in steps)
    for step in steps:
        asked = step.asked
        line = f"{asked.name:<{width}}  {_asked(asked.request)} on {asked.member.node}"
        if isinstance(step.outcome, Reason):
            yield f"{line}: refused, {step.outcome}: {step.outcome.text}"
        else:
            yield f"{line}: fits"
        yield from (f"    {note}" for note in _notes(step))


def _asked(request: SlotRequest) -> str:
    if request.payload is not None:
        return f"{request.payload} bytes every {as_time(request.period)}"
    return f"{as_time(request.length or 0)} every {as_time(request.period)}"


def _notes(step: Step) -> Iterator[str]:
    form = step.form
    if isinstance(form, Inexpressible):
        yield form.because
        if form.nearest is not None:
            yield f"nearest that the cycle can express: {_asked(form.nearest)}"
        return
    if form.period < step.asked.request.period:
        yield f"served every {as_time(form.period)}: the cycle has no period in between"
    if form.frames > 1:
        yield f"{form.frames} packets of {form.payload} bytes, because one holds no more"


def _slots(report: SlotReport) -> str:
    rows = [
        (
            letter,
            holder.name,
            holder.node,
            as_time(window.offset),
            as_time(window.length),
            f"{window.phase + 1}/{window.every}",
            str(window.payload),
            "reserved" if holder.reserved else "",
        )
        for letter, holder in zip(letters(report.holders), report.holders, strict=True)
        for window in holder.windows
    ]
    head = ("", "sender", "node", "offset", "kept free", "phasing", "bytes", "")
    return format_table(head, rows)


def letters(holders: Sequence[Holder]) -> list[str]:
    """A letter for each holder, in the picture; S and B are Syncs, and # is all the rest."""
    free = [letter for letter in ascii_letters if letter not in {_SYNC, _BACKUP}]
    return (free + [_REST] * len(holders))[: len(holders)]


def picture(report: SlotReport) -> Iterator[str]:
    """A row for each cycle, until everything repeats, and a column for each part of it."""
    cycle = report.table.cycle
    rows = min(report.cycles, MOST_ROWS)
    width = len(str(rows))
    head = f"0{as_time(cycle.period):>{COLUMNS - 1}}"
    yield f"cycle {'':{max(0, width - 5)}}{head}"
    for number in range(rows):
        yield f"{number + 1:>{max(width, 5)}} {_row(report, number)}"
    again = f"repeats after {report.cycles} cycles, {as_time(report.cycles * cycle.period)}"
    yield again if rows == report.cycles else f"{again}; the first {rows} are shown"


def _row(report: SlotReport, number: int) -> str:
    """In each column, who takes most of it."""
    cycle = report.table.cycle
    marks = [_SYNC, *(_BACKUP for _ in cycle.backup_offsets)]
    sent = list(zip(marks, cycle.reserved, strict=True))
    for letter, holder in zip(letters(report.holders), report.holders, strict=True):
        sent += [(letter, w) for w in holder.windows if number % w.every == w.phase]
    return "".join(_cell(cycle, sent, column) for column in range(COLUMNS))


def _cell(cycle: Cycle, sent: Sequence[tuple[str, Window]], column: int) -> str:
    start, end = (cycle.period * edge // COLUMNS for edge in (column, column + 1))
    shares = [(min(end, w.end) - max(start, w.offset), mark) for mark, w in sent]
    best = max(shares, key=lambda share: share[0])
    return best[1] if best[0] > 0 else _FREE


def _free(report: SlotReport) -> str:
    cycle = report.table.cycle
    used = utilization(report.table)
    lines = [f"reserved: {as_share(used)} of the time; the largest packet that still fits:"]
    for every, payload in report.free:
        what = "none" if payload is None else f"{payload} bytes"
        lines.append(f"  every {as_time(every * cycle.period)}: {what}")
    return "\n".join(lines)


def _verdict(report: SlotReport) -> str:
    refused = sum(isinstance(step.outcome, Reason) for step in report.steps)
    if not report.steps:
        return "no requests"
    return "everything fits" if not refused else f"{refused} of {len(report.steps)} do not fit"
