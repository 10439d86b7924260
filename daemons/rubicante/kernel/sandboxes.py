"""Recognizes virtual machines and kernels in user space among the processes of a pod.

The programs of a container that runs in one are no threads of this kernel: it sees the monitor and
the threads of virtual CPUs (Kata Containers), or the sentry (gVisor). They are known by names:
those of vCPU threads are given by QEMU (``-name debug-threads=on``, which Kata sets), Cloud
Hypervisor, Firecracker, StratoVirt and Dragonball, which runs inside Kata's shim.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from daemons.rubicante.kernel.threads import Thread, Threads

_MONITOR = re.compile(r"qemu-(?:system|kvm|lite).*|cloud-hyperviso.*|firecracker.*|stratovirt.*")
_VCPU = re.compile(r"CPU \d+/[A-Z].*|(?:fc_|db_)?vcpu[ _-]?\d+", re.ASCII)
_SHIM = re.compile(r"containerd-shim.*|kata-.*|shim-.*|dragonball.*")
"""A monitor may be a part of the shim."""
_SENTRY = re.compile(r"exe|runsc.*")
"""Name of a thread that may be a sentry's: gVisor executes itself by ``/proc/self/exe``. A runtime
that is about to start a container bears it as well."""
_SENTRY_COMMANDS = ("runsc-sandbox", "runsc-gofer")
_LOOKS_LIKE_IT = re.compile("|".join(form.pattern for form in (_MONITOR, _VCPU, _SENTRY)), re.ASCII)
_LOOKED_AT = 64


class SandboxKind(StrEnum):
    """What stands between a container's programs and this kernel."""

    VIRTUAL_MACHINE = "virtual machine"
    USER_KERNEL = "kernel in user space"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A sandbox by one of its processes, with the vCPU threads that were seen."""

    kind: SandboxKind
    name: str
    pid: int
    vcpus: int = 0

    @property
    def text(self) -> str:
        """Its process, for people."""
        vcpus = f", {self.vcpus} vCPU{'s' if self.vcpus > 1 else ''}" if self.vcpus else ""
        return f"{self.name!a} (PID {self.pid}{vcpus})"


def is_monitor(name: str) -> bool:
    """Whether a program of this name runs a virtual machine."""
    return _MONITOR.fullmatch(name) is not None


def find_sandbox(threads: Threads, present: Iterable[Thread]) -> Sandbox | None:
    """The sandbox that some of these threads belong to, if any; a virtual machine goes first.

    Only threads whose name is one of a sandbox's are looked at, and 64 of them at most: a program
    may give such names to ten thousand.
    """
    found = [thread for thread in present if _LOOKS_LIKE_IT.fullmatch(thread.name)]
    vcpus = [thread for thread in found if _VCPU.fullmatch(thread.name)]
    for thread in [one for one in found if not _SENTRY.fullmatch(one.name)][:_LOOKED_AT]:
        leader = _leader(threads, thread)
        if leader is not None and (is_monitor(leader.name) or _SHIM.fullmatch(leader.name)):
            return Sandbox(
                kind=SandboxKind.VIRTUAL_MACHINE,
                name=leader.name,
                pid=leader.tid,
                vcpus=len(vcpus),
            )
    for thread in [one for one in found if _SENTRY.fullmatch(one.name)][:_LOOKED_AT]:
        command = threads.command(thread.tid)
        if command in _SENTRY_COMMANDS:
            return Sandbox(kind=SandboxKind.USER_KERNEL, name=command, pid=thread.tid)
    return None


def _leader(threads: Threads, thread: Thread) -> Thread | None:
    """The first thread of a thread's process, which may be in another cgroup."""
    process = threads.process(thread.tid)
    return None if process is None else threads.find(process.pid)
