"""A sandbox for components: a network and a mount namespace, and a cgroup.

A small process, the anchor, holds the namespaces. When the last process of a sandbox ends, the
kernel removes the namespaces, with every interface and mount made in them. In its mount namespace a
node has its own directories at the usual paths (``/var/lib/kubelet``, ``/etc/cni``, ...), so a
``hostPath`` volume means on each node what it would on a machine.
"""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import CommandError
from localcluster.host.cgroups import Binding, CgroupTree
from localcluster.host.commands import run
from localcluster.host.processes import Supervisor

SYSTEM_GROUP = "system"
"""Below a sandbox's cgroup: its daemons, beside kubelet's ``kubepods``."""

_ANCHOR_COMMAND = "sleep"
_ANCHOR_TIMEOUT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A sandbox; ``anchor`` is the pid that holds its namespaces.

    ``shared`` is why its CPUs are not its own alone, where that was asked for.
    """

    name: str
    anchor: int
    cgroup: CgroupTree
    shared: str = ""

    def inside(self, argv: Sequence[str | Path]) -> list[str | Path]:
        """The command line that runs ``argv`` in the sandbox's namespaces."""
        return [*self.enter, *argv]

    @property
    def enter(self) -> tuple[str, ...]:
        """The prefix of a command line.

        Not ``ip netns exec``: it mounts a fresh /sys, in which there are no cgroups.
        """
        return ("nsenter", f"--target={self.anchor}", "--net", "--mount", "--wd=/", "--")

    def adopt(self, pid: int) -> None:
        """Move a process into the cgroup of the sandbox's daemons."""
        self.cgroup.adopt(pid, below=SYSTEM_GROUP)


def anchor_name(sandbox: str) -> str:
    """The supervised name of a sandbox's anchor; it is in the process records on disk."""
    return f"{sandbox}.place"


def anchor_script(mounts: Mapping[Path, Path]) -> str:
    """The anchor's script: ``mounts`` maps a path in the sandbox to its source."""
    lines = ["mount --make-rshared /"]
    lines += [
        f"mount --bind {shlex.quote(str(source))} {shlex.quote(str(target))}"
        for target, source in mounts.items()
    ]
    return "\n".join([*lines, f"exec {_ANCHOR_COMMAND} infinity"])


def open_sandbox(
    name: str,
    *,
    supervisor: Supervisor,
    cgroup: CgroupTree,
    cpus: str,
    mounts: Mapping[Path, Path],
    binding: Binding = Binding.LOOSE,
) -> Sandbox:
    """Make a sandbox, or find the existing one."""
    shared = cgroup.create(cpus=cpus, below=SYSTEM_GROUP, binding=binding)
    component = anchor_name(name)
    pid = supervisor.start(
        component,
        [
            *("unshare", "--net", "--mount", "--propagation", "private", "--"),
            *("sh", "-euc", anchor_script(mounts)),
        ],
        adopt=lambda pid: cgroup.adopt(pid, below=SYSTEM_GROUP),
    )
    supervisor.wait_ready(
        component, lambda: _command(pid) == _ANCHOR_COMMAND, timeout=_ANCHOR_TIMEOUT
    )
    return Sandbox(name=name, anchor=pid, cgroup=cgroup, shared=shared)


def configure(
    sandbox: Sandbox | None, *, links: Sequence[str], settings: Mapping[str, str]
) -> None:
    """Run ``ip`` commands and write sysctls in a sandbox (None: on the machine itself).

    ``links`` are commands without the word ``ip``; raises ``LocalClusterError`` with the first
    that the kernel refused.
    """
    prefix = () if sandbox is None else sandbox.enter
    run([*prefix, "ip", "-batch", "-"], stdin="\n".join(links) + "\n", timeout=30)
    for key, value in settings.items():
        path = "/proc/sys/" + key.replace(".", "/")
        run([*prefix, "sh", "-c", 'printf %s "$2" > "$1"', "sh", path, value], timeout=10)


def drop_link(sandbox: Sandbox | None, link: str) -> None:
    """Remove the interface of this name, if there is one."""
    prefix = () if sandbox is None else sandbox.enter
    with suppress(CommandError):
        run([*prefix, "ip", "link", "delete", "dev", link], timeout=10)


def has_link(sandbox: Sandbox | None, link: str) -> bool:
    """Whether an interface of this name exists there."""
    prefix = () if sandbox is None else sandbox.enter
    try:
        run([*prefix, "ip", "link", "show", "dev", link], timeout=10)
    except CommandError:
        return False
    return True


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
