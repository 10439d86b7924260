"""The HTTP API as an OpenAPI 3.1 document, built from the constants that the parsers use.

JSON Schema cannot express two rules: a window's phase is below ``every``, and ``granted`` has a
channel or a priority, not both. A body that breaks the first is 422 as well.
"""

import re
from collections.abc import Mapping

from daemons.scarmiglione.network.back_end import BackEndName
from k40s.ledger.entry_json import NAME
from k40s.network.text import INTERFACE
from k40s.node_api.bodies import MAX_BODY, NAMESPACE, POD_NAME, UID
from k40s.node_api.network_messages import (
    MAX_CHANNEL,
    MAX_DETAIL,
    MAX_EVERY,
    MAX_PAYLOAD,
    MAX_PRIORITY,
    MAX_SLOTS,
    MAX_WINDOWS,
)
from k40s.reasons import Reason
from k40s.units import DURATION

Schema = Mapping[str, object]

ATTEMPT = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)


def document() -> Schema:
    """The whole document, as ``GET /v1/openapi.json`` serves it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Scarmiglione, network slots of a node",
            "version": "1",
            "description": "Mutual TLS; only named clients may call (403). Durations carry units.",
        },
        "paths": {
            "/v1/state": {"get": _reading("state", "Everything the daemon knows.", _STATE)},
            "/v1/openapi.json": {"get": _reading("describe", "This document.", {"type": "object"})},
            "/v1/slots/{pod_uid}": {
                "parameters": [_POD_UID, _ATTEMPT],
                "put": _applying(),
                "delete": _withdrawing(),
            },
        },
        "components": {
            "schemas": {
                "Request": _request(),
                "Window": _window(),
                "Answer": _answer(),
                "Invalid": _object({"error": _TEXT, "source": _TEXT, "path": _TEXT}),
                "Error": _object({"error": _TEXT}),
                "Failure": _object({"error": _TEXT, "reason": _REASON}),
            }
        },
    }


def _reading(name: str, summary: str, schema: Schema) -> Schema:
    return {"operationId": name, "summary": summary, "responses": {"200": _content(schema)}}


def _applying() -> Schema:
    return {
        "operationId": "apply",
        "summary": "Set up a pod's slots at once; a repeat changes nothing.",
        "requestBody": {
            "required": True,
            "description": f"At most {MAX_BODY} bytes.",
            "content": {"application/json": {"schema": _ref("Request")}},
        },
        "responses": {
            "200": _content(_ref("Answer"), "Set up already, just so; the lease is renewed."),
            "201": _content(_ref("Answer"), "Set up, and read back."),
            "409": _content(_ref("Answer"), "Refused; nothing of it is left."),
            "413": _content(_ref("Error"), "More than is read at all."),
            "422": _content(_ref("Invalid"), "Malformed, and where; nothing has changed."),
            "503": _content(_ref("Failure"), "Kernel or store unusable, or still starting."),
        },
    }


def _withdrawing() -> Schema:
    return {
        "operationId": "withdraw",
        "summary": "Take back the slots of a pod that was not bound.",
        "responses": {
            "204": {"description": "Taken back, there were none, or another attempt waits."},
            "409": _content(_ref("Error"), "The pod is bound here: its end ends them."),
            "422": _content(_ref("Invalid"), "Not a pod's UID, or not an attempt's name."),
            "503": _content(_ref("Failure"), "The store is unusable."),
        },
    }


def _request() -> Schema:
    slot = _object({"network": _text(NAME), "windows": _array(_ref("Window"), MAX_WINDOWS)})
    pod = _object({"uid": _text(UID), "namespace": _text(NAMESPACE), "name": _text(POD_NAME)})
    return _object({"pod": pod, "slots": _array(slot, MAX_SLOTS)})


def _window() -> Schema:
    return _object(
        {
            "offset": _DURATION,
            "phase": _integer(0, MAX_EVERY - 1),
            "every": _integer(1, MAX_EVERY),
            "length": _DURATION,
            "payload": _integer(1, MAX_PAYLOAD),
        }
    )


def _answer() -> Schema:
    granted = _object(
        {
            "network": _text(NAME),
            "interface": _text(INTERFACE),
            "backend": {"enum": [name.value for name in BackEndName]},
        },
        {"channel": _integer(0, MAX_CHANNEL), "priority": _integer(0, MAX_PRIORITY)},
    )
    return _object(
        {
            "schedulable": {"type": "boolean"},
            "reason": {"enum": [None, *(reason.value for reason in Reason)]},
            "granted": {"type": "array", "items": granted, "maxItems": MAX_SLOTS},
        },
        {"detail": {"type": "string", "maxLength": MAX_DETAIL}},
    )


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _array(items: Schema, at_most: int) -> Schema:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": at_most}


def _integer(lowest: int, highest: int) -> Schema:
    return {"type": "integer", "minimum": lowest, "maximum": highest}


def _text(pattern: re.Pattern[str]) -> Schema:
    return {"type": "string", "pattern": f"^(?:{pattern.pattern})$"}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: Schema, description: str = "Done.") -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_TEXT: Schema = {"type": "string"}
_REASON: Schema = {"enum": [reason.value for reason in Reason]}
_DURATION: Schema = {
    **_text(DURATION),
    "description": "A duration with its unit, such as 250us; a length is not zero.",
}
_STATE: Schema = {
    "type": "object",
    "required": ["node", "xenomai", "networks", "pods"],
    "properties": {
        "node": _TEXT,
        "xenomai": {"type": "boolean"},
        "networks": {"type": "object", "additionalProperties": {"type": "object"}},
        "pods": {"type": "array", "items": {"type": "object"}},
    },
}
_POD_UID: Schema = {"name": "pod_uid", "in": "path", "required": True, "schema": _text(UID)}
_ATTEMPT: Schema = {
    "name": "attempt",
    "in": "query",
    "description": "Names a call that sets up, so that it can be given up in whatever order.",
    "schema": _text(ATTEMPT),
}
