"""Log of thread origins on disk, from which the next process restores threads.

One line for each thread, appended before its first change. Nothing is synced: the lines outlive the
process, and after a crash of the machine there is nothing to restore. Those of a former boot are
void.
"""

import json
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemons.rubicante.kernel.system import System, read_if_readable

log = logging.getLogger(__name__)

_BOOT_ID = "sys/kernel/random/boot_id"
_SPARE = 256
"""Lines of dead threads that are left in the file before it is rewritten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A thread's cgroup and CPUs before it was enforced; ``started`` identifies it."""

    tid: int
    started: int
    pod_uid: str
    cgroup: Path
    affinity: frozenset[int]


class OriginLog:
    """One file. A failed write is logged once, and does not prevent enforcement."""

    def __init__(self, *, system: System, proc: Path, file: Path) -> None:
        self._boot = read_if_readable(system, proc / _BOOT_ID) or ""
        self._file = file
        self._lines = 0
        self._failed = False

    def read(self) -> tuple[Origin, ...]:
        """All origins of this boot, the last one of each thread; a line that is cut off is none."""
        found: dict[int, Origin] = {}
        try:
            lines = self._file.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return ()
        except OSError as error:
            self._fail(error)
            return ()
        self._lines = sum(map(bool, lines))
        for origin in self._parse(lines):
            found[origin.tid] = origin
        return tuple(found.values())

    def note(self, origin: Origin) -> None:
        """Append one."""
        self._write(origin, mode="a")
        self._lines += 1

    def keep(self, living: Collection[Origin]) -> None:
        """Rewrite the file where most lines are of dead threads."""
        if self._lines <= 2 * len(living) + _SPARE:
            return
        self._write(*living, mode="w")
        self._lines = len(living)

    def remove(self) -> None:
        """Remove the file: all threads are restored."""
        try:
            self._file.unlink(missing_ok=True)
        except OSError as error:
            self._fail(error)
        self._lines = 0

    def _parse(self, lines: Collection[str]) -> Iterator[Origin]:
        for line in lines:
            try:
                field = json.loads(line)
                if field["boot"] == self._boot:
                    yield Origin(
                        tid=int(field["tid"]),
                        started=int(field["started"]),
                        pod_uid=str(field["pod"]),
                        cgroup=Path(field["cgroup"]),
                        affinity=frozenset(map(int, field["cpus"])),
                    )
            except (ValueError, TypeError, KeyError):
                continue

    def _write(self, *origins: Origin, mode: str) -> None:
        if not self._boot:
            return
        text = "".join(self._format(origin) for origin in origins)
        file = self._file if mode == "a" else self._file.with_name(self._file.name + ".new")
        try:
            with file.open(mode, encoding="utf-8") as stream:
                stream.write(text)
            if file != self._file:
                file.replace(self._file)
        except OSError as error:
            self._fail(error)

    def _format(self, origin: Origin) -> str:
        fields = {
            "boot": self._boot,
            "tid": origin.tid,
            "started": origin.started,
            "pod": origin.pod_uid,
            "cgroup": str(origin.cgroup),
            "cpus": sorted(origin.affinity),
        }
        return "\n" + json.dumps(fields) + "\n"  # the line before it may have been cut off

    def _fail(self, error: OSError) -> None:
        if not self._failed:
            log.warning(
                "thread origins not written", extra={"file": str(self._file), "cause": str(error)}
            )
        self._failed = True
