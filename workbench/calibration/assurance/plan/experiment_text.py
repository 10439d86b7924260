"""The file that makes a directory an experiment: its plan, and the machine it was begun on."""

import json
from dataclasses import dataclass

from k40s.errors import InvalidInputError
from k40s.strict_json import Json, read_json
from workbench.calibration.assurance.plan.experiment import (
    MOST_REPETITIONS,
    MOST_SECONDS,
    MOST_STRESSORS,
    Experiment,
    Policy,
    Stress,
)

_VERSION = 1
_MOST_CPUS = 4096
_MOST_LOOP = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """An experiment on its machine. ``loop`` is rt-app's calibration, in ns for each round.

    ``kernel`` is the release, ``machine`` names the CPU and how many there are.
    """

    experiment: Experiment
    kernel: str
    machine: str
    loop: int


def format_setting(setting: Setting) -> str:
    """The file's text."""
    plan = setting.experiment
    return (
        json.dumps(
            {
                "v": _VERSION,
                "kind": "assurance-experiment",
                "kernel": setting.kernel,
                "machine": setting.machine,
                "ns_per_loop": setting.loop,
                "cpus": list(plan.cpus),
                "policies": list(plan.policies),
                "stresses": list(plan.stresses),
                "stressors": list(plan.stressors),
                "repetitions": plan.repetitions,
                "cooldown_s": plan.cooldown,
                "stress_s": plan.stress_time,
            },
            indent=2,
        )
        + "\n"
    )


def read_setting(text: str, *, source: str) -> Setting:
    """Read the file. Raises ``InvalidInputError``."""
    whole = read_json(text, source=source, error=InvalidInputError)
    plan = ("cpus", "policies", "stresses", "stressors", "repetitions", "cooldown_s", "stress_s")
    field = whole.fields(("v", "kind", "kernel", "machine", "ns_per_loop", *plan))
    field["v"].integer(_VERSION, _VERSION)
    if field["kind"].value != "assurance-experiment":
        raise field["kind"].invalid('"assurance-experiment"')
    try:
        experiment = Experiment(
            cpus=_integers(field["cpus"], 0, _MOST_CPUS),
            policies=tuple(
                item.member_of(Policy) for item in field["policies"].items(at_most=len(Policy))
            ),
            stresses=tuple(
                item.member_of(Stress) for item in field["stresses"].items(at_most=len(Stress))
            ),
            stressors=_integers(field["stressors"], 1, MOST_STRESSORS),
            repetitions=field["repetitions"].integer(1, MOST_REPETITIONS),
            cooldown=field["cooldown_s"].integer(1, MOST_SECONDS),
            stress_time=field["stress_s"].integer(1, MOST_SECONDS),
        )
    except ValueError as error:
        raise whole.invalid(str(error), found="another plan") from None
    return Setting(
        experiment=experiment,
        kernel=_text(field["kernel"]),
        machine=_text(field["machine"]),
        loop=field["ns_per_loop"].integer(1, _MOST_LOOP),
    )


def differences(one: Experiment, other: Experiment) -> str:
    """What differs between two plans, in words; "" for equal ones."""
    pairs = {
        "CPUs": (one.cpus, other.cpus),
        "policies": (one.policies, other.policies),
        "stresses": (one.stresses, other.stresses),
        "stressors": (one.stressors, other.stressors),
        "repetitions": ((one.repetitions,), (other.repetitions,)),
        "cooldown": ((one.cooldown,), (other.cooldown,)),
        "time of stress": ((one.stress_time,), (other.stress_time,)),
    }
    return ", ".join(
        f"{name} {','.join(map(str, here))} instead of {','.join(map(str, there))}"
        for name, (here, there) in pairs.items()
        if here != there
    )


def _integers(place: Json, lowest: int, highest: int) -> tuple[int, ...]:
    return tuple(item.integer(lowest, highest) for item in place.items(at_most=_MOST_CPUS))


def _text(place: Json) -> str:
    if not isinstance(place.value, str) or not place.value:
        raise place.invalid("a text")
    return place.value
