"""The response to a hazard: judges each sample, asks the actuator, reports what was done.

Runs in a thread of its own, so that sampling never waits for the actuator or the disk. The
actuator keeps the holds; what it says is in force replaces what this process believes.
"""

import logging
import time
from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from daemons.malacoda.actuator.protocol import Answer, Refusal, Request, Result, Verb
from daemons.malacoda.culprit.handover import Handover, Judgement
from daemons.malacoda.culprit.pods import PodView
from daemons.malacoda.response.act_text import UNFIT
from daemons.malacoda.response.evictions import EvictionRequests
from daemons.malacoda.response.metrics import ResponseMetrics
from daemons.malacoda.response.reports import UNREACHABLE, ActReports
from k40s.assurance.detector import Victim
from k40s.assurance.response.acts import Act, ActKind, Cause, Hold, Reason, Step, undo_steps
from k40s.assurance.response.harm import HarmState
from k40s.assurance.response.policy import Block, Hazard, ResponsePolicy
from k40s.assurance.response.respond import advance, agree, clear, confirm, withdraw
from k40s.assurance.response.state import ResponseState
from k40s.criticality import Criticality
from k40s.errors import UnavailableError
from k40s.units import NS_PER_S, Clock, Nanoseconds

log = logging.getLogger(__name__)

_WAIT_SECONDS = 0.5
_PAUSE = Nanoseconds(5 * NS_PER_S)
"""After an act that the actuator could not carry out, or not yet."""
_IDLE = Nanoseconds(NS_PER_S)
"""Time between two calls where nothing is held and no alarm is active."""
_NOT_OF_ENDING = (ActKind.FREEZE, ActKind.KILL)
"""A pod that is being deleted could not end frozen, and kubelet kills it itself."""
_PATIENCE = Nanoseconds(5 * NS_PER_S)
"""An actuator that cannot be reached for so long is reported on the Node."""


class Actuator(Protocol):
    """Carries out acts; implemented by ``ActuatorClient``."""

    def ask(self, request: Request) -> Answer:
        """Raises ``UnavailableError``."""

    def close(self) -> None:
        """Close the connection: the actuator undoes everything."""


class Harms(Protocol):
    """The gauge of harm; implemented by ``HarmGauge``."""

    @property
    def known(self) -> HarmState:
        """As of the last sample, if it is fresh; ``harmed`` is None where nothing tells."""


class Cpus(Protocol):
    """Where critical threads may run; implemented by ``CriticalCpus``."""

    def find(
        self, pods: Collection[str], *, real_time: Collection[str] = ()
    ) -> frozenset[int] | None:
        """The CPUs of the threads of these pods; None where that is not known."""


class Pods(Protocol):
    """The node's pods."""

    @property
    def view(self) -> PodView:
        """As the informer last reported them."""


