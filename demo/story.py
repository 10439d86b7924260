"""The chapters in order: later ones need the pods of earlier ones."""

from demo.network import give_slots_of_a_network
from demo.observer import WaitTimeoutError
from demo.placement import follow_the_assurance, place_by_criticality
from demo.real_time import (
    admit_what_fits_and_no_more,
    give_everything_back,
    hold_a_task_to_its_budget,
)
from demo.report import Check
from demo.stage import Stage

CHAPTERS = (
    hold_a_task_to_its_budget,
    admit_what_fits_and_no_more,
    place_by_criticality,
    follow_the_assurance,
    give_slots_of_a_network,
    give_everything_back,
)


def play(stage: Stage) -> list[Check]:
    """Play every chapter and return all that was checked.

    A chapter whose wait times out becomes a check that did not hold; the next chapter follows.
    """
    stage.observer.delete_all()
    checks: list[Check] = []
    for chapter in CHAPTERS:
        try:
            checks += chapter(stage)
        except WaitTimeoutError as error:
            stage.say(f"    {error}")
            title = (chapter.__doc__ or chapter.__name__).splitlines()[0]
            checks.append(Check(claim=title, expected="in time", measured=str(error), held=False))
    return checks
