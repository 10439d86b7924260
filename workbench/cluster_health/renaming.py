"""The prefix and suffix that an overlay gives to names, told by its workloads. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.cluster_health.expected import DAEMON_SETS, DEFINITIONS, DEPLOYMENTS
from workbench.cluster_health.facts import WorkloadFacts

_OWN = (*DEPLOYMENTS, *DAEMON_SETS, *(name.partition(" ")[2] for name in DEFINITIONS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    """kustomize's ``namePrefix`` and ``nameSuffix``."""

    prefix: str = ""
    suffix: str = ""

    def name(self, own: str) -> str:
        """An object's name in the cluster. Names of kinds stay."""
        return own if "." in own else f"{self.prefix}{own}{self.suffix}"

    def undo(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """The object with the names that k40s gave, wherever it writes one."""
        if not self.prefix and not self.suffix:
            return item
        text = json.dumps(item)
        for own in sorted(set(_OWN), key=len, reverse=True):
            text = text.replace(self.name(own), own)
        found: Mapping[str, Any] = json.loads(text)
        return found


def find_renaming(workloads: Iterable[WorkloadFacts]) -> Renaming:
    """What most workloads tell by the name of their part within their own."""
    told = Counter(
        tuple(one.resource.split(one.name, 1)) for one in workloads if one.name in one.resource
    )
    if not told:
        return Renaming()
    prefix, suffix = told.most_common(1)[0][0]
    return Renaming(prefix=prefix, suffix=suffix)
