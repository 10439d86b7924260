"""A real Prometheus scrapes the processes' probe servers, without a cluster."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from k40s.http.listening import Host
from k40s.http.probes import ProbeServer
from monitoring.alerts import ALERTS
from tests.fakes.monitoring.healthy import PROCESSES, registry_of, target_labels
from tests.fakes.monitoring.prometheus import (
    Prometheus,
    empty_panels,
    evaluated_rules,
    running_prometheus,
)

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="no prometheus: Debian's package has it"
)
NEED_CALLS = {"Duration of the extender's calls, mean", "From cgroup to enforced, mean"}
"""A mean of nothing is no figure."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with ExitStack() as stack:
        targets = []
        for process in PROCESSES:
            server = ProbeServer(host=Host("127.0.0.1"), port=0, registry=registry_of(process))
            server.start()
            stack.callback(server.stop)
            address = f"127.0.0.1:{server.port}"
            targets.append({"targets": [address], "labels": target_labels(process)})
        place = tmp_path_factory.mktemp("prometheus")
        yield stack.enter_context(running_prometheus(targets, place))


def test_every_panel_has_data_but_the_means_of_what_never_happened(
    prometheus: Prometheus,
) -> None:
    assert empty_panels(prometheus) == NEED_CALLS


def test_every_rule_is_evaluated_and_certificates_that_cannot_be_read_are_told(
    prometheus: Prometheus,
) -> None:
    rules = evaluated_rules(prometheus)

    assert len(rules) == sum(map(len, ALERTS.values()))
    assert [(one["name"], one.get("lastError")) for one in rules if one["health"] != "ok"] == []
    active = {one["name"] for one in rules if one["state"] != "inactive"}
    assert active == {"K40sCertificateEnds", "K40sCertificateEndsSoon"}
