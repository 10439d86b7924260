"""Whom malacoda names on Debian's kernel, where cgroup v2 is all there is."""

import pytest


@pytest.mark.parametrize("node", ["part", "whole"])
def test_the_noisy_pod_is_named_beside_a_busy_one(facts: dict[str, object], node: str) -> None:
    verdict = facts[f"usage-{node}-verdict"]

    assert isinstance(verdict, list)
    assert verdict[:2] == ["named", "default/noisy"], verdict
    assert verdict[2] in {"runnable", "pids"}, verdict
    assert facts[f"usage-{node}-faults"] == []
    assert facts[f"usage-{node}-pressure"] == ["00000000-0000-4000-8000-000000000001"]


def test_nobody_is_named_for_a_pod_that_may_run_on_other_cpus_too(facts: dict[str, object]) -> None:
    verdict = facts["usage-unconfined-verdict"]

    assert isinstance(verdict, list)
    assert verdict[0] in {"outside", "unclear"}, verdict
    assert verdict[1] is None


def test_cpu_time_alone_names_it_where_no_controller_is_on(facts: dict[str, object]) -> None:
    verdict = facts["usage-bare-verdict"]

    assert isinstance(verdict, list)
    assert verdict[:3] == ["named", "default/noisy", None], verdict
    assert facts["usage-bare-faults"] == ["pod-pids"]
