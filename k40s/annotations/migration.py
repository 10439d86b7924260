"""Moves as the controller writes them: on a released pod, and as history on its own Lease."""

import re

from k40s.annotations.keys import MIGRATION_KEY, MOVES_KEY
from k40s.annotations.wall_times import format_time, read_name, read_time
from k40s.assurance.migration.record import MAX_MOVES, History, PastMove, Phase, Release
from k40s.errors import InvalidAnnotationError
from k40s.strict_json import Json, format_json, read_json

_VERSION = 1
_MOST_REPLICAS = (1 << 31) - 1
_LONGEST_HISTORY = 256 * 1024
"""Characters; Kubernetes allows so many for all annotations of an object."""
_HASH = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,51}[A-Za-z0-9])?", re.ASCII)
_RELEASE = ("v", "phase", "at", "node", "owner", "replicaSet", "replicaSetUid", "hash", "wanted")


def parse_release(text: str) -> Release:
    """Read the annotation ``status.k40s.io/migration``. Raises ``InvalidAnnotationError``."""
    field = read_json(text, source=MIGRATION_KEY, error=InvalidAnnotationError).fields(_RELEASE)
    field["v"].integer(_VERSION, _VERSION)
    return Release(
        phase=field["phase"].member_of(Phase),
        at=read_time(field["at"]),
        node=read_name(field["node"]),
        owner=read_name(field["owner"]),
        replica_set=read_name(field["replicaSet"]),
        replica_set_uid=read_name(field["replicaSetUid"]),
        template_hash=field["hash"].text(_HASH, "a label's value of at most 53 characters"),
        wanted=field["wanted"].integer(0, _MOST_REPLICAS),
    )


def format_release(value: Release) -> str:
    """Write the annotation; ``parse_release`` gives back the same value, in microseconds."""
    return format_json(
        {
            "v": _VERSION,
            "phase": value.phase.value,
            "at": format_time(value.at),
            "node": value.node,
            "owner": value.owner,
            "replicaSet": value.replica_set,
            "replicaSetUid": value.replica_set_uid,
            "hash": value.template_hash,
            "wanted": value.wanted,
        }
    )


def parse_history(text: str) -> History:
    """Read the annotation ``status.k40s.io/moves``. Raises ``InvalidAnnotationError``."""
    whole = read_json(
        text, source=MOVES_KEY, error=InvalidAnnotationError, at_most=_LONGEST_HISTORY
    )
    field = whole.fields(("v", "moves"))
    field["v"].integer(_VERSION, _VERSION)
    return History(moves=tuple(map(_read_move, field["moves"].items(at_most=MAX_MOVES))))


def format_history(value: History) -> str:
    """Write the annotation; ``parse_history`` gives back the same value, in microseconds."""
    moves = [
        {"at": format_time(one.at), "owner": one.owner, "pod": one.pod, "node": one.node}
        for one in value.moves
    ]
    return format_json({"v": _VERSION, "moves": moves})


def _read_move(item: Json) -> PastMove:
    field = item.fields(("at", "owner", "pod", "node"))
    return PastMove(
        at=read_time(field["at"]),
        owner=read_name(field["owner"]),
        pod=read_name(field["pod"]),
        node=read_name(field["node"]),
    )
