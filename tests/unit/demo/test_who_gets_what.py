"""The chapter leaves nothing behind, whatever fails in it."""

import json

import pytest

from demo.chapters.who_gets_what import LOW, TEAM, decide_who_gets_what
from demo.observer import Observer
from demo.stage import Stage
from k40s.annotations import ASSURANCE_KEY
from localcluster.errors import CommandError

ASSURANCE = json.dumps(
    {
        "v": 1,
        "level": 15,
        "hardware": 5,
        "software": 5,
        "state": 5,
        "observed": "2026-11-29T08:00:00Z",
        "lease": "30s",
    }
)


class RefusingCluster:
    """Shows fit nodes without pods, refuses what is applied, and notes what is deleted."""

    def __init__(self, *, refuses: tuple[str, ...] = ("apply",)) -> None:
        self.deleted: list[tuple[str, ...]] = []
        self._refuses = refuses

    def __call__(self, *args: str, stdin: str = "") -> str:
        del stdin
        if "delete" in args:
            self.deleted.append(args)
        if any(word in args for word in self._refuses):
            raise CommandError("refused")
        if "pods" in args:
            return json.dumps({"items": []})
        return json.dumps({"metadata": {"annotations": {ASSURANCE_KEY: ASSURANCE}}})

    def tried_to_delete(self, *words: str) -> bool:
        return any(set(words) <= set(args) for args in self.deleted)


def play_on(cluster: RefusingCluster) -> None:
    observer = Observer(kubectl=cluster, group_prefix="none-")
    decide_who_gets_what(
        Stage(
            observer=observer,
            real_time_node="edge-1",
            general_node="edge-2",
            say=lambda _text: None,
        )
    )


@pytest.mark.parametrize("refused", [("apply",), ("apply", "delete")])
def test_everything_is_removed_after_a_failure_though_a_removal_fails_too(
    refused: tuple[str, ...],
) -> None:
    cluster = RefusingCluster(refuses=refused)

    with pytest.raises(CommandError):
        play_on(cluster)

    assert cluster.tried_to_delete("deployment", LOW)
    assert cluster.tried_to_delete("namespace", TEAM)
    assert cluster.tried_to_delete("tenant", TEAM)
