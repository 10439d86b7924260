"""Machine-wide settings that a cluster changes: saved before, restored after the last cluster."""

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

SYSCTLS = (
    "vm.overcommit_memory",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)
"""Settings of the whole machine that kubelet changes when it starts."""


@dataclass(slots=True)
class _Saved:
    boot: str
    sysctls: dict[str, str] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)


class Machine:
    """Saves in ``file``; all calls are made under the registry's lock."""

    def __init__(self, file: Path, *, proc: Path = Path("/proc")) -> None:
        self._file = file
        self._proc = proc

    def save(self) -> None:
        """Save the settings before the first cluster changes them."""
        saved = self._read()
        if saved is None:
            values = {key: self._path(key).read_text().strip() for key in SYSCTLS if self._has(key)}
            self._write(_Saved(boot=self._boot(), sysctls=values))

    def make_directories(self, wanted: Iterable[Path]) -> None:
        """Make the mount points of a node's directories, and record those that were missing."""
        saved = self._read() or _Saved(boot=self._boot())
        for path in wanted:
            missing = [path, *path.parents]
            made = [str(one) for one in missing if not one.exists()]
            path.mkdir(parents=True, exist_ok=True)
            saved.directories = [*made, *saved.directories]
        self._write(saved)

    def restore(self) -> None:
        """Restore the settings, and remove the directories made if they are empty."""
        saved = self._read()
        if saved is None:
            return
        if saved.boot == self._boot():
            for key, value in saved.sysctls.items():
                if self._path(key).read_text().strip() != value:
                    self._path(key).write_text(value)
        remove_empty(saved.directories)
        self._file.unlink(missing_ok=True)

    def _read(self) -> _Saved | None:
        try:
            return _Saved(**json.loads(self._file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def _write(self, saved: _Saved) -> None:
        text = {
            "boot": saved.boot,
            "sysctls": saved.sysctls,
            "directories": saved.directories,
        }
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(text, indent=1), encoding="utf-8")
        part.replace(self._file)

    def _path(self, key: str) -> Path:
        return self._proc / "sys" / key.replace(".", "/")

    def _has(self, key: str) -> bool:
        return self._path(key).exists()

    def _boot(self) -> str:
        return (self._proc / "sys/kernel/random/boot_id").read_text().strip()


def remove_empty(directories: Sequence[str]) -> None:
    """Remove empty directories, children before parents."""
    for directory in sorted(directories, key=len, reverse=True):
        with suppress(OSError):
            Path(directory).rmdir()


def online_cpus() -> tuple[int, ...]:
    """The CPUs that this process may use."""
    return tuple(sorted(os.sched_getaffinity(0)))


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
