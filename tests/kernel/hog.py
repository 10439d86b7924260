"""A bounded program for kernel tests: ``hog.py CGROUP SECONDS ROLE [NAME]``.

It puts itself into the cgroup, prints the TID of the thread that matters, and ends by itself, with
its parent, or when told. Roles:

- ``spin``: the main thread spins
- ``idle``: the main thread waits
- ``thread``: a thread of that name spins beside a waiting main thread
- ``nobody``: the same, without any privilege
- ``late``: the thread waits for a line on stdin before it takes its name
- ``fork``: each line on stdin forks a child, which sleeps
"""

import ctypes
import os
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_KILL = 9
_NOBODY = 65534
CPU = Path("/sys/fs/cgroup/cpu")
OTHER = Path("/sys/fs/cgroup/freezer")
"""A container runtime puts a container's processes into all hierarchies; here it is two."""


def main() -> None:
    cgroup, seconds, role, *names = sys.argv[1:]
    end = time.monotonic() + float(seconds)
    if cgroup:
        enter(Path(cgroup))
    if role == "nobody":
        role = "thread"
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _KILL)
    if role in ("thread", "late"):
        start_thread(end, names[0], late=role == "late")
    elif role == "fork":
        name_thread(names[0])
        print(os.getpid(), flush=True)
        fork_when_told(end)
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


def fork_when_told(end: float) -> None:
    children = []
    while time.monotonic() < end and sys.stdin.readline():
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _KILL)
            time.sleep(max(0, end - time.monotonic()))
            os._exit(0)
        children.append(child)
        print(child, flush=True)


def name_thread(name: str) -> None:
    Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name)


def spin(end: float) -> None:
    while time.monotonic() < end:
        for _ in range(2000):
            pass


if __name__ == "__main__":
    main()
