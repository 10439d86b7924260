"""Runs in a guest: what this kernel says to SCHED_DEADLINE on one core, and to partitions of v2.

Prints one JSON object a line: the fact's name, and its value.
"""

import errno
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from daemons.rubicante.kernel.sched_attr import LinuxAttributes, deadline_attr
from k40s.cpu.model import Server
from k40s.units import Nanoseconds
from tests.guest.deadline_pods import wait_until_forgotten

ROOT = Path("/sys/fs/cgroup")
PERIOD = Nanoseconds(100_000_000)
ATTRIBUTES = LinuxAttributes()


def tell(fact: str, value: object) -> None:
    print(json.dumps({"fact": fact, "value": value}), flush=True)


def outcome(action: Callable[[], object]) -> str:
    """``OK``, or the name of the errno."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "OK"


def write(path: Path, text: str) -> None:
    """One write(2), whose refusal shows at once."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


@contextmanager
def group(path: Path) -> Iterator[Path]:
    path.mkdir()
    try:
        yield path
    finally:
        with suppress(OSError):
            write(path / "cpuset.cpus.partition", "member")
        path.rmdir()


@contextmanager
def sleeper(cgroup: Path) -> Iterator[int]:
    """A process that waits in a cgroup, after it has run there.

    Its bandwidth counts for up to a period after its end, and the kernel loses count of it if
    domains are cut anew before that.
    """
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        write(cgroup / "cgroup.procs", "0")
        os.sched_yield()
        os.write(told, b"1")
        signal.pause()
    try:
        os.read(ready, 1)
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        wait_until_forgotten()
        os.close(ready)
        os.close(told)


def hold(tid: int, percent: int) -> str:
    server = Server(budget=Nanoseconds(PERIOD * percent // 100), period=PERIOD)
    return outcome(lambda: ATTRIBUTES.set(tid, deadline_attr(server, PERIOD)))


def ask(cgroup: Path) -> str:
    with sleeper(cgroup) as pid:
        return hold(pid, 10)


def machine() -> None:
    tell("release", os.uname().release)
    tell("controllers", (ROOT / "cgroup.controllers").read_text().split())
    tell("cpus", sorted(os.sched_getaffinity(0)))
    tell("rt-budget-files", [path.name for path in ROOT.glob("cpu.rt_*")])


def one_partition() -> None:
    write(ROOT / "cgroup.subtree_control", "+cpuset")
    with group(ROOT / "one") as one:
        write(one / "cpuset.cpus", "1")
        tell("pinned-without-partition", ask(one))
        tell("make-partition", outcome(lambda: write(one / "cpuset.cpus.partition", "root")))
        tell("partition", (one / "cpuset.cpus.partition").read_text().strip())
        tell("pinned-in-partition", ask(one))
        tell("capacity", capacity(one))
        tell("others-left-with", (ROOT / "cpuset.cpus.effective").read_text().strip())


def capacity(cgroup: Path) -> list[str]:
    """Processes that ask for a tenth of a CPU each, until the first is refused."""
    answers: list[str] = []
    with ExitStack() as stack:
        while len(answers) < 10 and "EBUSY" not in answers:
            answers.append(hold(stack.enter_context(sleeper(cgroup)), 10))
    return answers


def remote_partition() -> None:
    """What a pod becomes: a partition two levels below the root, whose parents are none."""
    with group(ROOT / "kubepods") as kubepods:
        write(kubepods / "cgroup.subtree_control", "+cpuset")
        with group(kubepods / "pod") as pod, group(pod / "container") as container:
            for path in (kubepods, pod):
                write(path / "cpuset.cpus", "0-1" if path == kubepods else "1")
                tell(f"exclusive-{path.name}", outcome(lambda p=path: exclusive(p)))
            tell("make-remote", outcome(lambda: write(pod / "cpuset.cpus.partition", "root")))
            tell("remote", (pod / "cpuset.cpus.partition").read_text().strip())
            tell("container-in-remote", ask(container))
            tell("kubepods-is", (kubepods / "cpuset.cpus.partition").read_text().strip())
            tell("unmake", outcome(lambda: write(pod / "cpuset.cpus.partition", "member")))
            tell("container-after", ask(container))


def exclusive(path: Path) -> None:
    write(path / "cpuset.cpus.exclusive", "1")


if __name__ == "__main__":
    machine()
    one_partition()
    remote_partition()
