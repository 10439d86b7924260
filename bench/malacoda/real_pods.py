"""Pods of mixed kinds as cgroups of v1 on one CPU, and stress-ng in one of them or beside them.

Everything ends by itself after a time limit, and the cgroups are removed on exit. A pod that is
frozen is thawed when this process ends, however it does: a freezer of v1 holds back even SIGKILL.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from k40s.units import NS_PER_S

ROOT = Path("/sys/fs/cgroup")
_TREES = ("cpu", "cpuacct", "pids", "freezer")
_SHARES = {"kubepods": 2048, "burstable": 2048, "besteffort": 2048}
_POD_SHARES = 102
_ENTER = (
    "import os, sys\n"
    "groups, cpu, *command = sys.argv[1:]\n"
    "[open(f'{group}/cgroup.procs', 'w').write('0') for group in groups.split(',') if group]\n"
    "os.sched_setaffinity(0, {int(cpu)})\n"
    "os.execvp(command[0], command)\n"
)
_SPIN = "def spin(s):\n end = time.thread_time() + s\n"
_SPIN += " while time.thread_time() < end: sum(range(5000))\n"
_HTTP = "import http.server, socketserver; socketserver.TCPServer(('127.0.0.1', {port}), "
_HTTP += "http.server.SimpleHTTPRequestHandler).serve_forever()"
_EVERY = "import time\n" + _SPIN + "while True: spin({busy}); time.sleep({idle})"
_GET = "import socket, time\nwhile True:\n s = socket.create_connection(('127.0.0.1', {port}))\n"
_GET += " s.send(b'GET /nothing HTTP/1.0\\r\\n\\r\\n'); s.recv(4096); s.close(); time.sleep(0.05)"
_GZIP = "import os, time, zlib\ndata = os.urandom(1 << 16)\n"
_GZIP += "while True: b = time.thread_time(); zlib.compress(data); "
_GZIP += "time.sleep(4 * (time.thread_time() - b))"
_WRITE = "import os, time\nfile = open('written', 'wb')\nwhile True: file.seek(0); "
_WRITE += "file.write(bytes(1 << 20)); file.flush(); os.fsync(file.fileno()); time.sleep(0.5)"
_TALK = "import socket, time\ns = socket.socket(2, 2)\n"
_TALK += "while True: s.sendto(b'x' * 100, ('127.0.0.1', 9)); time.sleep(0.005)"
_FORK = "import subprocess, time\nwhile True: subprocess.run(['/bin/true']); time.sleep({pause})"
PROGRAMS = {
    "critical": _EVERY.format(busy=0.0019, idle=0.008),
    "periodic": _EVERY.format(busy=0.05, idle=0.95),
    "server": _HTTP.format(port=8931),
    "web": _GET.format(port=8931),
    "gzip": _GZIP,
    "writer": _WRITE,
    "talker": _TALK,
    "shell": _FORK.format(pause=0.2),
    "idle-a": "import time; time.sleep(9999)",
    "idle-b": "import time; time.sleep(9999)",
    "sleeper": _EVERY.format(busy=0.01, idle=0.19),
    "forker": _FORK.format(pause=1),
}
"""What runs in each pod; some 45 % of a CPU together."""
CANDIDATES = ("idle-a", "idle-b", "sleeper", "forker")
HOG = "while True: pass"
IMPORTS = "import asyncio, decimal, email, http.client, json, sqlite3, typing, unittest, xml.dom"

_THAW = """
cat >/dev/null
for state in "$1"/kubepods/*/pod*/freezer.state; do [ ! -e "$state" ] || echo THAWED >"$state"; done
"""
"""Run when the pipe from the process that made the pods ends."""


def uid(name: str) -> str:
    """A pod's UID by its name."""
    number = [*PROGRAMS, "starting"].index(name) + 1
    return f"{number:08x}-1111-4222-8333-444444444444"


