"""Digests of what k40s defines in a cluster, the same in a manifest and at the API server. Pure.

The API server adds defaults and drops nothing that counts here: of a policy its rules, of a kind
its versions with their schemas.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_LENGTH = 12
_OF_POLICY = ("matchConditions", "variables", "validations")
_OF_VERSION = ("name", "served", "storage", "schema", "subresources", "selectableFields")


def digest(item: Mapping[str, Any]) -> str:
    """The digest of a ValidatingAdmissionPolicy, its binding, or a CustomResourceDefinition."""
    spec = item.get("spec")
    spec = spec if isinstance(spec, Mapping) else {}
    if "versions" in spec:
        told: object = [
            {key: one[key] for key in _OF_VERSION if key in one} for one in spec["versions"]
        ]
    elif "policyName" in spec:
        told = [spec["policyName"], spec.get("validationActions")]
    else:
        rules = [[_rule(one) for one in spec.get(part) or ()] for part in _OF_POLICY]
        # Without it the API server fails closed, as k40s's policies have to.
        told = [*rules, "Ignore"] if spec.get("failurePolicy") == "Ignore" else rules
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _rule(one: Mapping[str, Any]) -> list[object]:
    """What a rule says, without where it puts line breaks."""
    keys = ("name", "expression", "message", "messageExpression")
    return [" ".join(str(one.get(key, "")).split()) for key in keys]
