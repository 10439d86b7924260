"""How many product files one call enters, that is, how far a reader has to follow it.

    python -m bench.files_entered [--list]

A file counts if one of its functions runs between the call and its answer, on the tests' fakes:
files of k40s, extender and daemons, without ``__init__``, module bodies, generated methods, and the
files that define values which every layer passes on (``VALUES``).
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from daemons.rubicante.api.app import create_app
from k40s.cpu.admission.admit import admit
from k40s.cpu.outcome import Admission
from tests.fakes.extender.world import World as ExtenderWorld
from tests.fakes.extender.world import (
    make_args,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
)
from tests.fakes.rubicante.http import PATH, body, state_of
from tests.fakes.rubicante.world import World as NodeWorld
from tests.fakes.rubicante.world import pod
from tests.oracles.pods import empty_node, pod_of

Call = Callable[[], bool]
"""True if the call did what it is measured for."""

ROOT = Path(__file__).parents[1]
PRODUCT = ("k40s/", "extender/", "daemons/")
VALUES = (
    "k40s/units.py",
    "k40s/criticality.py",
    "k40s/cpu/model.py",
    "k40s/kube/records.py",
    "daemons/rubicante/book/entry.py",
    "daemons/rubicante/mechanisms/back_end.py",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One call, prepared; ``most`` files may be entered, of those below ``folders``."""

    what: str
    most: int
    prepare: Callable[[], Call]
    folders: tuple[str, ...] = PRODUCT


def files_entered(measured: Measured) -> list[str]:
    """The files that the call enters, relative to the repository."""
    call = measured.prepare()
    names: set[str] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            names.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        done = call()
    finally:
        sys.setprofile(before)
    assert done, measured.what
    files = (name.removeprefix(f"{ROOT}/") for name in names)
    return sorted(
        file
        for file in files
        if file.startswith(measured.folders)
        and not file.endswith("/__init__.py")
        and file not in VALUES
    )


def admission() -> Call:
    """A pod of one task joins another one on a core."""
    first = admit(empty_node(4), pod_of("first"))
    assert isinstance(first, Admission)
    second = pod_of("second")
    return lambda: isinstance(admit(first.node, second), Admission)


def reservation() -> Call:
    """The first reservation of a node, by PUT."""
    world = NodeWorld()
    world.server.add(pod(1))
    client = create_app(reservations=world.reservations, state=state_of(world)).test_client()
    request = body()
    return lambda: client.put(PATH, data=request).status_code == 201


def cold_filter() -> Call:
    """A real-time pod and a node that the extender has not tested before."""
    world = ExtenderWorld()
    world.add(make_node("node", level=20, cpu=make_cpu_state()))
    request = make_args(make_pod(criticality="HI", tasks=[make_task()]), ["node"])
    return lambda: b'"NodeNames":["node"]' in world.verbs.filter(request)


def enforcement() -> Call:
    """The look that finds a reserved pod's thread and puts it into its budget group."""
    world = NodeWorld()
    world.reserve()
    thread = world.system.spawn(world.container(), "ctl")
    world.report_status()

    def look() -> bool:
        world.look()
        return world.system.threads[thread].cgroup == world.group()

    return look


CALLS = (
    Measured(what="admit", most=14, prepare=admission, folders=("k40s/cpu/",)),
    Measured(what="reserve", most=35, prepare=reservation),
    Measured(what="cold filter", most=25, prepare=cold_filter),
    Measured(what="enforce", most=16, prepare=enforcement),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--list", action="store_true", help="name the files")
    options = parser.parse_args()
    print("| call | files | at most | |")
    print("|---|---|---|---|")
    found = {measured: files_entered(measured) for measured in CALLS}
    for measured, files in found.items():
        verdict = "met" if len(files) <= measured.most else "MISSED"
        print(f"| {measured.what} | {len(files)} | {measured.most} | {verdict} |")
    if options.list:
        for measured, files in found.items():
            print("", f"{measured.what}:", *files, sep="\n  ")


if __name__ == "__main__":
    main()
