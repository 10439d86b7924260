"""The response to a hazard: judges each sample, asks the actuator, reports what was done.

Runs in a thread of its own, so that sampling never waits for the actuator or the disk. The
actuator keeps the holds; what it says is in force replaces what this process believes.
"""

import time
from dataclasses import replace
from typing import Protocol

from daemons.malacoda.actuator.protocol import Answer, Refusal, Request, Result, Verb
from daemons.malacoda.culprit.handover import Handover, Judgement
from daemons.malacoda.culprit.pods import PodView
from daemons.malacoda.response.act_text import UNFIT
from daemons.malacoda.response.metrics import ResponseMetrics
from daemons.malacoda.response.reports import UNREACHABLE, ActReports
from k40s.assurance.response.acts import Act, ActKind, Cause, Hold, Reason, undo_steps
from k40s.assurance.response.harm import HarmState
from k40s.assurance.response.policy import Hazard, ResponsePolicy
from k40s.assurance.response.respond import advance, agree, clear, confirm, withdraw
from k40s.assurance.response.state import ResponseState
from k40s.errors import UnavailableError
from k40s.units import NS_PER_S, Clock, Nanoseconds

_WAIT_SECONDS = 0.5
_PAUSE = Nanoseconds(5 * NS_PER_S)
"""After an act that the actuator could not carry out, or not yet."""
_IDLE = Nanoseconds(NS_PER_S)
"""Time between two calls where nothing is held and no alarm is active."""
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
        clock: Clock = time.monotonic_ns,
    ) -> None:
        self.state = ResponseState()
        self._handover = handover
        self._pods = pods
        self._harms = harms
        self._actuator = actuator
        self._policy = policy
        self._reports = reports
        self._metrics = metrics
        self._clock = clock
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
            replace(self._policy, rungs=()) if paused else self._policy,
            at=judgement.at,
            hazard=Hazard(metrics=watched.hazards, harmed=harm.harmed, harm=harm.evidence),
            finding=judgement.finding,
            gone=self.state.known - view.identities.keys(),
            ending=view.deleting,
        )
        for act in acts:
            self._carry_out(act, view, judgement)

    def _carry_out(self, act: Act, view: PodView, judgement: Judgement, *, why: str = "") -> None:
        """Ask for an act, unless the pod may not be acted on; take over what is in force then."""
        ending = act.kind is ActKind.FREEZE and act.uid in view.deleting
        if not act.undoes and (ending or not may_be_held(view, act.uid)):
            self._reports.not_done(act, view, result="refused", reason="not-lower-or-ending")
            self.state = clear(confirm(self.state, act, at=judgement.at, done=False), act.uid)
            self.state = withdraw(self.state, act, again=False)
            return
        try:
            answer = self._actuator.ask(_request(act))
        except UnavailableError as error:
            self._reports.not_done(act, view, result=UNREACHABLE, text=str(error))
            raise
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
        """After an act that was not done: wait, or leave the pod alone while the hazard lasts."""
        lasting = answer.reason in set(Refusal) and not Refusal(answer.reason).transient
        self.state = withdraw(self.state, act, again=not lasting)
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


def _request(act: Act) -> Request:
    return Request(verb=Verb(act.kind.value), uid=act.uid, pod=act.pod, quota=act.quota)
