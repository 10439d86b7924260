"""Keys below ``k40s.io/`` that application teams wrote on a pod and that mean nothing. Pure."""

import difflib

from k40s.annotations.keys import CRITICALITY_KEY, POD_KEYS, Texts

OURS = "k40s.io/"
"""Below it, application teams write; below ``status.k40s.io/`` and ``node.k40s.io/`` k40s does."""
MOST_NAMED = 3
"""Unknown keys in one text, because each is compared with all that are right."""
_LIKE = 0.5
"""Similarity from which a key is taken for a misspelt one, 0 to 1 (difflib's ratio)."""
_LONGEST = 80


def unknown_keys(*, labels: Texts, annotations: Texts) -> list[tuple[str, str]]:
    """``("annotation", key)`` or ``("label", key)`` for each key that is none of k40s's there."""
    return [
        (noun, key)
        for noun, texts, known in (
            ("annotation", annotations, POD_KEYS),
            ("label", labels, (CRITICALITY_KEY,)),
        )
        for key in sorted(texts)
        if key.startswith(OURS) and key not in known
    ]


def describe_unknown(noun: str, key: str) -> str:
    """What was found, and what is probably meant."""
    if key in POD_KEYS:
        expected = f"an annotation {key}"
    else:
        names = [one.removeprefix(OURS) for one in POD_KEYS]
        short = key.removeprefix(OURS).lower()[:_LONGEST]
        close = difflib.get_close_matches(short, names, 1, _LIKE)
        expected = f"{OURS}{close[0]}" if close else f"one of {', '.join(POD_KEYS)}"
    return f"found the {noun} {key[:_LONGEST]}, expected {expected}"
