"""The experiment's plan: phases of cooldown and stress beside a periodic task (paper, V-A)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, unique

from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

PERIOD = Nanoseconds(10 * NS_PER_MS)
"""Period and deadline of the task (paper, V-A)."""
RUNTIME = Nanoseconds(1_900_000)
"""CPU time of one of its jobs (paper, V-A)."""
SAMPLING = Nanoseconds(100 * NS_PER_MS)
"""Time between two samples: 50 of them, the filter's window, are 5 s."""
WATCHING = Nanoseconds(500 * NS_PER_MS)
"""Malacoda's sampling period where β is 0 or 1."""
MOST_STRESSORS = 1024
MOST_REPETITIONS = 1000
LEAST_SECONDS, MOST_SECONDS = 3, 86_400
"""Of a cooldown or a stress: windows of half a second, less the first second."""


@unique
class Policy(StrEnum):
    """How the task is scheduled."""

    OTHER = "other"
    FIFO = "fifo"
    RT_CGROUP = "rt-cgroup"
    DEADLINE = "deadline"

    @property
    def real_time(self) -> bool:
        """Whether the kernel runs the task before all ordinary threads."""
        return self is not Policy.OTHER


@unique
class Stress(StrEnum):
    """A class of stress: stressors of stress-ng, of each named kind as many."""

    CPU = "cpu"
    UDP = "udp"
    HDD = "hdd"
    IO = "io"
    NETDEV = "netdev"
    OPEN = "open"
    FORK = "fork"
    CPU_HDD = "cpu+hdd"
    CPU_UDP = "cpu+udp"
    UDP_IO = "udp+io"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of stressors, by stress-ng's names."""
        return tuple(self.value.split("+"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A cooldown, and one stress after it; the unit that is recorded and resumed.

    ``repetition`` counts from 1.
    """

    policy: Policy
    stressors: int
    repetition: int
    stress: Stress

    @property
    def name(self) -> str:
        """A name that is unique in the experiment and fit for a directory."""
        return f"{self.policy}-{self.stressors}-{self.repetition}-{self.stress}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured, and how long each part lasts, in seconds."""

    stressors: tuple[int, ...]
    repetitions: int
    cooldown: int
    stress_time: int


PAPER = Extent(stressors=(1, 2, 4, 8, 16), repetitions=4, cooldown=120, stress_time=60)
"""The paper's: 30 minutes for all stresses, once for each policy, count and repetition."""
QUICK = Extent(stressors=(16,), repetitions=1, cooldown=10, stress_time=5)
"""Three minutes for each policy: the worst case alone, in the same proportion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is measured. ``cooldown`` and ``stress_time`` are seconds of each phase.

    ``cpus`` are the node's; the task runs on the last of them, where its policy allows.
    """

    cpus: tuple[int, ...]
    policies: tuple[Policy, ...]
    stresses: tuple[Stress, ...]
    stressors: tuple[int, ...]
    repetitions: int
    cooldown: int
    stress_time: int

    def __post_init__(self) -> None:
        if not (self.cpus and self.policies and self.stresses and self.stressors):
            raise ValueError("an experiment needs CPUs, a policy, a stress and a stressor")
        if not all(1 <= count <= MOST_STRESSORS for count in self.stressors):
            raise ValueError(f"stressors lie in 1 to {MOST_STRESSORS}")
        if not 1 <= self.repetitions <= MOST_REPETITIONS:
            raise ValueError(f"repetitions lie in 1 to {MOST_REPETITIONS}")
        shortest, longest = sorted((self.cooldown, self.stress_time))
        if shortest < LEAST_SECONDS or longest > MOST_SECONDS:
            raise ValueError(f"cooldown and stress last {LEAST_SECONDS} to {MOST_SECONDS} seconds")

    @property
    def core(self) -> int:
        """The CPU of the task."""
        return self.cpus[-1]

    def phases(self) -> Iterator[Phase]:
        """All phases, in order: the ones of a run of the paper follow each other."""
        for repetition in range(1, self.repetitions + 1):
            for policy in self.policies:
                for count in self.stressors:
                    for stress in self.stresses:
                        yield Phase(
                            policy=policy, stressors=count, repetition=repetition, stress=stress
                        )

    @property
    def count(self) -> int:
        """The number of phases."""
        runs = len(self.policies) * len(self.stressors) * self.repetitions
        return runs * len(self.stresses)

    @property
    def duration(self) -> Nanoseconds:
        """How long all phases last, without the time to start and stop programs."""
        return Nanoseconds(self.count * (self.cooldown + self.stress_time) * NS_PER_S)
