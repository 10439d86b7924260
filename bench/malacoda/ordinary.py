"""Alarms while a node does what nodes ordinarily do; each is one too many.

Usage: ``python -m bench.malacoda.ordinary [--cpu 1] [--minutes 60] [--seed 1]``, as root on cgroup
v1, with Go. Twelve pods of mixed kinds run on one CPU, some 45 % of it; in one more pod, one after
the other and with pauses, what ordinarily comes and goes: a Go build, Python imports and byte
compilation, archives, searches; and the twelve are restarted now and then. The built-in rules watch
that CPU twice a second. Prints each act with the highest value of each rule's metric over its
raising value, and the alarms it raised; and at an alarm, how busy the CPU was in the 4 s before,
and how much of that the pods were. What is left are other programs, kernel threads and interrupts:
leave the machine alone. Ends by itself, and with 1 where there was an alarm.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry

from bench.malacoda.real_pods import IMPORTS, PROGRAMS, RealPods
from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.sampling.runnable import RunnableThreads
from daemons.malacoda.sampling.sampler import Sampler
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.metrics import Metric
from k40s.assurance.profile import BUILT_IN
from localcluster.host.paths import cache_root
from localcluster.images.go_toolchain import find_go

PERIOD = 0.5
RECENT = 4.0
"""Seconds before an alarm that are looked at."""
ACT, LATE, PAUSE = 25.0, 4.0, 11.0
"""Seconds that an act may last, in which an alarm after it is still its own, and of quiet."""
_LIBRARY = "/usr/lib/python3"
_GO = (
    "export GOCACHE=$PWD/go-cache GOFLAGS=-mod=mod HOME=$PWD; rm -rf go-cache;"
    " {go} build -o /dev/null net/http go/types encoding/json"
)
_SHELL = {
    "Go build": _GO,
    "Python imports": f"for n in $(seq 40); do {sys.executable} -c '{IMPORTS}'; done",
    "compileall": f"rm -rf compiled; cp -r {_LIBRARY} compiled;"
    f" {sys.executable} -m compileall -q -f compiled; rm -rf compiled",
    "tar": f"for n in 1 2 3 4; do tar -cz {_LIBRARY} -f packed.tar.gz;"
    " tar -xz -f packed.tar.gz --to-stdout >/dev/null; rm packed.tar.gz; done",
    "find": "find / -xdev -name '*.none' -newer /etc/hostname >/dev/null 2>&1",
    "shell": "for n in $(seq 4000); do /bin/true; done",
}
IDLE, RESTARTS = "idle", "restarts"
ACTS = (*_SHELL, RESTARTS, IDLE)


@dataclass(slots=True)
class Watched:
    """What was seen during one kind of act: seconds, the highest value by metric, alarms."""

    seconds: float = 0.0
    highest: dict[Metric, float] = field(default_factory=lambda: defaultdict(float))
    alarms: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Use:
    """Seconds of one CPU, so far: by all, and by the pods."""

    at: float
    all: float
    pods: float


class Watch:
    """The built-in rules on one CPU, sample by sample."""

    def __init__(self, cpu: int, pods: RealPods) -> None:
        self.seen: dict[str, Watched] = {}
        self._cpu = cpu
        self._pods = pods
        self._uses = deque[Use](maxlen=1 + round(RECENT / PERIOD))
        threads = RunnableThreads(cpus={cpu})
        self._monitor = Monitor(
            source=Sampler(cpus={cpu}, clock=time.monotonic_ns, runnable=threads),
            rules=BUILT_IN.rules,
            policy=GammaPolicy(),
            metrics=MonitorMetrics(CollectorRegistry()),
            clock=time.monotonic_ns,
        )
        self._next = time.monotonic()

    def watch(self, act: str, seconds: float, *, until: Callable[[], bool] = lambda: False) -> int:
        """Watch for so long, or until something is true. Returns the number of new alarms."""
        begun = time.monotonic()
        seen = self.seen.setdefault(act, Watched())
        former = seen.alarms.total()
        while time.monotonic() - begun < seconds and not until():
            now = time.monotonic()
            self._next = max(now, self._next + PERIOD)
            time.sleep(self._next - now)
            before = set(self._monitor.state.hazards)
            self._monitor.tick()
            self._uses.append(Use(time.monotonic(), busy(self._cpu), self._pods.used()))
            state = self._monitor.state
            if raised := [metric.value for metric in state.hazards if metric not in before]:
                print(f"{act}: {', '.join(raised)}: {self._who()}", file=sys.stderr)
            seen.alarms.update(raised)
            for rule in BUILT_IN.rules:
                part = state.metrics.get(rule.metric, 0.0) / rule.raise_at
                seen.highest[rule.metric] = max(seen.highest[rule.metric], part)
        seen.seconds += time.monotonic() - begun
        return seen.alarms.total() - former

    def _who(self) -> str:
        """Who used the CPU in the last samples."""
        first, last = self._uses[0], self._uses[-1]
        seconds = last.at - first.at
        everybody, pods = (last.all - first.all) / seconds, (last.pods - first.pods) / seconds
        return f"in {seconds:.0f} s the CPU was busy for {everybody:.0%}, with pods for {pods:.0%}"


def busy(cpu: int) -> float:
    """Seconds in which a CPU worked, since boot; not those that the hypervisor took."""
    times = psutil.cpu_times(percpu=True)[cpu]
    return times.user + times.nice + times.system + times.irq + times.softirq


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    chance = random.Random(arguments.seed)  # noqa: S311  # no secret
    with tempfile.TemporaryDirectory() as scratch:
        pods = RealPods(cpu=arguments.cpu, scratch=Path(scratch), limit=int(seconds) + 120)
        watch = Watch(arguments.cpu, pods)
        watch.watch("nothing at all", seconds / 6)
        try:
            pods.open()
            pods.add("starting")
            play(pods, watch, chance, end=time.monotonic() + seconds * 5 / 6)
        except KeyboardInterrupt:
            print("stopped; what was seen until now:", file=sys.stderr)
        finally:
            pods.close()
    print("\n".join(table(watch.seen)))
    sys.exit(any(seen.alarms for seen in watch.seen.values()))


def play(pods: RealPods, watch: Watch, chance: random.Random, *, end: float) -> None:
    """All acts in a new order each time, until it is over."""
    go = find_go(cache_root(os.environ), needed=(1, 20))
    while True:
        for act in chance.sample(ACTS, len(ACTS)):
            if time.monotonic() > end - ACT - LATE - PAUSE:
                return
            alarms = 0
            if act is RESTARTS:
                alarms += restart(pods, watch)
            elif act is not IDLE:
                command = ["sh", "-c", _SHELL[act].format(go=go)]
                process = pods.start("starting", command)
                alarms += watch.watch(act, ACT, until=lambda: process.poll() is not None)  # noqa: B023
                pods.end(process)
            alarms += watch.watch(act, LATE)
            pause = watch.watch(IDLE, PAUSE)
            print(f"{act}: {alarms} alarms, {pause} in the pause after it", file=sys.stderr)


def restart(pods: RealPods, watch: Watch) -> int:
    """End each of the twelve pods' programs and start it again, one pod after the other."""
    alarms = 0
    for name, program in PROGRAMS.items():
        pods.end(pods.running(name))
        alarms += watch.watch(RESTARTS, 2 * PERIOD)
        pods.start(name, [sys.executable, "-S", "-c", program])
        alarms += watch.watch(RESTARTS, 2 * PERIOD)
    return alarms


def table(seen: dict[str, Watched]) -> Sequence[str]:
    """A row for each kind of act; values in parts of the raising value."""
    names = [rule.metric for rule in BUILT_IN.rules]
    lines = [
        f"| act | s | {' | '.join(f'`{name.value}`' for name in names)} | alarms |",
        "|---" * (len(names) + 3) + "|",
    ]
    for act, one in seen.items():
        highest = " | ".join(f"{one.highest[name]:.2f}" for name in names)
        alarms = ", ".join(f"{number} `{name}`" for name, number in one.alarms.items()) or "0"
        lines.append(f"| {act} | {one.seconds:.0f} | {highest} | {alarms} |")
    return lines


if __name__ == "__main__":
    main()
