"""Runs in a guest: the actuator, as its container runs it, where cgroup v2 is all there is.

Prints one JSON object a line: the fact's name, and its value.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

from daemons.malacoda.actuator.actuator import Actuator
from daemons.malacoda.actuator.book import HoldBook
from daemons.malacoda.actuator.gate import GatePolicy
from daemons.malacoda.actuator.kernel import LinuxCgroups
from daemons.malacoda.actuator.protocol import Answer, Request, Result, Verb
from daemons.malacoda.actuator.real_time import ReservationFile
from daemons.malacoda.response.client import ActuatorClient
from k40s.assurance.response.acts import Step
from k40s.errors import UnavailableError
from k40s.runtime.store import Store
from k40s.units import Nanoseconds

ROOT = Path("/sys/fs/cgroup")
UID = "0000aced-0000-4000-8000-000000000001"
NAME = "k40s-act"
POD = ROOT / NAME / "kubepods" / "burstable" / f"pod{UID}"
CONTAINER = POD / ("c" * 64)
LIMIT = "80000 100000"
WATCH_SECONDS = 2.0
PATIENCE_SECONDS = 150.0
"""An emulated CPU on a busy machine takes most of a minute to start a process of Python."""
PAUSE_SECONDS = 0.6
"""More than the actuator's cooldown."""
FILES = ("cpu.max", "cgroup.freeze", "cpuset.cpus.effective")
NO_CAPABILITY = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")


def tell(fact: str, value: object) -> None:
    sys.stdout.write(json.dumps({"fact": f"act-{fact}", "value": value}) + "\n")
    sys.stdout.flush()


def make() -> None:
    """A pod below a cgroupRoot of its own, with a limit that is not the kernel's default."""
    path = ROOT
    for part in (NAME, "kubepods", "burstable", POD.name, CONTAINER.name):
        for controller in ("cpu", "cpuset", "pids"):
            (path / "cgroup.subtree_control").write_text(f"+{controller}")
        path /= part
        path.mkdir()
    (POD / "cpu.max").write_text(LIMIT)


def hog() -> int:
    """A process of the pod that spins, for a bounded time, on whatever CPU it may."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(280)
        (CONTAINER / "cgroup.procs").write_text("0")
        while True:
            pass
    return pid


def values() -> list[str]:
    """All that an act may change."""
    return [(POD / name).read_text().strip() for name in FILES]


def used() -> int:
    """Microseconds of CPU time of the pod."""
    return int((POD / "cpu.stat").read_text().split()[1])


def share() -> float:
    """CPUs that the pod uses now."""
    begun, before = time.monotonic(), used()
    time.sleep(WATCH_SECONDS)
    return round((used() - before) / 1e6 / (time.monotonic() - begun), 3)


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def event(name: str) -> str:
    """A line of the pod's cgroup.events."""
    words = (POD / "cgroup.events").read_text().split()
    return words[words.index(name) + 1]


class Process:
    """The actuator without a capability, and the monitor's connection to it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.client = ActuatorClient(directory / "actuator.sock", seconds=20.0)
        self.start()

    def start(self) -> None:
        environment = {
            **os.environ,
            "K40S_CULPRIT": "kill",
            "K40S_CGROUP_ROOT": f"/{NAME}",
            "K40S_ACTUATOR_SOCKET": str(self._directory / "actuator.sock"),
            "K40S_ACTUATOR_PEER": str(os.geteuid()),
            "K40S_ACTUATOR_STORE": str(self._directory / "holds.sqlite"),
            "K40S_ACTUATOR_SILENCE": "120s",
            "K40S_ACTUATOR_ACTS": "100",
        }
        self._process = subprocess.Popen(
            [*NO_CAPABILITY, sys.executable, "-m", "daemons.malacoda.actuator"], env=environment
        )

    def ask(self, verb: Verb) -> Answer:
        """Ask, a cooldown after the last act, and wait for an actuator that has just begun."""
        time.sleep(PAUSE_SECONDS)
        request = Request(
            verb=verb,
            uid=UID,
            pod="default/hog",
            quota=Fraction(1, 10) if verb is Verb.THROTTLE else None,
            off=(1,) if verb is Verb.MOVE else (),
        )
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self.client.ask(Request(verb=verb) if verb is Verb.KEEP else request)
            except UnavailableError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def capabilities(self) -> str:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(line.split()[1] for line in lines if line.startswith("CapEff:"))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=PATIENCE_SECONDS)

    def end(self) -> None:
        self.client.close()
        self.kill()


def reversible_acts(actuator: Process, pid: int) -> None:
    """Each act's values in the kernel, what the hog gets, and its undoing."""
    before = values()
    tell("before", before)
    answer = actuator.ask(Verb.THROTTLE)
    tell("throttle", [answer.result.value, values()[0], share()])
    actuator.ask(Verb.UNTHROTTLE)
    tell("unthrottled", [values() == before, share()])
    answer = actuator.ask(Verb.MOVE)
    status = Path(f"/proc/{pid}/status").read_text()
    allowed = status.partition("Cpus_allowed_list:")[2].split()[0]
    tell("move", [answer.result.value, values()[2], allowed])
    actuator.ask(Verb.MOVE_BACK)
    status = Path(f"/proc/{pid}/status").read_text()
    allowed = status.partition("Cpus_allowed_list:")[2].split()[0]
    tell("moved-back", [values() == before, allowed])
    answer = actuator.ask(Verb.FREEZE)
    frozen = eventually(lambda: event("frozen") == "1")
    tell("freeze", [answer.result.value, frozen, share()])
    actuator.ask(Verb.THAW)
    thawed = eventually(lambda: event("frozen") == "0")
    ran = used()
    tell("thawed", [values() == before, thawed, eventually(lambda: used() > ran)])


