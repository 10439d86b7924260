"""Carries out acts on pods, keeps them in force, and undoes them: the one gate for every act.

A hold is in the book before its first write and until after its last restore. So wherever the
process is killed, the book has whatever may be in force.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from daemons.malacoda.actuator.book import KILLS, HoldBook
from daemons.malacoda.actuator.gate import GatePolicy, recent, refuse
from daemons.malacoda.actuator.holds import PodHold, Write, merge
from daemons.malacoda.actuator.kernel import CgroupFiles
from daemons.malacoda.actuator.plan import Plan, find_kill, find_pod, plan_freeze, plan_throttle
from daemons.malacoda.actuator.plan_cpus import find_copies, plan_move
from daemons.malacoda.actuator.protocol import Answer, Refusal, Request, Result
from daemons.malacoda.actuator.real_time import RealTimePods
from daemons.malacoda.actuator.writes import put_value, restore_values
from k40s.assurance.response.acts import Step
from k40s.errors import K40sError, KernelError, UnavailableError
from k40s.units import Clock

log = logging.getLogger(__name__)

_FAILURES = (OSError, ValueError, K40sError)
"""Of the kernel, of the disk, and of values that make no sense."""
_MOST_REPAIRS = 30
"""A hold that others have overwritten so often is given up."""


class Actuator:
    """For one thread. ``cgroup_root`` is kubelet's; with ``dry_run`` answers say so."""

    def __init__(
        self,
        *,
        files: CgroupFiles,
        book: HoldBook,
        policy: GatePolicy,
        cgroup_root: str,
        real_time: RealTimePods,
        dry_run: bool = False,
        clock: Clock = time.monotonic_ns,
    ) -> None:
        """Reads the book. Raises ``UnavailableError``."""
        self.overwritten = 0
        self._files = files
        self._book = book
        self._policy = policy
        self._cgroup_root = cgroup_root
        self._real_time = real_time
        self._done = Result.DRY_RUN if dry_run else Result.DONE
        self._clock = clock
        self._holds = {hold.uid: hold for hold in book.holds()}
        self._since = dict.fromkeys(self._holds, clock())
        self._repairs: dict[str, int] = {}
        self._acts = book.acts()
        self._kills = book.acts(KILLS)
        self._failed: dict[str, str] = {}
        self._undoing: set[str] = set()
        """Pods of which a step could not be undone: that is tried again, not kept in force."""

    @property
    def holds(self) -> tuple[PodHold, ...]:
        """What may be in force."""
        return tuple(self._holds.values())

    def answer(self, request: Request) -> Answer:
        """Carry out a request, and say what is in force after it."""
        step = request.verb.step
        if step is None:
            return self._answer(Result.DONE)
        if request.verb.undoes:
            return self._give_back(request.uid, step, why="asked for")
        return self._take(request, step)

    def undo_all(self, why: str) -> bool:
        """Undo every hold; returns whether nothing is left."""
        for hold in self.holds:
            self._undo_pod(hold, why=why)
        return not self._holds

    def look(self) -> None:
        """Keep holds in force, and end those of pods that are gone, or held for too long."""
        for hold in self.holds:
            if hold.uid in self._undoing:
                self._undo_pod(hold, why="tried again")
            elif self._clock() - self._since[hold.uid] >= self._policy.longest_hold:
                self._undo_pod(hold, why="held for too long")
            elif self._repairs.get(hold.uid, 0) >= _MOST_REPAIRS:
                self._undo_pod(hold, why="overwritten again and again")
            else:
                self._keep(hold)

    def _take(self, request: Request, step: Step) -> Answer:
        hold = self._holds.get(request.uid, PodHold(uid=request.uid, pod=request.pod))
        if hold.writes(step) is not None:
            return self._answer(self._done, text="it is in force already")
        at = self._clock()
        reason = refuse(
            self._policy,
            step=step,
            uid=hold.uid,
            held=self._holds,
            acts=self._acts,
            kills=self._kills,
            at=at,
        )
        if reason is not None:
            return self._refused(request, reason)
        earlier = self._acts, self._kills
        hold = replace(hold, quota=request.quota or hold.quota, off=request.off or hold.off)
        try:
            if step is Step.KILL:
                return self._kill(request, at)
            plan = self._plan(hold.uid, step, hold)
            if isinstance(plan, Refusal):
                return self._refused(request, plan)
            self._acts = (*recent(self._acts, at), at)
            self._book.put_acts(self._acts)
            self._begin(hold, step, plan)
        except _FAILURES as error:
            log.error(  # noqa: TRY400  # the text says it all
                "act failed",
                extra={"act": request.verb.value, "pod": hold.uid, "cause": str(error)},
            )
            if not isinstance(error, OSError | KernelError):
                self._acts, self._kills = earlier  # the disk has failed, not the kernel
            return self._answer(Result.FAILED, text=str(error))
        log.warning("pod held", extra=_fields(self._holds[hold.uid], step, self._done))
        return self._answer(self._done)

    def _kill(self, request: Request, at: int) -> Answer:
        """Have the kernel kill all of the pod's processes; it counts before it is done."""
        path = find_kill(self._files, self._cgroup_root, request.uid)
        if isinstance(path, Refusal):
            return self._refused(request, path)
        if self._has_real_time(request.uid):
            return self._refused(request, Refusal.REAL_TIME)
        self._acts, self._kills = (*recent(self._acts, at), at), (*recent(self._kills, at), at)
        self._book.put_acts(self._acts)
        self._book.put_acts(self._kills, KILLS)
        self._files.tell(path, "1")
        extra = {"pod": request.uid, "suspect": request.pod, "result": self._done.value}
        log.warning("pod killed", extra=extra)
        return self._answer(self._done)

    def _has_real_time(self, uid: str) -> bool:
        real_time = self._real_time.find()
        return real_time is None or uid in real_time

    def _begin(self, hold: PodHold, step: Step, plan: Sequence[Write]) -> None:
        """Write the hold, then the values; take both back where the kernel refuses one."""
        held = hold.with_writes(step, tuple(plan))
        self._remember(held)
        try:
            for write in plan:
                put_value(self._files, write.path, write.after)
        except (OSError, KernelError):
            self._give_back(hold.uid, step, why="refused by the kernel")
            raise

    def _give_back(self, uid: str, step: Step, *, why: str) -> Answer:
        """Restore what a step has changed, the last write first. It may be repeated."""
        hold = self._holds.get(uid)
        writes = None if hold is None else hold.writes(step)
        if hold is None or writes is None:
            return self._answer(self._done, text="it is not in force")
        try:
            restore_values(self._files, uid, self._with_copies(step, writes))
            self._forget(hold.without(step))
        except (OSError, KernelError, UnavailableError) as error:
            text = f"{step}: {error}"
            if self._failed.get(uid) != text:
                log.error("hold not undone", extra={"pod": uid, "cause": text})  # noqa: TRY400  # as above
            self._failed[uid] = text
            self._undoing.add(uid)
            return self._answer(Result.FAILED, text=text)
        self._failed.pop(uid, None)
        log.warning("pod released", extra={**_fields(hold, step, self._done), "cause": why})
        return self._answer(self._done)

    def _keep(self, hold: PodHold) -> None:
        for step, writes in hold.steps:
            try:
                plan = self._plan(hold.uid, step, hold)
                if plan is Refusal.UNKNOWN_POD:
                    self._forget(replace(hold, steps=()))
                    log.info("held pod gone", extra={"pod": hold.uid, "suspect": hold.pod})
                    return
                if isinstance(plan, Refusal):
                    continue  # in force as it was written, or lower
                self.overwritten += 1
                self._repairs[hold.uid] = self._repairs.get(hold.uid, 0) + 1
                extra = {"pod": hold.uid, "suspect": hold.pod, "files": [w.path for w in plan]}
                log.warning("held pod's values overwritten", extra=extra)
                hold = hold.with_writes(step, merge(self._with_copies(step, writes), plan))
                self._remember(hold)
                for write in plan:
                    put_value(self._files, write.path, write.after)
            except _FAILURES as error:
                extra = {"pod": hold.uid, "cause": str(error)}
                if self._failed.get(hold.uid) != str(error):
                    log.error("hold not kept", extra=extra)  # noqa: TRY400  # as above
                self._failed[hold.uid] = str(error)

    def _plan(self, uid: str, step: Step, hold: PodHold) -> Plan:
        pod = find_pod(self._files, self._cgroup_root, uid)
        if isinstance(pod, Refusal):
            return pod
        if step is not Step.QUOTA and self._has_real_time(uid):
            return Refusal.REAL_TIME
        if step is Step.FREEZE:
            return plan_freeze(self._files, pod)
        if step is Step.MOVE:
            return plan_move(self._files, pod, hold.off)
        if hold.quota is None:
            raise ValueError("a throttled pod has a quota")
        return plan_throttle(self._files, pod, hold.quota)

    def _with_copies(self, step: Step, writes: tuple[Write, ...]) -> tuple[Write, ...]:
        copies = find_copies(self._files, writes) if step is Step.MOVE and writes else ()
        return (*copies, *writes)

    def _undo_pod(self, hold: PodHold, *, why: str) -> None:
        for step, _ in reversed(hold.steps):
            self._give_back(hold.uid, step, why=why)

    def _remember(self, hold: PodHold) -> None:
        self._book.put(hold)
        self._holds[hold.uid] = hold
        self._since.setdefault(hold.uid, self._clock())

    def _forget(self, hold: PodHold) -> None:
        """Keep what is left of a hold."""
        self._book.put(hold)
        if hold.steps:
            self._holds[hold.uid] = hold
            return
        for entries in (self._holds, self._since, self._repairs, self._failed):
            entries.pop(hold.uid, None)
        self._undoing.discard(hold.uid)

    def _refused(self, request: Request, reason: Refusal) -> Answer:
        extra = {"act": request.verb.value, "pod": request.uid, "reason": reason.value}
        log.warning("act refused", extra=extra)
        return self._answer(Result.REFUSED, reason=reason.value)

    def _answer(self, result: Result, *, reason: str = "", text: str = "") -> Answer:
        return Answer(
            result=result,
            reason=reason,
            text=text,
            held=tuple(hold.held for hold in self._holds.values()),
            overwritten=self.overwritten,
        )


def _fields(hold: PodHold, step: Step, result: Result) -> dict[str, object]:
    writes = hold.writes(step) or ()
    return {
        "pod": hold.uid,
        "suspect": hold.pod,
        "step": step.value,
        "result": result.value,
        "writes": [f"{write.path}: {write.before} -> {write.after}" for write in writes],
    }
