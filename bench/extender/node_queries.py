"""Cost of node queries for the extender: over real mutual TLS, many nodes at once.

    python -m bench.extender.node_queries [--rounds 5] [--silent 64]

Every node has an admission test that the extender does not have, and no answer is cached. One
process simulates all nodes, each at its own address on loopback, and answers at once or after a
pause that simulates an analysis. CPU time is the extender's alone; wall time includes waiting for
that one process, which a cluster does not have.

With ``--silent``, so many nodes accept connections and never answer, beside ten that do: how many
of the ten answer each query, and how long the scheduler waits.
"""

import argparse
import logging
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from extender.placement.node_queries import NodeQueries
from k40s.http.client import HttpClient
from k40s.http.tls import TlsFiles, server_context
from k40s.node_api.client import RubicanteClient
from k40s.node_api.messages import (
    PodRef,
    ReservationRequest,
    format_admission_answer,
    parse_reservation_request,
)
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.extender.process import ROOT, issue_certificates
from tests.fakes.extender.world import (
    FakeRubicante,
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
)

NAME = "rubicante"
PATIENCE = Nanoseconds(500 * NS_PER_MS)
COUNTS = (1, 10, 50, 200)
PAUSES_MS = (0, 20)
GOOD = 10
QUESTIONS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    logging.disable(logging.WARNING)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--silent", type=int, default=0)
    parser.add_argument("--serve", nargs=2, metavar=("DIRECTORY", "PAUSE_MS"))
    options = parser.parse_args()
    if options.serve:
        serve(Path(options.serve[0]), int(options.serve[1]))
        return
    if options.silent:
        beside_silent(options.silent)
        return
    print(
        "| nodes asked | a node takes | first time: wall | answered | then: wall | CPU | answered |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as root:
        certificates = issue_certificates(Path(root))
        for pause in PAUSES_MS:
            directory = certificates["k40s-rubicante-tls"].cert.parent
            command = [sys.executable, "-m", "bench.extender.node_queries"]
            command += ["--serve", str(directory), str(pause)]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as nodes:
                assert nodes.stdout is not None
                port = int(nodes.stdout.readline())
                for count in COUNTS:
                    show(certificates["k40s-extender-client-tls"], port, count, pause, options)
                nodes.terminate()


def show(tls: TlsFiles, port: int, count: int, pause: int, options: argparse.Namespace) -> None:
    client = HttpClient(tls=tls, server_name=NAME, timeout=PATIENCE)
    queries = NodeQueries(
        nodes=RubicanteClient(client), clock=time.monotonic_ns, back_off=Nanoseconds(0)
    )
    endpoints = {f"n{i}": f"https://127.0.{i // 250}.{i % 250 + 1}:{port}" for i in range(count)}
    first = once(queries, endpoints)
    for _ in range(3):  # every node is connected to before the rest is measured
        once(queries, endpoints)
    later = [once(queries, endpoints) for _ in range(options.rounds)]
    wall, cpu, answered = (sorted(column)[len(later) // 2] for column in zip(*later, strict=True))
    queries.close()
    client.close()
    print(
        f"| {count} | {pause} ms | {first[0]:.0f} ms | {first[2]} | "
        f"{wall:.1f} ms | {cpu:.1f} ms | {answered} |",
        flush=True,
    )


def beside_silent(count: int) -> None:
    with tempfile.TemporaryDirectory() as root, socket.create_server(("0.0.0.0", 0)) as silent:  # noqa: S104  # all of loopback
        certificates = issue_certificates(Path(root))
        silent.listen(1024)
        directory = certificates["k40s-rubicante-tls"].cert.parent
        command = [
            sys.executable,
            "-m",
            "bench.extender.node_queries",
            "--serve",
            str(directory),
            "0",
        ]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as nodes:
            assert nodes.stdout is not None
            port, deaf = int(nodes.stdout.readline()), silent.getsockname()[1]
            client = HttpClient(
                tls=certificates["k40s-extender-client-tls"], server_name=NAME, timeout=PATIENCE
            )
            queries = NodeQueries(nodes=RubicanteClient(client), clock=time.monotonic_ns)
            good = {f"n{i}": f"https://127.0.0.{i + 1}:{port}" for i in range(GOOD)}
            for _ in range(3):
                once(queries, good)
            mad = {f"s{i}": f"https://127.0.1.{i + 1}:{deaf}" for i in range(count)}
            questions = [once(queries, mad | good) for _ in range(QUESTIONS)]
            nodes.terminate()
            queries.close()
            client.close()
    answered = [answers for _, _, answers in questions]
    walls = sorted(wall for wall, _, _ in questions)
    print(f"{count} silent nodes beside {GOOD}, {QUESTIONS} questions one after the other")
    print(f"all {GOOD} answered: {answered.count(GOOD)}; none: {answered.count(0)}")
    print(f"answers: {sum(answered)} of {GOOD * QUESTIONS}")
    print(f"wall: median {walls[len(walls) // 2]:.0f} ms, total {sum(walls) / 1000:.1f} s")


def once(queries: NodeQueries, endpoints: dict[str, str]) -> tuple[float, float, int]:
    asked = question()
    started, burnt = time.perf_counter(), time.process_time()
    deadline = time.monotonic_ns() + PATIENCE
    answers = queries.ask(endpoints, asked, deadline, lambda *_late: None)()
    wall, cpu = time.perf_counter() - started, time.process_time() - burnt
    return wall * 1000, cpu * 1000, len(answers)


def question() -> ReservationRequest:
    world = World()
    world.add(make_node("n", level=20, cpu=make_cpu_state()))
    pod = make_pod(criticality="HI", tasks=[make_task("20ms", "200ms")])
    world.filter(pod, ["n"])
    observed = world.workloads.get("uid-pod")
    assert observed is not None
    assert observed.contract.workload is not None
    return ReservationRequest(
        pod=PodRef(uid="uid-pod", namespace="default", name="pod"),
        workload=observed.contract.workload,
    )


def serve(directory: Path, pause_ms: int) -> None:
    """All nodes: one small node with the real admission, run for each query."""
    book = FakeRubicante(make_cpu_node(cores=(0, 1)))
    pause = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = parse_reservation_request(body, pod_uid=None)
            answer = book.query_admission("", request, timeout=Nanoseconds(NS_PER_S))
            book.journal.clear()
            if pause_ms:
                pause.wait(pause_ms / 1000)
            text = format_admission_answer(answer)
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_arguments: object) -> None:
            """Silence."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 512
        daemon_threads = True
        context = server_context(TlsFiles.in_directory(directory))

        def finish_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            super().finish_request(
                self.context.wrap_socket(request, server_side=True), client_address
            )

        def handle_error(self, request, client_address) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            """Ignores clients that gave up."""

    server = Server(("0.0.0.0", 0), Handler)  # noqa: S104  # all of loopback
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