def after_a_crash(actuator: Process) -> None:
    """All three steps are in force when the actuator is killed; the next one undoes them."""
    before = values()
    results = [actuator.ask(verb).result.value for verb in (Verb.THROTTLE, Verb.MOVE, Verb.FREEZE)]
    actuator.kill()
    held = values()
    actuator.start()
    undone = eventually(lambda: values() == before)
    tell("crash", [results, held, undone, len(actuator.ask(Verb.KEEP).held)])


class Fatal(LinuxCgroups):
    """The kernel\'s cgroups, and SIGKILL for the writer at one of its writes, before or after."""

    def __init__(self, left: int, *, after: bool) -> None:
        super().__init__(ROOT)
        self._left = left
        self._after = after

    def write(self, path: str, text: str) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        super().write(path, text)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _actuator(files: LinuxCgroups, store: Store) -> Actuator:
    steps = frozenset({Step.QUOTA, Step.MOVE, Step.FREEZE})
    return Actuator(
        files=files,
        book=HoldBook(store, boot="guest"),
        policy=GatePolicy(allowed=steps, acts_per_hour=10_000, cooldown=Nanoseconds(0)),
        cgroup_root=f"/{NAME}",
        real_time=ReservationFile(None),
    )


def killed_at_each_write(directory: Path) -> None:
    """Three steps and their undoing, killed at each write: the next process restores all."""
    before, points, bad, ended = values(), 0, [], []
    path = directory / "crash.sqlite"
    verbs = (Verb.THROTTLE, Verb.MOVE, Verb.FREEZE, Verb.THAW, Verb.MOVE_BACK, Verb.UNTHROTTLE)
    for after in (False, True):
        for number in range(1, 20):
            pid = os.fork()
            if pid == 0:
                actuator = _actuator(Fatal(number, after=after), Store(path))
                for verb in verbs:
                    quota = Fraction(1, 10) if verb is Verb.THROTTLE else None
                    off = (1,) if verb is Verb.MOVE else ()
                    asked = Request(verb=verb, uid=UID, pod="a/b", quota=quota, off=off)
                    if actuator.answer(asked).result is not Result.DONE:
                        os._exit(list(verbs).index(verb) + 1)
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            if not os.WIFSIGNALED(status):
                ended.append(os.WEXITSTATUS(status))
                break
            points += 1
            store = Store(path)  # of one process at a time
            clean = _actuator(LinuxCgroups(ROOT), store).undo_all("restarted")
            store.close()
            if not clean or values() != before:
                bad.append([number, after, values()])
    tell("points", [points, bad, ended])


def kill(actuator: Process, pid: int) -> None:
    """A pod is killed only when it is held, as a whole, and also while it is frozen."""
    first = actuator.ask(Verb.KILL)
    actuator.ask(Verb.THROTTLE)
    actuator.ask(Verb.FREEZE)
    eventually(lambda: event("frozen") == "1")
    answer = actuator.ask(Verb.KILL)
    _, status = os.waitpid(pid, 0)
    empty = eventually(lambda: event("populated") == "0")
    held = [step.value for one in answer.held for step in one.steps]
    tell("kill", [first.reason, answer.result.value, os.WTERMSIG(status), empty, held])


if __name__ == "__main__":
    make()
    pid = hog()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        actuator = Process(directory)
        stack.callback(actuator.end)
        actuator.ask(Verb.KEEP)
        tell("capabilities", actuator.capabilities())
        reversible_acts(actuator, pid)
        after_a_crash(actuator)
        killed_at_each_write(directory)
        kill(actuator, pid)
