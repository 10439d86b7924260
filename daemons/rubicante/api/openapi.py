"""The HTTP API as an OpenAPI 3.1 document, built from the constants that the parsers use.

JSON Schema cannot express three rules: WCET <= deadline <= period, which WCETs a criticality
takes, and unique names. A body that breaks one of these is 422 as well.
"""

import re
from collections.abc import Mapping

from daemons.rubicante.kernel.preemption import Preemption
from daemons.rubicante.mechanisms.back_end import UID
from daemons.rubicante.mechanisms.timer.hrtick import FeatureState
from k40s.annotations.reservation_rows import HIGHEST_CORE
from k40s.annotations.workload import (
    CONTAINER_NAME,
    MAX_PLATFORMS,
    MAX_TASKS,
    PLATFORM,
    TASK_NAME,
)
from k40s.cpu.model import HIGHEST_PRIORITY, Mechanism
from k40s.node_api.messages import (
    MAX_BODY,
    MAX_DETAIL,
    MAX_GENERATION,
    MAX_GRANTED,
    NAMESPACE,
    POD_NAME,
)
from k40s.reasons import Reason
from k40s.units import DURATION

Schema = Mapping[str, object]

READABLE, PUBLISHED = FORMS = ("readable", "published")
"""What ``GET /v1/state`` answers: for people, or as the Node's annotation without its limit."""

ATTEMPT = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)

_FRACTION: Schema = {
    "type": "string",
    "pattern": "^[0-9]+(/[0-9]+)?$",
    "description": "An exact fraction.",
}
_CORE: Schema = {"type": "integer", "minimum": 0, "maximum": HIGHEST_CORE}
_MILLISECONDS = "A duration with its unit, such as 250us, 1.5ms or 1s; not zero."