@dataclass(slots=True, kw_only=True)
class RealPods:
    """The pods of ``PROGRAMS`` on one CPU; ``close`` ends them."""

    cpu: int
    scratch: Path
    limit: int
    name: str = field(default_factory=lambda: f"k40s-culprits-{os.getpid()}")
    _stack: ExitStack = field(default_factory=ExitStack)
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _last: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def cgroup_root(self) -> str:
        """Kubelet's cgroupRoot."""
        return f"/{self.name}"

    def used(self) -> float:
        """Seconds of the CPU that all have used so far; 0 before they are there."""
        try:
            text = (ROOT / "cpuacct" / self.name / "cpuacct.usage_percpu").read_text()
        except FileNotFoundError:
            return 0.0
        return int(text.split()[self.cpu]) / NS_PER_S

    def open(self) -> None:
        """Make the cgroups and start the programs."""
        freezer = ROOT / "freezer" / self.name
        thaw = subprocess.Popen(
            ["sh", "-c", _THAW, "thaw", freezer], stdin=subprocess.PIPE, start_new_session=True
        )
        self._stack.callback(thaw.communicate)
        for tree in _TREES:
            self._make(ROOT / tree / self.name)
            for part in ("kubepods", "kubepods/burstable", "kubepods/besteffort"):
                self._make(ROOT / tree / self.name / part)
        for name, program in PROGRAMS.items():
            self.add(name)
            self.start(name, [sys.executable, "-S", "-c", program])

    def add(self, name: str) -> None:
        """Make a pod's cgroups."""
        for group in self._groups(name):
            self._make(group)

    def start(
        self, name: str | None, command: Sequence[str], *, cpu: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Run a command in a pod, or beside all pods; on this CPU unless told otherwise."""
        groups = ",".join(map(str, self._groups(name))) if name else ""
        where = str(self.cpu if cpu is None else cpu)
        bounded = ["timeout", "--foreground", "-s", "KILL", str(self.limit), *command]
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", _ENTER, groups, where, *bounded],
            cwd=self.scratch,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._running.append(process)
        if name:
            self._last[name] = process
        return process

    def running(self, name: str) -> subprocess.Popen[bytes]:
        """What was started last in a pod."""
        return self._last[name]

    def stress(
        self,
        name: str | None,
        kinds: Sequence[str],
        number: int,
        *,
        cpu: int | None = None,
        seconds: int = 30,
    ) -> subprocess.Popen[bytes]:
        """Start stress-ng with stressors of each of these kinds; it ends after so many seconds."""
        each = max(1, number // len(kinds))
        options = [text for kind in kinds for text in (f"--{kind}", str(each))]
        if "hdd" in kinds:
            options += ["--hdd-bytes", "64m"]
        return self.start(name, ["stress-ng", *options, "--timeout", str(seconds)], cpu=cpu)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End a command and its children."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)
        self._running.remove(process)

    def close(self) -> None:
        """End everything and remove the cgroups."""
        for process in list(self._running):
            self.end(process)
        for group in (ROOT / "pids" / self.name).glob("kubepods/*/pod*/cgroup.procs"):
            for pid in group.read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        self._stack.close()

    def _groups(self, name: str) -> list[Path]:
        part = "burstable" if len(name) % 2 else "besteffort"
        return [ROOT / tree / self.name / f"kubepods/{part}/pod{uid(name)}" for tree in _TREES]

    def _make(self, group: Path) -> None:
        if group.exists():
            return
        group.mkdir()
        self._stack.callback(_remove, group)
        shares = group / "cpu.shares"
        if shares.exists():
            is_pod = group.name.startswith("pod")
            shares.write_text(str(_POD_SHARES if is_pod else _SHARES.get(group.name, 2048)))


def _remove(group: Path) -> None:
    """A group whose last process has just ended is busy for a moment."""
    for _ in range(500):
        with suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.01)
    group.rmdir()