class Responder:
    """``tick`` is called in a loop by one thread, and waits for the next sample."""

    def __init__(
        self,
        *,
        handover: Handover,
        pods: Pods,
        harms: Harms,
        actuator: Actuator,
        policy: ResponsePolicy,
        reports: ActReports,
        metrics: ResponseMetrics,
        evictions: EvictionRequests,
        cpus: Cpus | None = None,
        own_cpus: frozenset[int] = frozenset(),
        clock: Clock = time.monotonic_ns,
    ) -> None:
        """``own_cpus`` are the node's; without ``cpus`` no pod is moved."""
        self.state = ResponseState()
        self._cpus = cpus
        self._own_cpus = own_cpus
        self._off: frozenset[int] = frozenset()
        self._handover = handover
        self._pods = pods
        self._harms = harms
        self._actuator = actuator
        self._policy = policy
        self._reports = reports
        self._metrics = metrics
        self._evictions = evictions
        self._clock = clock
        self._dry = False
        self._blocked: Block | None = None
        self._paused_until = clock()
        self._spoke = clock() - _IDLE
        self._lost: int | None = None

    def tick(self) -> None:
        """Respond to the next sample. Without one the actuator is told nothing, and lets go."""
        judgement = self._handover.take(_WAIT_SECONDS)
        if judgement is None:
            return
        judged = False
        try:
            self._respond(judgement)
            judged = True
        except UnavailableError as error:
            self._disconnected(error)
            judged = True
        finally:
            if not judged:  # unforeseen: what is held must not stay so without judgement
                self._let_go()
            self._handover.held = self.state.held
            self._handover.cleared = self.state.cleared
            self._metrics.held.set(len(self.state.held))

    def close(self) -> None:
        """Close the connection."""
        self._actuator.close()

    def _respond(self, judgement: Judgement) -> None:
        view, harm = self._pods.view, self._harms.known
        if self._must_speak(judgement):
            self._connected(self._actuator.ask(Request(verb=Verb.KEEP)), judgement)
        for case in self.state.cases:
            if not may_be_held(view, case.hold.uid):
                for act in undo_steps(case.hold, Reason(cause=Cause.OVER)):
                    self._carry_out(act, view, judgement, why=UNFIT)
        paused = self._clock() < self._paused_until
        watched = judgement.watched
        self.state, acts = advance(
            self.state,
            replace(self._policy, rungs=()) if paused else self._rungs(view, judgement),
            at=judgement.at,
            hazard=Hazard(metrics=watched.hazards, harmed=harm.harmed, harm=harm.evidence),
            finding=judgement.finding,
            gone=self.state.known - view.identities.keys(),
            ending=view.deleting,
        )
        self._tell_block()
        for act in acts:
            self._carry_out(act, view, judgement)
        self._evictions.keep(self._wanted(view))

    def _rungs(self, view: PodView, judgement: Judgement) -> ResponsePolicy:
        """The policy, without moving where no CPU is known to be free of critical threads.

        That is found out while a hazard lasts, and moving may be the next step of some pod.
        """
        if self._cpus is None or not judgement.watched.hazards or not self._may_move_next():
            return self._policy.without(Step.MOVE)
        critical = {
            uid
            for uid, pod in view.identities.items()
            if pod.criticality is not Criticality.NO and uid not in self.state.held
        }
        alone = frozenset() if Victim.ORDINARY in view.victims else view.real_time
        found = self._cpus.find(critical, real_time=alone) or frozenset()
        self._off = found & self._own_cpus
        spare = self._own_cpus - found
        return self._policy if self._off and spare else self._policy.without(Step.MOVE)

    def _may_move_next(self) -> bool:
        """Whether moving comes after what some pod has; a relapse may bring the last hold again."""
        rungs = [self._policy.after(case.hold.reached) for case in self.state.cases]
        rungs += [self._policy.after(release.hold.reached) for release in self.state.releases]
        again = bool(self.state.releases) and self._policy.strongest_hold is Step.MOVE
        return again or any(rung is not None and rung.step is Step.MOVE for rung in rungs)

    def _tell_block(self) -> None:
        """Log what keeps the next step from being taken, once until it is another."""
        blocked = self.state.blocked
        if blocked is not None and blocked is not self._blocked:
            log.warning("next step held back", extra={"why": blocked.value})
        self._blocked = blocked or self._blocked
        if not self.state.cases:
            self._blocked = None

    def _wanted(self, view: PodView) -> frozenset[str]:
        """The pods whose eviction is still asked for: that step is reached, and they do not end."""
        return frozenset(
            case.hold.uid
            for case in self.state.cases
            if not case.hold.reached.reversible
            and case.releasing is None
            and case.hold.uid not in view.deleting
        )

    def _ask_eviction(self, act: Act, view: PodView, judgement: Judgement) -> None:
        """Ask the controller for an eviction: the Node's annotation, not the actuator, says so."""
        if not self._dry:
            self._evictions.ask(act, harmed=self._harms.known.harmed)
        result = Result.DRY_RUN if self._dry else Result.DONE
        self._reports.done(act, view, judgement, answer=Answer(result=result))
        self.state = confirm(self.state, act, at=judgement.at, done=True)

    def _carry_out(self, act: Act, view: PodView, judgement: Judgement, *, why: str = "") -> None:
        """Ask for an act, unless the pod may not be acted on; take over what is in force then."""
        ending = act.kind in _NOT_OF_ENDING and act.uid in view.deleting
        if not act.undoes and (ending or not may_be_held(view, act.uid)):
            self._reports.not_done(act, view, result="refused", reason="not-lower-or-ending")
            self.state = clear(confirm(self.state, act, at=judgement.at, done=False), act.uid)
            self.state = withdraw(self.state, act, again=False)
            return
        if act.kind is ActKind.EVICT:
            self._ask_eviction(act, view, judgement)
            return
        try:
            answer = self._actuator.ask(_request(act, self._off))
        except UnavailableError as error:
            self._reports.not_done(act, view, result=UNREACHABLE, text=str(error))
            raise
        self._dry = answer.result is Result.DRY_RUN
        done = answer.result in {Result.DONE, Result.DRY_RUN}
        if done:
            self._reports.done(act, view, judgement, answer=answer, why=why)
        else:
            self._reports.not_done(
                act, view, result=answer.result.value, reason=answer.reason, text=answer.text
            )
        self.state = confirm(self.state, act, at=judgement.at, done=done)
        self.state = agree(self.state, _holds(answer), at=judgement.at)
        if not done and not act.undoes:
            self._give_way(act, answer)

    def _give_way(self, act: Act, answer: Answer) -> None:
        """After an act that was not done: wait, or leave the pod alone while the hazard lasts.

        A pod that cannot be moved goes on to the step after it.
        """
        known = answer.reason in set(Refusal)
        lasting = not Refusal(answer.reason).transient if known else act.kind is ActKind.MOVE
        self.state = withdraw(self.state, act, again=not lasting)
        if lasting and act.kind is ActKind.MOVE:
            return
        if lasting:
            self.state = clear(self.state, act.uid)
        else:
            self._paused_until = self._clock() + _PAUSE

    def _must_speak(self, judgement: Judgement) -> bool:
        """After each sample while anything is held or to be; else often enough to be missed."""
        active = bool(self.state.cases or judgement.watched.hazards or self._lost is not None)
        return active or self._clock() - self._spoke >= _IDLE

    def _connected(self, answer: Answer, judgement: Judgement) -> None:
        self._lost = None
        self._spoke = self._clock()
        self._reports.connected(overwritten=answer.overwritten)
        self.state = agree(self.state, _holds(answer), at=judgement.at)

    def _let_go(self) -> None:
        self._actuator.close()
        self._evictions.keep(())
        self.state = ResponseState(taken=self.state.taken)

    def _disconnected(self, error: UnavailableError) -> None:
        """Nothing is held any more, or will not be soon: the actuator undoes it by itself."""
        self._let_go()
        if self._lost is None:
            self._lost = self._clock()
        lasting = self._clock() - self._lost >= _PATIENCE
        self._reports.disconnected(str(error), lasting=lasting)


def may_be_held(view: PodView, uid: str) -> bool:
    """Whether a pod is there, not protected, and less critical than the threatened ones."""
    identity = view.identities.get(uid)
    return (
        identity is not None and not identity.protected and identity.criticality < view.threatened
    )


def _holds(answer: Answer) -> dict[str, Hold]:
    return {
        held.uid: Hold(
            uid=held.uid,
            pod=held.pod,
            steps=held.steps,
            reached=max(held.steps, key=lambda step: step.rank),
        )
        for held in answer.held
        if held.steps
    }


def _request(act: Act, off: Collection[int]) -> Request:
    return Request(
        verb=Verb(act.kind.value),
        uid=act.uid,
        pod=act.pod,
        quota=act.quota,
        off=tuple(sorted(off)) if act.kind is ActKind.MOVE else (),
    )
