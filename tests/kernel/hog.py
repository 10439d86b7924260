"""A bounded program for kernel tests: ``hog.py CGROUP SECONDS ROLE [NAME]``.

It puts itself into the cgroup, prints the TID of the thread that matters, and ends by itself, with
its parent, or when told. Roles:

- ``spin``: the main thread spins
- ``idle``: the main thread waits
- ``thread``: a thread of that name spins beside a waiting main thread
- ``nobody``: the same, without any privilege
- ``machine``: a thread of the second name waits beside the main thread, which takes the first
- ``late``: the thread waits for a line on stdin before it takes its name
- ``fork``: each line on stdin forks a child, which sleeps
- ``brood``: when told, it has children, one after the other, that spin on whatever CPU is free
  until each has lived for the seconds of the second name
- ``escape``: the main thread, without any privilege, tries what each line on stdin says
"""

import ctypes
import errno
import os
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_KILL = 9
_NOBODY = 65534
_FIFO = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
_OTHER = os.SCHED_OTHER | os.SCHED_RESET_ON_FORK
CPU = Path("/sys/fs/cgroup/cpu")
OTHER = Path("/sys/fs/cgroup/freezer")
"""A container runtime puts a container's processes into all hierarchies; here it is two."""


def main() -> None:
    cgroup, seconds, role, *names = sys.argv[1:]
    end = time.monotonic() + float(seconds)
    if cgroup:
        enter(Path(cgroup))
    if role in ("nobody", "escape"):
        role = "thread" if role == "nobody" else role
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _KILL)
    if role in ("thread", "late"):
        start_thread(end, names[0], late=role == "late")
    elif role == "machine":
        name_thread(names[0])
        start_vcpu(end, names[1])
    elif role == "fork":
        name_thread(names[0])
        print(os.getpid(), flush=True)
        fork_when_told(end)
    elif role == "brood":
        name_thread(names[0])
        print(os.getpid(), flush=True)
        sys.stdin.readline()
        print("begun", flush=True)
        brood(end, float(names[1]))
    elif role == "escape":
        name_thread(names[0])
        print(os.getpid(), flush=True)
        escape(end)
    else:
        if names:
            name_thread(names[0])
        print(os.getpid(), flush=True)
        spin(end) if role == "spin" else time.sleep(max(0, end - time.monotonic()))


def enter(cgroup: Path) -> None:
    """Into a cgroup of the cpu hierarchy, and the one of the same path in the other, if any."""
    other = OTHER / cgroup.relative_to(CPU) if cgroup.is_relative_to(CPU) else None
    for path in (cgroup, other):
        if path is not None and path.exists():
            (path / "cgroup.procs").write_text(str(os.getpid()))


def start_thread(end: float, name: str, *, late: bool) -> None:
    told = threading.Event()

    def work() -> None:
        print(threading.get_native_id(), flush=True)
        if late:
            told.wait(end - time.monotonic())
        name_thread(name)
        if late:
            print("named", flush=True)
        spin(end)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    if late:
        sys.stdin.readline()
        told.set()
    thread.join(end - time.monotonic())


def start_vcpu(end: float, name: str) -> None:
    def wait() -> None:
        name_thread(name)
        print(threading.get_native_id(), flush=True)
        time.sleep(max(0, end - time.monotonic()))

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join()


def fork_when_told(end: float) -> None:
    children, parent = [], os.getpid()
    while time.monotonic() < end and sys.stdin.readline():
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _KILL)
            if os.getppid() != parent:  # which died before it could take the child with it
                os._exit(0)
            time.sleep(max(0, end - time.monotonic()))
            os._exit(0)
        children.append(child)
        print(child, flush=True)


def brood(end: float, life: float) -> None:
    while time.monotonic() < end:
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _KILL)
            os.sched_setaffinity(0, range(os.cpu_count() or 1))
            spin(min(end, time.monotonic() + life))
            os._exit(0)
        os.waitpid(child, 0)


def escape(end: float) -> None:
    """Try to get more than was given; answers "done", or the name of the error."""
    priority = os.sched_getparam(0).sched_priority
    ways = {
        "raise": lambda: os.sched_setscheduler(0, _FIFO, os.sched_param(priority + 1)),
        "lower": lambda: os.sched_setscheduler(0, _FIFO, os.sched_param(1)),
        "inherit": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        "leave": lambda: os.sched_setscheduler(0, _OTHER, os.sched_param(0)),
        "narrow": lambda: os.sched_setaffinity(0, {0}),
        "wander": lambda: os.sched_setaffinity(0, range(os.cpu_count() or 1)),
    }
    while time.monotonic() < end and (line := sys.stdin.readline()):
        priority = os.sched_getparam(0).sched_priority
        try:
            ways[line.strip()]()
        except OSError as error:
            print(errno.errorcode[error.errno or 0], flush=True)
        else:
            print("done", flush=True)


def name_thread(name: str) -> None:
    Path("/proc/thread-self/comm").write_text(name)


def spin(end: float) -> None:
    while time.monotonic() < end:
        for _ in range(2000):
            pass


if __name__ == "__main__":
    main()
