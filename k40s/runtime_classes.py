"""The operator's mapping of criticalities to RuntimeClasses: ``HI=kata,LOW=runc``.

A criticality that it does not name may use any class. Setting ``K40S_RUNTIME_CLASSES``, which
extender and webhook read alike.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from k40s.criticality import Criticality, parse_criticality

SETTING = "K40S_RUNTIME_CLASSES"
RUNTIME_CLASSES_FORM = "criticalities with their RuntimeClass, such as HI=kata,LOW=runc"
NO_CLASSES: Mapping[Criticality, str] = MappingProxyType({})

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
"""A RuntimeClass's name is a DNS subdomain (RFC 1123)."""


def parse_runtime_classes(pairs: Sequence[str]) -> Mapping[Criticality, str]:
    """Read the parts between the commas. Raises ``ValueError`` with the setting's name.

    >>> dict(parse_runtime_classes(("HI=kata",)))
    {<Criticality.HI: 2>: 'kata'}
    """
    found: dict[Criticality, str] = {}
    for pair in pairs:
        word, equals, name = pair.partition("=")
        try:
            criticality = parse_criticality(word.strip())
        except ValueError:
            raise _invalid(pair) from None
        name = name.strip()
        if not equals or _NAME.fullmatch(name) is None or criticality in found:
            raise _invalid(pair)
        found[criticality] = name
    return MappingProxyType(found) if found else NO_CLASSES


def _invalid(pair: str) -> ValueError:
    return ValueError(
        f"{SETTING}: found {pair[:80]!r}, expected {RUNTIME_CLASSES_FORM}, each criticality once"
    )
