"""The kernel's preemption model: how soon a thread inside a system call gives up its CPU."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum, unique
from pathlib import Path

from daemons.rubicante.kernel.system import System, read_if_readable

REALTIME = Path("/sys/kernel/realtime")
"""Holds 1 on a kernel with PREEMPT_RT; most others lack the file."""
_CHOSEN = re.compile(r"\((\w+)\)")
"""``sched/preempt`` lists the models, the one in force in parentheses."""


@unique
class Preemption(StrEnum):
    """By the kernel's own names; UNKNOWN where nothing tells."""

    RT = "rt"
    FULL = "full"
    LAZY = "lazy"
    VOLUNTARY = "voluntary"
    NONE = "none"
    UNKNOWN = "unknown"


_NAMES = frozenset(model.value for model in Preemption)


_BY_OPTION = {
    "CONFIG_PREEMPT_RT=y": Preemption.RT,
    "CONFIG_PREEMPT_LAZY=y": Preemption.LAZY,
    "CONFIG_PREEMPT=y": Preemption.FULL,
    "CONFIG_PREEMPT_VOLUNTARY=y": Preemption.VOLUNTARY,
    "CONFIG_PREEMPT_NONE=y": Preemption.NONE,
}
_BY_FLAVOUR = {"PREEMPT_LAZY": Preemption.LAZY, "PREEMPT": Preemption.FULL}


def read_preemption(
    system: System, *, proc: Path, debug: Path, options: AbstractSet[str]
) -> Preemption:
    """The model in force: the kernel's flag, its choice in debugfs, its command line, its build.

    ``debug`` is the scheduler's directory in debugfs, which need not be readable. ``options`` are
    those of the build: they never change and take long to read, and this is asked every second.
    """
    return judge_preemption(
        realtime=read_if_readable(system, REALTIME) == "1",
        banner=read_if_readable(system, proc / "sys/kernel/version") or "",
        chosen=chosen_model(read_if_readable(system, debug / "preempt") or ""),
        command_line=(read_if_readable(system, proc / "cmdline") or "").split(),
        options=options,
    )


def chosen_model(text: str) -> str:
    """The model in force by the text of ``sched/preempt``; empty where it names none."""
    found = _CHOSEN.search(text)
    return "" if found is None else found[1]


def judge_preemption(
    *,
    realtime: bool,
    banner: str,
    chosen: str,
    command_line: Sequence[str],
    options: AbstractSet[str],
) -> Preemption:
    """The model, by what the kernel shows of it.

    ``banner`` is the text of ``uname -v``, ``options`` are lines such as ``CONFIG_PREEMPT=y``;
    empty where they are not known. Without both, the kernel may be a dynamic one.
    """
    flavour = banner.split()
    if realtime or "PREEMPT_RT" in flavour or "CONFIG_PREEMPT_RT=y" in options:
        return Preemption.RT
    is_dynamic = "PREEMPT_DYNAMIC" in flavour or "CONFIG_PREEMPT_DYNAMIC=y" in options
    if not chosen and (is_dynamic or not (flavour or options)):
        asked = [word for word in command_line if word.startswith("preempt=")]
        chosen = asked[-1].removeprefix("preempt=") if asked else ""
    if chosen in _NAMES:
        return Preemption(chosen)
    built = [model for option, model in _BY_OPTION.items() if option in options]
    built += [model for word, model in _BY_FLAVOUR.items() if word in flavour]
    return built[0] if built else Preemption.UNKNOWN
