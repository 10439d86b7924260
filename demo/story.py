"""The chapters in order: later ones need the pods of earlier ones."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

from demo.chapters.hazard import respond_to_hazards
from demo.chapters.network import give_slots_of_a_network
from demo.chapters.placement import place_by_criticality
from demo.chapters.real_time import (
    admit_what_fits_and_no_more,
    give_everything_back,
    hold_a_task_to_its_budget,
)
from demo.chapters.who_gets_what import decide_who_gets_what, refuse_mistakes
from demo.chapters.without_budgets import leave_nothing, refuse_what_cannot_be_held
from demo.observer import WaitTimeoutError
from demo.report import Check
from demo.stage import Chapter, Stage
from k40s.cpu.model import Mechanism
from localcluster.deploy import NAMESPACE

CHAPTERS: Sequence[Chapter] = (
    hold_a_task_to_its_budget,
    admit_what_fits_and_no_more,
    place_by_criticality,
    decide_who_gets_what,
    respond_to_hazards,
    give_slots_of_a_network,
    give_everything_back,
)
WITHOUT_BUDGETS: Sequence[Chapter] = (
    refuse_what_cannot_be_held,
    place_by_criticality,
    refuse_mistakes,
    respond_to_hazards,
    give_slots_of_a_network,
    leave_nothing,
)
"""What is left to tell where the kernel holds nobody to a budget."""

_MEANS: Mapping[Mechanism, str] = {
    Mechanism.RT_CGROUP: "by budget groups of cgroup v1 (rt-cgroups)",
    Mechanism.DEADLINE: "by SCHED_DEADLINE, on a CPU that is a root domain of its own",
}


def play(stage: Stage) -> list[Check]:
    """Play every chapter and return all that was checked.

    A chapter whose wait times out becomes a check that did not hold; the next chapter follows.
    """
    stage.observer.delete_all()
    mechanism = stage.mechanism()
    stage.say(_introduce(stage, mechanism))
    checks: list[Check] = []
    for chapter in CHAPTERS if mechanism else WITHOUT_BUDGETS:
        try:
            checks += chapter(stage)
        except WaitTimeoutError as error:
            stage.say(f"    {error}")
            title = (chapter.__doc__ or "").splitlines()[0]
            checks.append(Check(claim=title, expected="in time", measured=str(error), held=False))
    return checks


def _introduce(stage: Stage, mechanism: Mechanism | None) -> str:
    node = stage.real_time_node
    if mechanism is not None:
        return f"Node {node} holds real-time threads to their budgets {_MEANS[mechanism]}"
    causes = "; ".join(
        problems_in(stage.observer.log_of("daemonset/rubicante", namespace=NAMESPACE))
    )
    return (
        f"Node {node} cannot hold real-time threads to budgets: {causes or 'it does not say why'}"
    )


def problems_in(log: str) -> list[str]:
    """Why a node's daemon can enforce nothing, by its log."""
    found: list[str] = []
    for line in log.splitlines():
        with suppress(ValueError):
            fields = json.loads(line)
            if isinstance(fields, dict) and fields.get("message") == "capability":
                found = [str(text) for text in fields.get("problems", ())]
    return found
