"""Bodies that nobody should send: valid ones spoiled in one or more places, and plain nonsense."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.fakes.rubicante.world import uid

NUMBERS: tuple[object, ...] = (
    0,
    -1,
    1,
    99,
    65,
    10**17,
    10**18,
    2**63,
    2**64,
    -(2**63),
    10**40,
    0.5,
    -0.0,
    1e308,
    True,
    None,
)
TEXTS = (
    "",
    "0ms",
    "-1ms",
    "1",
    "1e3ms",
    "5 ms",
    "5MS",
    "999999999999999s",
    "9999999999999999s",
    "0.0000000001ms",
    "1.5ns",
    "\u0661ms",
    "\x00",
    "\ud800",
    "../../etc",
    "a" * 16,
    "a" * 300,
    "HI",
    "NO",
    "hi",
    "xeon",
    "deadline",
)
"""Durations at their edges, digits that are none, halves of characters, names that are too long."""
_LONGEST = 3000


def valid_body(rng: random.Random) -> dict[str, Any]:
    """One that is right in form."""
    criticality = rng.choice(("LOW", "HI"))
    tasks = []
    for number in range(rng.randint(1, 4)):
        period = rng.choice((10, 50, 100, 1000))
        wcet = f"{rng.randint(1, period)}ms"
        table = criticality == "HI" or rng.random() < 0.5
        task: dict[str, Any] = {
            "name": f"task-{number}",
            "container": rng.choice(("main", "side")),
            "period": f"{period}ms",
            "wcet": {"xeon": wcet, "arm": wcet} if table else wcet,
        }
        optional = {"deadline": f"{period}ms", "priority": rng.randint(1, 98), "core": 1}
        chosen = {name: value for name, value in optional.items() if rng.random() < 0.5}
        tasks.append(task | chosen)
    body: dict[str, Any] = {
        "pod": {"uid": uid(1), "namespace": "default", "name": "pod-1"},
        "criticality": criticality,
        "tasks": tasks,
    }
    if rng.random() < 0.5:
        body["generation"] = rng.randint(0, 10**6)
    if rng.random() < 0.3:
        body["enforcement"] = rng.choice(("rt-cgroup", "deadline"))
    return body


def bodies(seed: int) -> Iterator[bytes]:
    """Without end, and the same for the same seed."""
    rng = random.Random(seed)
    while True:
        kind = rng.choices(_KINDS, weights=_WEIGHTS)[0]
        yield kind(rng)


def _spoilt(rng: random.Random) -> bytes:
    body: Any = valid_body(rng)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(body))
        holder, key = rng.choice(places)
        if holder is None:
            body = _junk(rng, 0)
            break
        _spoil(rng, holder, key)
    return json.dumps(body).encode()


def _spoil(rng: random.Random, holder: Any, key: Any) -> None:  # noqa: ANN401  # JSON
    action = rng.randrange(6)
    if action == 0:
        del holder[key]
    elif action == 1 and isinstance(holder, dict):
        holder[rng.choice(("extra", "", "Name", "__proto__", "a" * 500, "ключ"))] = holder[key]
    elif action == 2 and isinstance(holder, list):
        holder.extend([holder[key]] * rng.choice((1, 64, 200)))
    elif action == 3:
        holder[key] = [holder[key]]
    elif action == 4:
        holder[key] = rng.choice(TEXTS)
    else:
        holder[key] = _junk(rng, 0)


def _places(value: Any, holder: Any = None, key: Any = None) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401
    yield holder, key
    if isinstance(value, dict):
        for name in value:
            yield from _places(value[name], value, name)
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from _places(value[index], value, index)


def _junk(rng: random.Random, depth: int) -> object:
    kind = rng.randrange(6)
    if kind == 0 and depth < 4:
        return [_junk(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 1 and depth < 4:
        return {rng.choice(TEXTS): _junk(rng, depth + 1) for _ in range(rng.randrange(4))}
    return rng.choice(NUMBERS) if kind < 4 else rng.choice(TEXTS)


def _random_json(rng: random.Random) -> bytes:
    return json.dumps(_junk(rng, 0)).encode()


def _broken_bytes(rng: random.Random) -> bytes:
    """A valid text with bytes changed, lost, doubled or put in."""
    text = bytearray(json.dumps(valid_body(rng)).encode())
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(text))
        action = rng.randrange(4)
        if action == 0:
            text[at] = rng.randrange(256)
        elif action == 1:
            del text[at : at + rng.randint(1, 20)]
        elif action == 2:
            text[at:at] = text[max(0, at - 20) : at]
        else:
            text[at:at] = rng.choice((b"\x00", b"\xff", b"NaN", b"1e999", b"[[[[", b"//", b'"'))
        if not text:
            return b""
    return bytes(text)


def _random_bytes(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(200))


def _deep(rng: random.Random) -> bytes:
    depth = rng.choice((10, 900, 1100, _LONGEST, 100_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return opening * depth + b"1" + closing * (depth if rng.random() < 0.5 else 0)


def _many(rng: random.Random) -> bytes:
    """Far too much of something."""
    body = valid_body(rng)
    number = rng.choice((65, 1000, 10_000))
    kind = rng.randrange(4)
    if kind == 0:
        body["tasks"] = [{**body["tasks"][0], "name": f"t{n}"} for n in range(number)]
    elif kind == 1:
        body["tasks"][0]["wcet"] = {f"p{n}": "1ms" for n in range(number)}
    elif kind == 2:
        body |= {f"field{n}": n for n in range(number)}
    else:
        inner = ",".join(f'"f{n}":1' for n in range(number))
        return f'{{{inner},"f{number - 1}":2}}'.encode()
    return json.dumps(body).encode()


_KINDS: tuple[Callable[[random.Random], bytes], ...] = (
    _spoilt,
    _broken_bytes,
    _random_json,
    _random_bytes,
    _deep,
    _many,
)
_WEIGHTS = (60, 20, 10, 7, 2, 1)
