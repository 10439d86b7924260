"""A pod of the real kernel for the actuator: cgroups as kubelet makes them, and a hog in them."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from daemons.malacoda.actuator.protocol import Answer, Request, Verb
from daemons.malacoda.response.client import ActuatorClient
from k40s.errors import UnavailableError
from tests.fakes.malacoda.actuator import TENTH
from tests.fakes.malacoda.kernel import CONTAINER, uid
from tests.kernel.conftest import eventually, is_removed

ROOT = Path("/sys/fs/cgroup")
UNIFIED = ROOT / "unified"
CPU = 1
UID = uid(0xACED)
_LIMIT = 600
_HOG = (
    "import os, time, ctypes; ctypes.CDLL(None).prctl(1, 9); os.sched_setaffinity(0, {%d})\n"
    "end = time.monotonic() + %d\n"
    "while time.monotonic() < end: sum(range(1000))"
)
_REPOSITORY = Path(__file__).parents[2]


@dataclass
class Pod:
    """``trees`` are the hierarchies that it is in, that with the freezer the last.

    ``hog`` spins on one CPU, for a bounded time, or does what ``program`` says in ``scratch``.
    """

    name: str
    trees: tuple[Path, ...]
    stack: ExitStack
    uid: str = UID
    program: str = _HOG % (CPU, _LIMIT)
    scratch: Path = Path("/")
    hog: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        for tree in self.trees:
            for group in (tree / self.name, *self._groups(tree)):
                if not group.exists():
                    self._make(group)
        self.hog = subprocess.Popen(
            [sys.executable, "-S", "-c", self.program], stdin=subprocess.PIPE, cwd=self.scratch
        )
        self.stack.callback(self._end)
        self.enter(self.hog.pid)

    def tell(self) -> None:
        """Have a program that waits for a line on stdin go on."""
        assert self.hog.stdin is not None
        self.hog.stdin.write(b"go\n")
        self.hog.stdin.flush()

    @property
    def cgroup_root(self) -> str:
        return f"/{self.name}"

    def path(self, tree: Path) -> Path:
        return tree / self.name / "kubepods" / "burstable" / f"pod{self.uid}"

    @property
    def quota(self) -> str:
        return (self.path(ROOT / "cpu") / "cpu.cfs_quota_us").read_text().strip()

    @property
    def container_quota(self) -> Path:
        return self.path(ROOT / "cpu") / CONTAINER / "cpu.cfs_quota_us"

    @property
    def frozen(self) -> bool:
        tree = self.trees[-1]
        name = "cgroup.freeze" if tree == UNIFIED else "freezer.self_freezing"
        return (self.path(tree) / name).read_text().strip() == "1"

    @property
    def free(self) -> bool:
        """Whether nothing is in force."""
        return self.quota == "-1" and not self.frozen

    def enter(self, pid: int) -> None:
        for tree in self.trees:
            (self.path(tree) / CONTAINER / "cgroup.procs").write_text(str(pid))

    def share(self, seconds: float = 1.5) -> float:
        """The hog's share of its CPU."""
        begun, before = time.monotonic(), self._ran()
        time.sleep(seconds)
        return (self._ran() - before) / (time.monotonic() - begun)

    def _ran(self) -> float:
        return int(Path(f"/proc/{self.hog.pid}/schedstat").read_text().split()[0]) / 1e9

    def _groups(self, tree: Path) -> list[Path]:
        pod = self.path(tree)
        return [pod.parents[1], pod.parent, pod, pod / CONTAINER]

    def _make(self, group: Path) -> None:
        group.mkdir()
        for name in ("cpuset.mems", "cpuset.cpus"):
            if group.is_relative_to(ROOT / "cpuset"):
                (group / name).write_text((group.parent / name).read_text())
        self.stack.callback(eventually, partial(is_removed, group))

    def _end(self) -> None:
        tree = self.trees[-1]
        if tree != UNIFIED:  # a frozen process cannot be killed
            (self.path(tree) / "freezer.state").write_text("THAWED")
        for pid in (self.path(self.trees[0]) / CONTAINER / "cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        self.hog.wait(timeout=60)
        if self.hog.stdin is not None:
            self.hog.stdin.close()


@dataclass
class Process:
    """``python -m daemons.malacoda.actuator``, and a client of our own user."""

    pod: Pod
    directory: Path
    prefix: tuple[str, ...] = ()
    root: Path = ROOT
    silence: str = "60s"
    process: subprocess.Popen[bytes] = field(init=False)
    client: ActuatorClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = ActuatorClient(self.socket)
        self.start()

    @property
    def socket(self) -> Path:
        return self.directory / "actuator.sock"

    def start(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(_REPOSITORY),
            "K40S_CULPRIT": "freeze",
            "K40S_CGROUP_PATH": str(self.root),
            "K40S_CGROUP_ROOT": self.pod.cgroup_root,
            "K40S_ACTUATOR_SOCKET": str(self.socket),
            "K40S_ACTUATOR_PEER": str(os.geteuid()),
            "K40S_ACTUATOR_STORE": str(self.directory / "holds.sqlite"),
            "K40S_ACTUATOR_SILENCE": self.silence,
        }
        self.process = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "daemons.malacoda.actuator"],
            env=environment,
            cwd=_REPOSITORY,
        )
        self.pod.stack.callback(self.end)

    def ask(self, verb: Verb, *, seconds: float = 180.0) -> Answer:
        """Ask, and wait for an actuator that has just begun."""
        request = Request(
            verb=verb,
            uid=UID,
            pod="default/hog",
            quota=TENTH if verb is Verb.THROTTLE else None,
            off=(CPU,) if verb is Verb.MOVE else (),
        )
        if verb is Verb.KEEP:
            request = Request(verb=verb)
        end = time.monotonic() + seconds
        while True:
            try:
                return self.client.ask(request)
            except UnavailableError:
                assert time.monotonic() < end
                time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=60)

    def end(self) -> None:
        self.client.close()
        self.kill()
