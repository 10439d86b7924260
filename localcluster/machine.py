"""What a cluster changes on the machine itself: remembered before, put back after the last one."""

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
class _Memory:
    boot: str
    sysctls: dict[str, str] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)


class Machine:
    """Remembers in ``file``; all calls are made under the registry's lock."""

    def __init__(self, file: Path, *, proc: Path = Path("/proc")) -> None:
        self._file = file
        self._proc = proc

    def remember(self) -> None:
        """Note the settings before the first cluster changes them."""
        memory = self._read()
        if memory is None:
            values = {key: self._path(key).read_text().strip() for key in SYSCTLS if self._has(key)}
            self._write(_Memory(boot=self._boot(), sysctls=values))

    def make_directories(self, wanted: Iterable[Path]) -> None:
        """Make directories to mount a node's own on; those that were missing are noted."""
        memory = self._read() or _Memory(boot=self._boot())
        for path in wanted:
            missing = [path, *path.parents]
            made = [str(one) for one in missing if not one.exists()]
            path.mkdir(parents=True, exist_ok=True)
            memory.directories = [*made, *memory.directories]
        self._write(memory)

    def restore(self) -> None:
        """Put back settings and take away directories, when nobody else has filled them."""
        memory = self._read()
        if memory is None:
            return
        if memory.boot == self._boot():
            for key, value in memory.sysctls.items():
                if self._path(key).read_text().strip() != value:
                    self._path(key).write_text(value)
        remove_empty(memory.directories)
        self._file.unlink(missing_ok=True)

    def _read(self) -> _Memory | None:
        try:
            return _Memory(**json.loads(self._file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def _write(self, memory: _Memory) -> None:
        text = {
            "boot": memory.boot,
            "sysctls": memory.sysctls,
            "directories": memory.directories,
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
    """Take away those that are empty, children before parents."""
    for directory in sorted(directories, key=len, reverse=True):
        with suppress(OSError):
            Path(directory).rmdir()


def online_cpus() -> tuple[int, ...]:
    """The CPUs that this process may use."""
    return tuple(sorted(os.sched_getaffinity(0)))


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
