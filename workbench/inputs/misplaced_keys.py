"""Checks a manifest for k40s keys that are misplaced or misspelt.

Kubernetes accepts almost any key, so a pod whose keys are not where k40s reads them would run
without its contract. Each such key is an error with the right key or field.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from k40s.annotations import ALLOCATION_KEY, CRITICALITY_KEY, POD_KEYS
from k40s.strict_json import Json

LABEL_KEYS = (CRITICALITY_KEY,)

_DOMAIN = "k40s.io"
_OTHERS = ("k8s.io", "k3s.io", "k0s.io", "k9s.io")
"""Similar prefixes of other projects."""
_SLIPS = 2
"""Largest edit distance of a misspelt key."""
_ELSEWHERE = frozenset(
    {
        *("matchLabels", "nodeSelector", "selector", "labelSelector", "podSelector"),
        *("data", "binaryData", "stringData", "managedFields", "status"),
    }
)
"""Fields whose keys select other objects, or are free-form data."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A mapping inside an object, with the steps that lead to it."""

    element: Json
    steps: tuple[str | int, ...]


def check_keys(whole: Json, holders: Sequence[tuple[str | int, ...]]) -> None:
    """Raise the element's error for the first key of k40s that is not where it counts.

    ``holders`` lead from the object to its pods: to whatever has their metadata and spec.
    """
    given = [_given(whole, holder) for holder in holders]
    saved = holders == [()] and bool(_below(whole.value, ("metadata", "uid")))
    right = f"{_path(holders[0])}.metadata.annotations"
    for seen in _mappings(whole):
        part, level = _metadata_part(seen.steps)
        for key, member in seen.element.members().items():
            if part is not None and level in holders:
                _check_on_pod(key, member, part, right, saved=saved)
            else:
                _check_outside(key, member, part, right, given)


def find_key(whole: Json) -> str | None:
    """A key of k40s, or one that looks like it, anywhere in an object without pods."""
    for seen in _mappings(whole):
        for key in seen.element.members():
            if key in POD_KEYS or _intended(key):
                return key
    return None


def _check_on_pod(key: str, member: Json, part: str, right: str, *, saved: bool) -> None:
    """A label or annotation of a pod, or of the template that it is made from."""
    allowed = POD_KEYS if part == "annotations" else LABEL_KEYS
    if key in allowed or (key == ALLOCATION_KEY and saved):
        return
    if key in POD_KEYS:
        raise member.invalid(f"this key in {right}", found=f"the label {key}")
    _check_spelling(key, member)


def _check_outside(
    key: str, member: Json, part: str | None, right: str, given: Sequence[dict[str, object]]
) -> None:
    """A key on what makes pods, or anywhere else in the object: it reaches no pod."""
    _check_spelling(key, member)
    if key not in POD_KEYS:
        return
    if part is not None and all(on_pod.get(key) == member.value for on_pod in given):
        return
    if part is not None and all(key in on_pod for on_pod in given):
        raise member.invalid(f"the same as in {right}, which alone reaches the pods")
    raise member.invalid(f"this key in {right}, where it reaches the pods", found=f"the key {key}")


def _check_spelling(key: str, member: Json) -> None:
    intended = _intended(key)
    if intended is None:
        return
    expected = f"the key {intended}" if intended else f"one of the keys {', '.join(POD_KEYS)}"
    raise member.invalid(expected, found=f"the key {key}")


@lru_cache(maxsize=4096)
def _intended(key: str) -> str | None:
    """The k40s key that this one resembles; "" where it could be any, None for foreign keys."""
    if key in POD_KEYS:
        return None
    low = key.lower()
    for known in POD_KEYS:
        if _slips(low, known) <= _SLIPS:
            return known
    prefix, slash, name = low.partition("/")
    if not slash or not _is_ours(prefix):
        return None
    named = [known for known in POD_KEYS if _slips(name, known.partition("/")[2]) <= _SLIPS]
    return named[0] if named else ""


def _is_ours(prefix: str) -> bool:
    if prefix in _OTHERS:
        return False
    if prefix.endswith("." + _DOMAIN) or prefix.partition(".")[0] in ("k40s", "k4os"):
        return True
    return _slips(prefix, _DOMAIN) <= _SLIPS


def _slips(one: str, other: str) -> int:
    """Damerau-Levenshtein distance; a large number beyond ``_SLIPS``."""
    # A slip changes at most two letters of the sets: what differs in more is not looked into.
    if abs(len(one) - len(other)) > _SLIPS or len(set(one) ^ set(other)) > 2 * _SLIPS:
        return len(one) + len(other)
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]


def _given(whole: Json, holder: tuple[str | int, ...]) -> dict[str, object]:
    """Keys that a pod has, as annotations or labels."""
    found: dict[str, object] = {}
    for part in ("labels", "annotations"):
        held = _below(whole.value, (*holder, "metadata", part))
        if isinstance(held, dict):
            found.update(held)
    return found


def _below(value: object, steps: Sequence[str | int]) -> object:
    for step in steps:
        if isinstance(step, int) and isinstance(value, list):
            value = value[step]
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def _metadata_part(steps: tuple[str | int, ...]) -> tuple[str | None, tuple[str | int, ...]]:
    """The part (labels or annotations) that a mapping is, and the steps to their owner."""
    *level, metadata, part = ("", "", *steps)
    if metadata == "metadata" and part in ("labels", "annotations"):
        return str(part), tuple(level[2:])
    return None, ()


def _mappings(whole: Json) -> Iterator[_Seen]:
    """Every mapping of an object, except below fields whose keys are not the object's own."""
    waiting = [_Seen(whole, ())]
    while waiting:
        seen = waiting.pop()
        value = seen.element.value
        if isinstance(value, dict):
            yield seen
            parts: list[tuple[str | int, Json]] = [
                (name, member)
                for name, member in seen.element.members().items()
                if name not in _ELSEWHERE
            ]
        elif isinstance(value, list):
            parts = list(enumerate(seen.element.items(at_most=len(value))))
        else:
            continue
        waiting += [_Seen(part, (*seen.steps, step)) for step, part in reversed(parts)]


def _path(steps: Sequence[str | int]) -> str:
    return "$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)
