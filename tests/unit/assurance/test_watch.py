from k40s.assurance.counters import Counters, CpuTimes, StatCounters
from k40s.assurance.detector import DEFAULT_RULES
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.metrics import Metric
from k40s.assurance.watch import WatchState, advance
from k40s.units import NS_PER_MS, Nanoseconds


class Node:
    """A node of one CPU whose counters are driven by the test, two samples per second."""

    def __init__(self) -> None:
        self.state = WatchState()
        self._at = 0
        self._system = 0
        self._idle = 0

    def spend(self, system: int, samples: int) -> None:
        """So many samples in which ``system`` percent of the time went into the kernel."""
        for _ in range(samples):
            self._at += 500 * NS_PER_MS
            self._system += system
            self._idle += 100 - system
            self._advance(
                StatCounters(
                    own=CpuTimes(
                        user=0, system=self._system, idle=self._idle, iowait=0, irq=0, steal=0
                    ),
                    own_cpus=1,
                    others=CpuTimes(user=0, system=0, idle=0, iowait=0, irq=0, steal=0),
                    other_cpus=0,
                    contexts=0,
                    forks=0,
                    running=1,
                )
            )

    def lose_stat(self, samples: int) -> None:
        """So many samples without /proc/stat."""
        for _ in range(samples):
            self._at += 500 * NS_PER_MS
            self._advance(None)

    def _advance(self, stat: StatCounters | None) -> None:
        self.state = advance(
            self.state,
            Counters(at=Nanoseconds(self._at), stat=stat),
            rules=DEFAULT_RULES,
            policy=GammaPolicy(),
        )


def test_the_first_sample_is_only_a_beginning() -> None:
    node = Node()

    node.spend(system=100, samples=1)

    assert node.state.metrics == {}
    assert node.state.gamma.value == 10


def test_a_calm_node_keeps_its_ten() -> None:
    node = Node()

    node.spend(system=20, samples=100)

    assert (node.state.hazards, node.state.gamma.value) == ((), 10)


def test_a_stressed_node_falls_below_hi_within_five_seconds() -> None:
    node = Node()
    node.spend(system=5, samples=10)

    node.spend(system=80, samples=10)

    assert node.state.hazards == (Metric.CPU_SYSTEM,)
    assert node.state.gamma.value == 5


def test_it_falls_to_zero_and_recovers_slowly() -> None:
    node = Node()
    node.spend(system=80, samples=40)
    assert node.state.gamma.value == 0

    node.spend(system=5, samples=20)
    assert (node.state.hazards, node.state.gamma.value) == ((), 0)

    node.spend(system=5, samples=150)
    assert node.state.gamma.value == 10


def test_an_alarm_whose_metric_is_missing_stays() -> None:
    node = Node()
    node.spend(system=80, samples=10)

    node.lose_stat(samples=50)

    assert node.state.hazards == (Metric.CPU_SYSTEM,)
    assert node.state.gamma.value == 0
