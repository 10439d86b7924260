"""A place to run components in: a network and a mount namespace and a cgroup of their own.

A place is held open by one small process, its anchor. When the last process of a place ends, the
kernel takes the namespaces away, and with them every interface and every mount that was made there.
In its mount namespace a node sees directories of its own at the usual places (``/var/lib/kubelet``,
``/etc/cni``, ...), so a ``hostPath`` volume means on each node what it would on a machine.
"""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from localcluster.cgroups import CgroupTree
from localcluster.commands import run
from localcluster.errors import CommandError
from localcluster.processes import Supervisor

SYSTEM_GROUP = "system"
"""Below a place's cgroup: its daemons, beside kubelet's ``kubepods``."""

_ANCHOR_COMMAND = "sleep"
_ANCHOR_TIMEOUT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where components run; ``anchor`` is the pid that holds its namespaces."""

    name: str
    anchor: int
    cgroup: CgroupTree

    def inside(self, argv: Sequence[str | Path]) -> list[str | Path]:
        """The command line that runs ``argv`` in the place's namespaces."""
        return [*self.enter, *argv]

    @property
    def enter(self) -> tuple[str, ...]:
        """The prefix of a command line.

        Not ``ip netns exec``: it mounts a fresh /sys, in which there are no cgroups.
        """
        return ("nsenter", f"--target={self.anchor}", "--net", "--mount", "--wd=/", "--")

    def adopt(self, pid: int) -> None:
        """Put a process among the place's daemons."""
        self.cgroup.adopt(pid, below=SYSTEM_GROUP)


def anchor_name(place: str) -> str:
    """The name under which a place's anchor is supervised."""
    return f"{place}.place"


def anchor_script(mounts: Mapping[Path, Path]) -> str:
    """What the anchor does before it falls asleep: ``mounts`` maps a place's path to its source."""
    lines = ["mount --make-rshared /"]
    lines += [
        f"mount --bind {shlex.quote(str(source))} {shlex.quote(str(target))}"
        for target, source in mounts.items()
    ]
    return "\n".join([*lines, f"exec {_ANCHOR_COMMAND} infinity"])


def open_place(
    name: str,
    *,
    supervisor: Supervisor,
    cgroup: CgroupTree,
    cpus: str,
    mounts: Mapping[Path, Path],
) -> Place:
    """Make a place, or find it when it stands already."""
    cgroup.create(cpus=cpus, below=SYSTEM_GROUP)
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
    return Place(name=name, anchor=pid, cgroup=cgroup)


def configure(place: Place | None, *, links: Sequence[str], settings: Mapping[str, str]) -> None:
    """Run ``ip`` commands and write sysctls in a place (None: on the machine itself).

    ``links`` are commands without the word ``ip``; raises ``LocalClusterError`` with the first
    that the kernel refused.
    """
    prefix = () if place is None else place.enter
    run([*prefix, "ip", "-batch", "-"], stdin="\n".join(links) + "\n", timeout=30)
    for key, value in settings.items():
        path = "/proc/sys/" + key.replace(".", "/")
        run([*prefix, "sh", "-c", 'printf %s "$2" > "$1"', "sh", path, value], timeout=10)


def drop_link(place: Place | None, link: str) -> None:
    """Take an interface away, if there is one of this name."""
    prefix = () if place is None else place.enter
    with suppress(CommandError):
        run([*prefix, "ip", "link", "delete", "dev", link], timeout=10)


def has_link(place: Place | None, link: str) -> bool:
    """Whether an interface of this name exists there."""
    prefix = () if place is None else place.enter
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
