"""Other rules for the place of a slot, to compare the search with.

Each takes requests in their order of arrival on bench.tdma.sets.CYCLE, and counts what it accepts.
"""

from collections.abc import Sequence
from importlib import import_module
from math import gcd

from bench.tdma.sets import CYCLE
from k40s.tdma import check_table, find_grant
from k40s.tdma.expression import Expression, express
from k40s.tdma.model import SlotGrant, SlotRequest, SlotTable, Window
from k40s.tdma.occupancy import Occupancy, spans_of
from k40s.tdma.wire import whole_us_up, wire_time
from k40s.units import NS_PER_US, Nanoseconds

Requests = Sequence[SlotRequest]


def by_best_projection(requests: Requests) -> int:
    return sum(found is not None for found in granted(requests))


def granted(requests: Requests) -> list[Window | None]:
    """Of each request: the slot that find_grant gives it."""
    table, found = SlotTable(cycle=CYCLE), list[Window | None]()
    for request in requests:
        grant = find_grant(table, request)
        if isinstance(grant, SlotGrant):
            table = SlotTable(cycle=CYCLE, windows=table.windows + grant.windows)
        found.append(grant.windows[0] if isinstance(grant, SlotGrant) else None)
    assert check_table(table) is None
    return found


def by_first_fit(requests: Requests) -> int:
    """The earliest cycle, and in it the earliest offset, at which the exact test finds no clash."""
    windows: list[Window] = []
    for request in requests:
        form = _form(request)
        occupancy = Occupancy(spans_of(CYCLE, windows), CYCLE.period)
        places: list[tuple[int, int]] = []
        for edge in occupancy.edges:
            offset = int(whole_us_up(edge))
            if offset + form.block <= CYCLE.period:
                taken = occupancy.blocked(offset, offset + form.block, form.every)
                free = ((1 << form.every) - 1) & ~taken
                if free:
                    places.append(((free & -free).bit_length() - 1, offset))
        if places:
            phase, offset = min(places)
            windows.append(
                Window(
                    offset=Nanoseconds(offset),
                    phase=phase,
                    every=form.every,
                    length=form.length,
                    payload=form.payload,
                )
            )
    assert check_table(SlotTable(cycle=CYCLE, windows=tuple(windows))) is None
    return len(windows)


def by_k40s_prototype(requests: Requests) -> int:
    """The first k4.0s: each pod in every cycle, 10 µs around each, 100 µs for the Sync."""
    margin = 10 * NS_PER_US
    taken = [(0, 100 * NS_PER_US)]
    for request in requests:
        length = wire_time(request.payload or 0, CYCLE.bit_rate)
        begins = [start for start, _ in taken[1:]] + [CYCLE.period]
        for index, begin in enumerate(begins):
            end = taken[index][1]
            if begin - end >= length + 2 * margin:
                taken.insert(index + 1, (end + margin, end + margin + length))
                break
    return len(taken) - 1


def by_solver(requests: Requests, seconds: float) -> tuple[int, int]:
    """The most that CP-SAT can place with all requests known: what it found, and its bound.

    It starts from what the search found. OR-tools are no dependency: ``ModuleNotFoundError`` where
    they are not installed.
    """
    cp = import_module("ortools.sat.python.cp_model")
    model, forms = cp.CpModel(), [_form(request) for request in requests]
    lowest = whole_us_up(CYCLE.sync_time) // NS_PER_US
    lengths = [-(-form.length // NS_PER_US) for form in forms]
    highest = CYCLE.period // NS_PER_US
    present = [model.new_bool_var("") for _ in forms]
    offsets = [model.new_int_var(lowest, highest - length, "") for length in lengths]
    phases = [model.new_int_var(0, form.every - 1, "") for form in forms]
    residue: dict[tuple[int, int], object] = {}
    for i, one in enumerate(forms):
        for g in {gcd(one.every, other.every) for other in forms}:
            residue[i, g] = model.new_int_var(0, g - 1, "")
            model.add_modulo_equality(residue[i, g], phases[i], g)
    for i in range(len(forms)):
        for j in range(i):
            g = gcd(forms[i].every, forms[j].every)
            before, after, apart = (model.new_bool_var("") for _ in range(3))
            model.add(offsets[i] + lengths[i] <= offsets[j]).only_enforce_if(before)
            model.add(offsets[j] + lengths[j] <= offsets[i]).only_enforce_if(after)
            model.add(residue[i, g] != residue[j, g]).only_enforce_if(apart)
            model.add_bool_or(before, after, apart, ~present[i], ~present[j])
    for i, window in enumerate(granted(requests)):
        model.add_hint(present[i], window is not None)
        if window is not None:
            model.add_hint(offsets[i], window.offset // NS_PER_US)
            model.add_hint(phases[i], window.phase)
    model.maximize(sum(present))
    solver = cp.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 2
    solver.solve(model)
    return round(solver.objective_value), round(solver.best_objective_bound)


def _form(request: SlotRequest) -> Expression:
    form = express(CYCLE, request)
    assert isinstance(form, Expression)
    return form
