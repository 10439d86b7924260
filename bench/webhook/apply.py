"""What the webhook adds to the creation of a good pod, on a real API server.

    python -m bench.webhook.apply [--requests 200]

The same pod is created (dry run) in a namespace that the webhook sees and in one that it does not,
in turn: with it, the API server asks twice, for defaults and for the verdict. Bar: 20 ms more.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from localcluster.host.paths import cache_root
from localcluster.images.binaries import ensure_binaries
from localcluster.plane.control_plane import ControlPlane
from localcluster.progress import Progress
from tests.fakes.extender.process import ROOT, SCHEDULER
from tests.fakes.registered_nodes import NAMESPACE, Api, make_spec, prepare, wait_until
from tests.fakes.webhook.process import (
    configurations,
    new_authority,
    start_webhook,
    wait_ready,
    write_certificate,
)

BAR_MS = 20.0
GOOD = {
    "k40s.io/criticality": "HI",
    "k40s.io/tasks": '[{"name": "t", "wcet": {"edge": "1ms"}, "period": "100ms"}]',
}
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    binaries = ensure_binaries(None, cache=cache_root(os.environ), progress=Progress())
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        with ControlPlane.on_loopback(directory=directory / "plane", binaries=binaries) as plane:
            api = Api(plane)
            set_up(api, plane, directory / "tls")
            samples = measure(api, options.requests)
            api.close()
    report(samples)


def set_up(api: Api, plane: ControlPlane, tls: Path) -> None:
    prepare(api)
    account = {"metadata": {"name": "default"}}
    api.request("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", account)
    for name in ("rbac", "admission-pods", "admission-priorities", "priority-classes"):
        plane.kubectl("apply", "--filename", str(ROOT / "manifests" / "base" / f"{name}.yaml"))
    write_certificate(tls, new_authority())
    webhook = start_webhook(plane, tls)
    for document in configurations(webhook.url):
        plural = document["kind"].lower() + "s"
        api.request("POST", f"{REGISTRATION}/{plural}", document)
    wait_ready(plane, webhook)
    wait_until(lambda: priority_of(api, "default") > 0)


def priority_of(api: Api, namespace: str) -> int:
    answer = create(api, namespace, accepted=(403, 422, 500))
    return int(answer.get("spec", {}).get("priority", 0))  # type: ignore[attr-defined]  # JSON


def create(api: Api, namespace: str, accepted: tuple[int, ...] = ()) -> dict[str, object]:
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    pod = make_spec("good", scheduler=SCHEDULER, annotations=GOOD)
    return api.request("POST", path, pod, accepted=accepted)


def measure(api: Api, requests: int) -> dict[str, list[float]]:
    """Milliseconds of each creation, in turn."""
    samples: dict[str, list[float]] = {"default": [], NAMESPACE: []}
    for _ in range(requests):
        for namespace, times in samples.items():
            started = time.perf_counter()
            create(api, namespace)
            times.append((time.perf_counter() - started) * 1000)
    return samples


def report(samples: dict[str, list[float]]) -> None:
    seen, unseen = samples["default"], samples[NAMESPACE]
    print("| dry-run creation of a good pod | median, ms | 95 %, ms |")
    print("|---|---|---|")
    for what, times in (("with the webhook", seen), ("without", unseen)):
        print(f"| {what} | {statistics.median(times):.1f} | {percentile(times):.1f} |")
    more = statistics.median(seen) - statistics.median(unseen)
    tail = percentile(seen) - percentile(unseen)
    verdict = "met" if more <= BAR_MS else "MISSED"
    print(f"| more | {more:.1f} ({verdict}: at most {BAR_MS:g}) | {tail:.1f} |")


def percentile(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


if __name__ == "__main__":
    main()
