"""An actuator on cgroups in memory, which may be killed and started again."""

from dataclasses import dataclass, field
from fractions import Fraction

from daemons.malacoda.actuator.actuator import Actuator
from daemons.malacoda.actuator.book import HoldBook
from daemons.malacoda.actuator.gate import GatePolicy
from daemons.malacoda.actuator.kernel import DryRun
from daemons.malacoda.actuator.protocol import Answer, Request, Verb
from k40s.assurance.response.acts import Step
from k40s.errors import UnavailableError
from tests.fakes.malacoda.kernel import FakeKernel, FakeStore, uid
from tests.fakes.malacoda.world import FakeClock

EVERYTHING = frozenset({Step.QUOTA, Step.MOVE, Step.FREEZE, Step.KILL})
TENTH = Fraction(1, 10)


@dataclass
class Machine:
    """The kernel and the disk outlive the actuator; ``start`` begins another one."""

    kernel: FakeKernel = field(default_factory=FakeKernel)
    store: FakeStore = field(default_factory=FakeStore)
    clock: FakeClock = field(default_factory=FakeClock)
    policy: GatePolicy = field(default_factory=lambda: GatePolicy(allowed=EVERYTHING))
    boot: str = "boot-1"
    real_time: frozenset[str] | None = frozenset()
    actuator: Actuator = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self, *, dry_run: bool = False) -> None:
        """As ``python -m daemons.malacoda.actuator`` does: what was left is undone first."""
        self.actuator = self._make(self.store)
        assert self.actuator.undo_all("restarted") or not dry_run
        if dry_run:
            self.actuator = self._make(FakeStore(), dry_run=True)

    def _make(self, store: FakeStore, *, dry_run: bool = False) -> Actuator:
        return Actuator(
            files=DryRun(self.kernel) if dry_run else self.kernel,
            book=HoldBook(store, boot=self.boot),
            policy=self.policy,
            cgroup_root="/",
            real_time=self,
            dry_run=dry_run,
            clock=self.clock,
        )

    def find(self) -> frozenset[str] | None:
        """The pods with real-time tasks."""
        return self.real_time

    def ask(
        self,
        verb: Verb,
        number: int = 1,
        *,
        quota: Fraction = TENTH,
        off: tuple[int, ...] = (1,),
    ) -> Answer:
        """Ask for an act on a pod, a second after the last one."""
        self.clock.pass_seconds(1)
        return self.actuator.answer(
            Request(
                verb=verb,
                uid=uid(number),
                pod=f"default/pod-{number}",
                quota=quota if verb is Verb.THROTTLE else None,
                off=off if verb is Verb.MOVE else (),
            )
        )


class FakeConnection:
    """Implements the responder's port: the actuator itself, without a socket between.

    A closed connection makes the actuator undo everything, as its server does.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.asked: list[Request] = []
        self.kept = 0
        self.broken = False
        self.deaf_to: frozenset[Verb] = frozenset()

    def ask(self, request: Request) -> Answer:
        if self.broken or request.verb in self.deaf_to:
            raise UnavailableError("no answer")
        if request.verb is Verb.KEEP:
            self.kept += 1
        else:
            self.asked.append(request)
        return self.machine.actuator.answer(request)

    def close(self) -> None:
        if not self.broken:
            self.machine.actuator.undo_all("the monitor is gone")