def document() -> Schema:
    """The whole document, as ``GET /v1/openapi.json`` serves it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rubicante, CPU admission of a real-time node",
            "version": "1",
            "description": "Mutual TLS; only named clients may call (403). Durations carry units.",
        },
        "paths": {
            "/v1/state": {
                "parameters": [_FORM],
                "get": _reading(
                    "state", "Everything the daemon knows.", {"anyOf": [_STATE, _WHOLE]}
                ),
            },
            "/v1/openapi.json": {"get": _reading("describe", "This document.", {"type": "object"})},
            "/v1/admission": {"post": _admission()},
            "/v1/reservations/{pod_uid}": {
                "parameters": [_POD_UID, _ATTEMPT],
                "put": _reserving(),
                "delete": _releasing(),
            },
        },
        "components": {
            "schemas": {
                "Request": _request(),
                "Task": _task(),
                "Answer": _answer(),
                "Server": _server(),
                "Invalid": _object({"error": _TEXT, "source": _TEXT, "path": _TEXT}),
                "Error": _object({"error": _TEXT}),
                "Failure": _object(
                    {"error": _TEXT, "reason": {"enum": [reason.value for reason in Reason]}}
                ),
            }
        },
    }


def _reading(name: str, summary: str, schema: Schema) -> Schema:
    return {"operationId": name, "summary": summary, "responses": {"200": _content(schema)}}


def _admission() -> Schema:
    return {
        "operationId": "judge",
        "summary": "Would this pod be admitted? Changes nothing.",
        "requestBody": _BODY,
        "responses": {"200": _content(_ref("Answer"), "Yes or no, and why."), **_FAULTS},
    }


def _reserving() -> Schema:
    return {
        "operationId": "reserve",
        "summary": "Reserve servers for a pod; a repeat changes nothing.",
        "requestBody": _BODY,
        "responses": {
            "200": _content(_ref("Answer"), "Held already, just so; the lease is renewed."),
            "201": _content(_ref("Answer"), "Reserved."),
            "409": _content(_ref("Answer"), "Refused; nothing has changed."),
            **_FAULTS,
        },
    }


def _releasing() -> Schema:
    return {
        "operationId": "release",
        "summary": "Give back the reservation of a pod that was not bound.",
        "responses": {
            "204": {"description": "Given back, there was none, or another attempt waits for it."},
            "409": _content(_ref("Error"), "The pod is bound here: its end ends it."),
            "422": _content(_ref("Invalid"), "Not a pod's UID, or not an attempt's name."),
            "503": _content(_ref("Failure"), "The kernel or the store is unusable."),
        },
    }


def _request() -> Schema:
    return _object(
        {
            "pod": _object(
                {"uid": _text(UID), "namespace": _text(NAMESPACE), "name": _text(POD_NAME)}
            ),
            "criticality": {"enum": ["LOW", "HI"]},
            "tasks": {
                "type": "array",
                "items": _ref("Task"),
                "minItems": 1,
                "maxItems": MAX_TASKS,
            },
        },
        {
            "enforcement": {"enum": [mechanism.value for mechanism in Mechanism]},
            "generation": {"type": "integer", "minimum": 0, "maximum": MAX_GENERATION},
        },
    )


def _task() -> Schema:
    tables = {
        "type": "object",
        "propertyNames": _text(PLATFORM),
        "additionalProperties": _DURATION,
        "minProperties": 1,
        "maxProperties": MAX_PLATFORMS,
    }
    return _object(
        {
            "name": _text(TASK_NAME),
            "container": _text(CONTAINER_NAME),
            "period": _DURATION,
            "wcet": {"anyOf": [_DURATION, tables]},
        },
        {
            "deadline": _DURATION,
            "priority": _PRIORITY,
            "core": _CORE,
        },
    )


def _answer() -> Schema:
    granted = _object(
        {"pod_uid": _text(UID), "criticality": {"enum": ["LOW", "HI"]}, "server": _ref("Server")}
    )
    return _object(
        {
            "schedulable": {"type": "boolean"},
            "reason": {"enum": [None, *(reason.value for reason in Reason)]},
            "detail": {"type": "string", "maxLength": MAX_DETAIL},
            "utilization": {"type": "object", "additionalProperties": _FRACTION},
            "granted": {"type": "array", "items": granted, "maxItems": MAX_GRANTED},
            "generation": {"type": "integer", "minimum": 0, "maximum": MAX_GENERATION},
        },
        {
            "exchange": {
                "type": "boolean",
                "description": "Servers of other pods are exchanged first; absent: they are not.",
            }
        },
    )


def _server() -> Schema:
    task = _object(
        {"name": _TEXT, "wcet": _DURATION, "period": _DURATION, "deadline": _DURATION},
        {"priority": _PRIORITY, "rt_priority": _PRIORITY, "core": _CORE},
    )
    return _object(
        {
            "container": _TEXT,
            "mechanism": {"enum": [mechanism.value for mechanism in Mechanism]},
            "core": {"anyOf": [_CORE, {"const": "any"}]},
            "budget": _DURATION,
            "period": _DURATION,
            "tasks": {"type": "array", "items": task, "minItems": 1},
        },
        {"group": {"type": "integer", "minimum": 0}},
    )


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _text(pattern: re.Pattern[str]) -> Schema:
    return {"type": "string", "pattern": f"^(?:{pattern.pattern})$"}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: Schema, description: str = "Done.") -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_TEXT: Schema = {"type": "string"}
_DURATION: Schema = {**_text(DURATION), "description": _MILLISECONDS}
_PRIORITY: Schema = {"type": "integer", "minimum": 1, "maximum": HIGHEST_PRIORITY}
_STATE_POD: Schema = {
    "type": "object",
    "required": ["uid", "prices"],
    "properties": {
        "uid": _TEXT,
        "prices": {
            "type": "array",
            "description": "For each container its tasks' ΣC/T, and its servers' ΣQ/P.",
            "items": _object({"container": _TEXT, "declared": _FRACTION, "reserved": _FRACTION}),
        },
    },
}
_MAYBE_TIME: Schema = {"anyOf": [_DURATION, {"type": "null"}]}
_STATE_DEADLINE: Schema = {
    "type": "object",
    "description": "How late SCHED_DEADLINE budgets end: `overrun` is counted on.",
    "required": ["overrun", "delay", "hrtick_dl", "by_k40s", "preemption", "bound", "measured"],
    "properties": {
        "overrun": _DURATION,
        "delay": _DURATION,
        "hrtick_dl": {"enum": [state.value for state in FeatureState]},
        "by_k40s": {"type": "boolean"},
        "preemption": {"enum": [model.value for model in Preemption]},
        "bound": _MAYBE_TIME,
        "measured": _object({"user": _MAYBE_TIME, "calls": _MAYBE_TIME, "wake_ups": _MAYBE_TIME}),
    },
}
_STATE_EXCHANGE: Schema = {
    "type": "object",
    "description": "Servers of a core that are being exchanged, so that a pod has room there.",
    "required": ["core", "pod", "step", "steps", "moving", "cause"],
    "properties": {
        "core": _CORE,
        "pod": {"type": ["string", "null"], "description": "For whom; null when it is gone."},
        "step": {"type": "integer", "minimum": 1},
        "steps": {"type": "integer", "minimum": 1},
        "moving": {"type": ["string", "null"], "description": "The pod that has two groups."},
        "cause": {**_TEXT, "description": "What holds it up, if anything does."},
    },
}
_STATE: Schema = {
    "type": "object",
    "required": ["generation", "test", "problems", "warnings", "cores", "pods", "exchanges"],
    "properties": {
        "generation": {"type": "integer", "minimum": 0},
        "test": _TEXT,
        "problems": {"type": "array", "items": _TEXT},
        "warnings": {"type": "array", "items": _TEXT},
        "deadline": {"anyOf": [_STATE_DEADLINE, {"type": "null"}]},
        "cores": {"type": "object", "additionalProperties": _FRACTION},
        "pods": {"type": "array", "items": _STATE_POD},
        "exchanges": {"type": "array", "items": _STATE_EXCHANGE},
    },
}
_WHOLE: Schema = {"type": "object", "required": ["v", "gen", "test", "url", "cores"]}
_POD_UID: Schema = {"name": "pod_uid", "in": "path", "required": True, "schema": _text(UID)}
_FORM: Schema = {
    "name": "form",
    "in": "query",
    "description": "`published`: the Node's annotation cpu-state without its limit of 1 KB.",
    "schema": {"enum": list(FORMS), "default": READABLE},
}
_ATTEMPT: Schema = {
    "name": "attempt",
    "in": "query",
    "description": "Names a call that reserves, so that it can be given up in whatever order.",
    "schema": _text(ATTEMPT),
}
_BODY: Schema = {
    "required": True,
    "description": f"At most {MAX_BODY} bytes.",
    "content": {"application/json": {"schema": _ref("Request")}},
}
_FAULTS: Schema = {
    "413": _content(_ref("Error"), "More than is read at all."),
    "422": _content(_ref("Invalid"), "Malformed, and where; nothing has changed."),
    "503": _content(_ref("Failure"), "Kernel, store or API server unusable, or still starting."),
}
