"""A real Prometheus with the shipped rules, which scrapes what a test names."""

import json
import math
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from demo.observer import wait_until
from localcluster.host.ports import free_ports
from monitoring.boards import BOARDS
from monitoring.model import Panel

PLACE = Path(__file__).parents[3] / "manifests" / "components" / "monitoring"
INTERVAL_SECONDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """Its HTTP API, and the process that has it."""

    url: str
    pid: int

    def ask(self, path: str, **query: str) -> Any:  # noqa: ANN401  # JSON
        """The data of an answer. Raises ``AssertionError`` with the text of an error."""
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310  # our own
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error

    def has_data(self, expr: str) -> bool:
        """Whether a query yields a number at some time of the last three minutes."""
        now = float(self.ask("query", query="time()")["result"][1])
        found = self.ask(
            "query_range",
            query=expr,
            start=str(now - 180),
            end=str(now),
            step=str(INTERVAL_SECONDS),
        )
        return any(
            not math.isnan(float(value)) for one in found["result"] for _, value in one["values"]
        )


@contextmanager
def running_prometheus(
    targets: Sequence[Mapping[str, object]], place: Path
) -> Iterator[Prometheus]:
    """Debian's Prometheus with the shipped rules, after it has scraped all targets.

    ``targets`` are as in ``static_configs``; ``place`` is an empty directory for its files.
    """
    program = shutil.which("prometheus")
    assert program, "no prometheus: Debian's package prometheus has it (make packages)"
    (port,) = free_ports(1)
    every = f"{INTERVAL_SECONDS}s"
    configuration = {
        "global": {"scrape_interval": every, "evaluation_interval": every, "scrape_timeout": every},
        "rule_files": [str(PLACE / "alerts.yaml")],
        "scrape_configs": [{"job_name": "k40s", "static_configs": list(targets)}],
    }
    (place / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={place}/prometheus.yml",
                f"--storage.tsdb.path={place}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            prometheus = Prometheus(url=f"http://127.0.0.1:{port}", pid=process.pid)
            wait_until("Prometheus scrapes", lambda: all_up(prometheus, len(targets)), seconds=180)
            yield prometheus
        finally:
            process.terminate()
            process.wait(timeout=120)


def all_up(prometheus: Prometheus, count: int) -> bool:
    """Whether so many targets have been scraped, three times each."""
    try:
        found = prometheus.ask("query", query="sum_over_time(up[1m]) >= 3")["result"]
    except OSError:
        return False
    return len(found) == count


def expressions(panel: Panel) -> list[str]:
    """A panel's queries as Grafana would send them, with "All" in every variable."""
    windows = {
        "$__rate_interval": f"{4 * INTERVAL_SECONDS}s",
        "$__range": "5m",
        "$namespace": ".*",
        "$node": ".*",
    }
    found = []
    for query in panel.queries:
        expr = query.resolved()
        for name, value in windows.items():
            expr = expr.replace(name, value)
        assert "$" not in expr
        found.append(expr)
    return found


def empty_panels(prometheus: Prometheus) -> set[str]:
    """The titles of panels of which a query has no data."""
    return {
        panel.title
        for board in BOARDS.values()
        for panel in board.panels
        if not all(map(prometheus.has_data, expressions(panel)))
    }


def evaluated_rules(prometheus: Prometheus) -> list[dict[str, Any]]:
    """All rules, after each was evaluated once at least."""

    def rules() -> list[dict[str, Any]]:
        groups = prometheus.ask("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def settled() -> bool:
        return all(rule["health"] != "unknown" for rule in rules())

    wait_until("every rule was evaluated", settled, seconds=180)
    return rules()
