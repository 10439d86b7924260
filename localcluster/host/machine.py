"""What a cluster changes of the machine: saved before, restored after the last cluster.

Settings of kubelet's, the controllers that cgroup v2 hands down at its top, a kernel module, and
directories on which the nodes' own are mounted.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from localcluster.errors import CommandError, LocalClusterError
from localcluster.host.commands import run
from localcluster.host.unified import Controllers

SYSCTLS = (
    "vm.overcommit_memory",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)
"""Settings of the whole machine that kubelet changes when it starts."""


BRIDGE_FILTER = "br_netfilter"
"""The module without which a pod does not reach a Service whose pod is on the same bridge."""
_BRIDGE_SETTINGS = tuple(f"net.bridge.bridge-nf-call-{name}" for name in ("iptables", "ip6tables"))
_OFF = "0"


@dataclass(slots=True)
class _Saved:
    boot: str
    sysctls: dict[str, str] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)
    controllers: list[str] = field(default_factory=list)
    cgroups: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)


class Machine:
    """Saves in ``file``; all calls are made under the registry's lock.

    ``controllers`` are those of a machine of cgroup v2. ``command`` runs a command of the machine.
    """

    def __init__(
        self,
        file: Path,
        *,
        proc: Path = Path("/proc"),
        controllers: Controllers | None = None,
        command: Callable[[Sequence[str]], str] = run,
    ) -> None:
        self._file = file
        self._proc = proc
        self._controllers = controllers
        self._command = command

    def prepare(self, directories: Iterable[Path], *, is_first: bool) -> None:
        """Save, and make what a cluster needs; after a failure for the first all is as it was."""
        self.save()
        try:
            self.filter_bridges()
        except LocalClusterError:
            if is_first:
                self.restore()
            raise
        self.make_directories(directories)

    def save(self) -> None:
        """Save the settings before the first cluster changes them."""
        saved = self._read()
        if saved is None:
            values = {key: self._path(key).read_text().strip() for key in SYSCTLS if self._has(key)}
            saved = _Saved(boot=self._boot(), sysctls=values)
            if self._controllers is not None:
                saved.controllers = sorted(self._controllers.missing())
                saved.cgroups = sorted(self._controllers.groups())
            self._write(saved)

    def filter_bridges(self) -> None:
        """Load ``BRIDGE_FILTER`` where it is missing, without an effect on the machine's bridges.

        Raises ``LocalClusterError`` where there is no such module.
        """
        if self._has(_BRIDGE_SETTINGS[0]):
            return
        saved = self._read() or _Saved(boot=self._boot())
        saved.modules = [BRIDGE_FILTER]
        self._write(saved)
        try:
            self._command(["modprobe", BRIDGE_FILTER])
        except CommandError as error:
            raise LocalClusterError(
                f"pods reach Services on their own node only with {BRIDGE_FILTER}: {error}"
            ) from error
        for key in self._present_settings():
            self._path(key).write_text(_OFF)

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
            if self._controllers is not None:
                self._controllers.take_back(saved.controllers, known=frozenset(saved.cgroups))
            self._unload(saved.modules)
        remove_empty(saved.directories)
        self._file.unlink(missing_ok=True)

    def _unload(self, modules: Iterable[str]) -> None:
        """Remove modules that a cluster loaded, unless somebody has come to use them."""
        in_use = any(self._path(k).read_text().strip() != _OFF for k in self._present_settings())
        for module in () if in_use else modules:
            with suppress(CommandError):
                self._command(["modprobe", "--remove", module])

    def _present_settings(self) -> list[str]:
        return [key for key in _BRIDGE_SETTINGS if self._has(key)]

    def _read(self) -> _Saved | None:
        try:
            return _Saved(**json.loads(self._file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def _write(self, saved: _Saved) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(asdict(saved), indent=1), encoding="utf-8")
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
