"""How abusive connections affect the latency of an allowed client's calls.

    python -m bench.http.connections [--seconds 5] [--hold 12] [--only extender,rubicante]
        [--match silent]

The real servers over real mutual TLS on loopback: ``python -m extender`` with its probe port, and
rubicante's API, the API server and the kernel in memory. Each attack runs in a process of its
own; the caller uses a kept connection and a new one in turn. Printed are the latencies
(median and 99th percentile), the median over that of quiet, the server's threads, and how many of
the attacker's connections are left after ``--hold`` seconds. A call without an answer after 10 s
counts as 10 s.

To measure other code than this: start the file in that code's root, with that root and this one in
PYTHONPATH.
"""

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bench.http.connection_attacks import LIMIT, Server, attacking, attacks, connect
from k40s.http.tls import client_context
from localcluster.host.ports import free_ports
from tests.fakes.extender.process import issue_certificates
from tests.fakes.extender.world import make_args, make_pod
from tests.fakes.rubicante.cluster import Cluster, serving, write_kubeconfig

CALLS_PER_S = 50
NODES = [f"node-{number:03d}" for number in range(100)]


class Nodes(Cluster):
    """An API server that knows some nodes."""

    def answer(self, method: str, path: str, body: object) -> tuple[int, object]:
        if path == "/api/v1/nodes" or path.endswith("/leases"):
            names = NODES if path.endswith("nodes") else []
            items = [{"metadata": {"name": name, "resourceVersion": "1"}} for name in names]
            return 200, {"items": items, "metadata": {"resourceVersion": "1"}}
        return super().answer(method, path, body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--hold", type=float, default=12)
    parser.add_argument("--only", default="extender,rubicante")
    parser.add_argument("--match", default="", help="part of the name of the connections")
    options = parser.parse_args()
    print("| server | connections | kept: p50, p99 ms | ratio | new: p50, p99 ms | ratio |", end="")
    print(f" threads | left after {options.hold:g} s |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in options.only.split(","):
        with ExitStack() as undo:
            server = undo.enter_context(SERVERS[name]())
            measure(server, options.seconds, options.hold, options.match)


def measure(server: Server, seconds: float, hold: float, match: str) -> None:
    quiet: dict[str, float] = {}
    for what, attack in attacks(server).items():
        if attack is not None and match not in what:
            continue
        with attacking(attack) as left:
            began = time.monotonic()
            caller = call_probe if what.startswith("probe port") else call_api
            took = caller(server, seconds)
            threads = server.threads()
            rest = max(0.0, began + hold - time.monotonic())
            remaining = left(rest) if attack is not None else ""
        kind = "probe" if caller is call_probe else "api"
        cells = []
        for way, values in took.items():
            median = quantile(values, 0.5)
            if attack is None:
                quiet[kind + way] = median
            ratio = median / quiet[kind + way]
            cells.append(f"{median:.1f}, {quantile(values, 0.99):.1f} | {ratio:.1f}")
        while len(cells) < 2:
            cells.insert(0, " | ")
        row = " | ".join([server.name, what, *cells, str(threads), str(remaining)])
        print(f"| {row} |", flush=True)
        time.sleep(1)


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]


# The caller.


def call_api(server: Server, seconds: float) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {"kept": [], "new": []}
    context = client_context(server.files)
    kept = None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            kept = kept or connect(server, context)
            ask(kept, server)
        except OSError:
            kept = None
        took["kept"].append(time.monotonic() - began)
        began = time.monotonic()
        with suppress(OSError):
            fresh = connect(server, context)
            ask(fresh, server)
            fresh.close()
        took["new"].append(time.monotonic() - began)
        time.sleep(1 / CALLS_PER_S)
    return took


def ask(connection: http.client.HTTPConnection, server: Server) -> None:
    try:
        connection.request(server.method, server.path, server.body)
        answer = connection.getresponse()
        content = answer.read()
    except http.client.HTTPException as error:
        raise OSError("no answer") from error
    assert answer.status == 200, content


def call_probe(server: Server, seconds: float) -> dict[str, list[float]]:
    assert server.probe_port is not None
    took: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", server.probe_port, timeout=LIMIT)
            connection.request("GET", "/healthz", headers={"Connection": "close"})
            assert connection.getresponse().status == 200
            connection.close()
        took.append(time.monotonic() - began)
        time.sleep(1 / CALLS_PER_S)
    return {"new": took}


# The servers.


@contextmanager
def extender() -> Iterator[Server]:
    with ExitStack() as undo:
        directory = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        certificates = issue_certificates(directory)
        url = undo.enter_context(serving(Nodes()))
        port, probe_port = free_ports(2)
        environment = {
            "K40S_HOST": "127.0.0.1",
            "K40S_PORT": str(port),
            "K40S_PROBE_PORT": str(probe_port),
            "K40S_KUBECONFIG": str(write_kubeconfig(directory / "kubeconfig", url)),
            "K40S_TLS_DIRECTORY": str(certificates["k40s-extender-tls"].cert.parent),
            "K40S_CLIENT_TLS_DIRECTORY": str(certificates["k40s-extender-client-tls"].cert.parent),
        }
        process = undo.enter_context(started(["-m", "extender"], environment))
        wait_until(lambda: is_ready(probe_port))
        yield Server(
            name="extender",
            pid=process.pid,
            port=port,
            probe_port=probe_port,
            server_name="k40s-extender.k40s-system.svc",
            files=certificates["k40s-scheduler-tls"],
            method="POST",
            path="/scheduler/filter",
            body=make_args(make_pod(criticality="NO"), NODES),
        )


@contextmanager
def rubicante() -> Iterator[Server]:
    with ExitStack() as undo:
        directory = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        certificates = issue_certificates(directory)
        (port,) = free_ports(1)
        place = certificates["k40s-rubicante-tls"].cert.parent
        process = undo.enter_context(
            started(["-m", "tests.fakes.rubicante.process", str(port), str(place)], {})
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Server(
            name="rubicante",
            pid=process.pid,
            port=port,
            probe_port=None,
            server_name="rubicante.k40s-system.svc",
            files=certificates["k40s-extender-client-tls"],
            method="GET",
            path="/v1/state",
            body=b"",
        )


SERVERS = {"extender": extender, "rubicante": rubicante}


@contextmanager
def started(command: list[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("K40S_")}
    with subprocess.Popen(
        [sys.executable, *command],
        env={**inherited, "PYTHONPATH": str(Path.cwd()), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                process.kill()


def is_ready(probe_port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", probe_port, timeout=2)
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return bool(json.loads(answer.read())["ok"])
    except (OSError, http.client.HTTPException):
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit, "the server does not become ready"
        time.sleep(0.1)


if __name__ == "__main__":
    main()
