"""A measured run of a machine: identity, times, and its saved form."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from k40s.errors import InvalidInputError
from k40s.strict_json import Json
from workbench.calibration.machine import Identity
from workbench.calibration.speed import KERNELS, KERNELS_VERSION, Times
from workbench.inputs.document import read_document

_VERSION = 1
_PERCENTILES = (5, 50, 99)
_NAME = re.compile(r"[a-z]{1,20}", re.ASCII)
_TEXT = re.compile(r"[ -~]{0,200}", re.ASCII)
_MAX_NS = 10**12
_MAX_MHZ = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Percentiles of one kernel's time over the repetitions, in ns."""

    kernel: str
    p5: int
    median: int
    p99: int
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRun:
    """``interpreter`` is the Python and numpy that ran it; ``steal`` the share of stolen time."""

    identity: Identity
    interpreter: str
    kernels: int
    repetitions: int
    core: int
    steal: Fraction
    spreads: tuple[Spread, ...]


def spread_of(times: Times) -> Spread:
    """Percentiles by nearest rank."""
    found = [_ranked(times.sorted_ns, percentile) for percentile in _PERCENTILES]
    p5, median, p99 = found
    return Spread(kernel=times.name, p5=p5, median=median, p99=p99, longest=times.sorted_ns[-1])


def run_json(run: SpeedRun) -> dict[str, object]:
    """The object that ``--save`` writes and ``--reference`` reads."""
    identity = run.identity
    return {
        "v": _VERSION,
        "kind": "platform-run",
        "identity": {
            "model": identity.model,
            "microarchitecture": identity.microarchitecture,
            "kinds": identity.kinds,
            "governor": identity.governor,
            "min_mhz": identity.min_mhz,
            "max_mhz": identity.max_mhz,
            "boost": identity.boost,
            "smt": identity.smt,
            "virtual": identity.virtual,
        },
        "platform": identity.platform,
        "interpreter": run.interpreter,
        "kernels": run.kernels,
        "repetitions": run.repetitions,
        "core": run.core,
        "steal": str(run.steal),
        "times_ns": {
            spread.kernel: {
                "p5": spread.p5,
                "median": spread.median,
                "p99": spread.p99,
                "max": spread.longest,
            }
            for spread in run.spreads
        },
    }


def read_run(text: str, *, source: str) -> SpeedRun:
    """Read a saved run. Raises ``InvalidInputError``."""
    element = read_document(text, source=source)
    field = element.fields(
        (
            *("v", "kind", "identity", "platform", "interpreter", "kernels"),
            *("repetitions", "core", "steal", "times_ns"),
        )
    )
    field["v"].integer(_VERSION, _VERSION)
    if field["kind"].value != "platform-run":
        raise field["kind"].invalid('"platform-run"')
    return SpeedRun(
        identity=_read_identity(field["identity"]),
        interpreter=field["interpreter"].text(_TEXT, "the interpreter's name"),
        kernels=field["kernels"].integer(1, 1000),
        repetitions=field["repetitions"].integer(1, 1_000_000),
        core=field["core"].integer(0, 9999),
        steal=field["steal"].fraction(),
        spreads=tuple(
            _read_spread(name, member) for name, member in field["times_ns"].members().items()
        ),
    )


def check_comparable(reference: SpeedRun, *, interpreter: str, source: str) -> None:
    """Raise ``InvalidInputError`` where a difference would not be the machine's."""

    def at(path: str, value: object) -> Json:
        return Json(value=value, source=source, error=InvalidInputError, path=path)

    if reference.kernels != KERNELS_VERSION:
        raise at("$.kernels", reference.kernels).invalid(
            f"{KERNELS_VERSION}: the pieces of work are others, measure again"
        )
    if reference.interpreter != interpreter:
        raise at("$.interpreter", reference.interpreter).invalid(
            f"{interpreter}, as here: another interpreter differs as much as another CPU"
        )
    if {spread.kernel for spread in reference.spreads} != set(KERNELS):
        raise at("$.times_ns", None).invalid(", ".join(KERNELS), found="other pieces of work")


def _read_spread(name: str, element: Json) -> Spread:
    field = element.fields(("p5", "median", "p99", "max"))
    if _NAME.fullmatch(name) is None:
        raise element.invalid("under a kernel's name")
    longest = field["max"].integer(1, _MAX_NS)
    p99 = field["p99"].integer(1, longest)
    median = field["median"].integer(1, p99)
    p5 = field["p5"].integer(1, median)
    return Spread(kernel=name, p5=p5, median=median, p99=p99, longest=longest)


def _read_identity(element: Json) -> Identity:
    field = element.fields(
        (
            *("model", "microarchitecture", "kinds", "governor", "min_mhz", "max_mhz"),
            *("boost", "smt", "virtual"),
        )
    )
    return Identity(
        model=field["model"].text(_TEXT, "a CPU's name"),
        microarchitecture=field["microarchitecture"].text(_TEXT, "a microarchitecture"),
        kinds=field["kinds"].integer(0, 9999),
        governor=field["governor"].text(_TEXT, "a governor's name"),
        min_mhz=_optional_mhz(field["min_mhz"]),
        max_mhz=_optional_mhz(field["max_mhz"]),
        boost=_optional_boolean(field["boost"]),
        smt=_optional_boolean(field["smt"]),
        virtual=field["virtual"].boolean(),
    )


def _optional_mhz(element: Json) -> int | None:
    return None if element.value is None else element.integer(1, _MAX_MHZ)


def _optional_boolean(element: Json) -> bool | None:
    return None if element.value is None else element.boolean()


def _ranked(ordered: Sequence[int], percentile: int) -> int:
    """The least value that so many per cent do not exceed."""
    return ordered[max(0, -(-len(ordered) * percentile // 100) - 1)]
