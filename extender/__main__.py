"""``python -m extender``: reads the environment and makes the adapters, in the worker process."""

import gc
import os
import sys
from collections.abc import Mapping
from functools import partial

from flask import Flask

from extender.app import PREFIX
from extender.service import Extender
from extender.settings import ExtenderSettings
from extender.verbs.dry_run import DryRun
from extender.verbs.explain import Explain
from extender.verbs.preemption_plan import PreemptionPlan
from k40s.errors import K40sError
from k40s.http.client import HttpClient
from k40s.http.probes import ProbeServer
from k40s.http.server import serve
from k40s.http.tls import TlsFiles
from k40s.kube.connect import connect
from k40s.kube.writing.tenant_ledgers import TenantLedgers
from k40s.node_api.client import RubicanteClient
from k40s.node_api.network_client import ScarmiglioneClient
from k40s.pki.metrics import CertificateMetrics
from k40s.runtime.log import configure
from k40s.runtime.settings import read_settings
from k40s.units import NS_PER_S, NS_PER_US

_SWITCH = 200 * NS_PER_US


def main() -> None:
    """Serves until a signal; invalid settings end the process with their text."""
    try:
        run(read_settings(ExtenderSettings, os.environ))
    except K40sError as error:
        sys.exit(f"extender: {error}")


def run(settings: ExtenderSettings) -> None:
    """Serve the API and the probes."""
    configure(settings.log_level, sys.stderr)
    serve(
        partial(start, settings),
        host=settings.host,
        port=settings.port,
        tls=TlsFiles.in_directory(settings.tls_directory),
        allowed_clients=frozenset(
            {settings.scheduler_name, settings.controller_name, settings.insight_name}
        ),
        restricted=restrictions(settings),
        threads=settings.threads,
    )


def restrictions(settings: ExtenderSettings) -> Mapping[str, frozenset[str]]:
    """The paths that clients beside the scheduler may call, by the client's name."""
    return {
        settings.controller_name: _paths(DryRun, PreemptionPlan),
        settings.insight_name: _paths(Explain),
    }


def _paths(*verbs: type[DryRun | Explain | PreemptionPlan]) -> frozenset[str]:
    return frozenset(f"{PREFIX}/{verb.name}" for verb in verbs)


def start(settings: ExtenderSettings) -> Flask:
    """Start the probes and the extender, in the process that will serve the API returned."""
    tls = TlsFiles.in_directory(settings.client_tls_directory)
    rubicante = HttpClient(
        tls=tls, server_name=settings.rubicante_name, timeout=settings.reserve_timeout
    )
    scarmiglione = HttpClient(
        tls=tls, server_name=settings.scarmiglione_name, timeout=settings.station_timeout
    )
    cluster = connect(kubeconfig=settings.kubeconfig, environment=os.environ)
    extender = Extender(
        settings,
        cluster=cluster,
        tenants=TenantLedgers(cluster.api),
        cpu=RubicanteClient(rubicante),
        stations=ScarmiglioneClient(scarmiglione),
    )
    CertificateMetrics(
        extender.registry,
        process="extender",
        certificates={
            "server": settings.tls_directory / "tls.crt",
            "client": settings.client_tls_directory / "tls.crt",
        },
    )
    ProbeServer(
        host=settings.host,
        port=settings.probe_port,
        registry=extender.registry,
        ready=extender.trouble,
    ).start()
    app = extender.start()
    tune_collector()
    tune_threads()
    return app


def tune_collector() -> None:
    """Freezes permanent objects for the garbage collector, and raises its threshold.

    Parsing JSON makes many short-lived containers but no cycles; at the default threshold the
    collector would often traverse the caches for nothing.
    """
    gc.set_threshold(20_000, 20, 50)
    gc.collect()
    gc.freeze()


def tune_threads() -> None:
    """Has a thread that computes make room sooner for one that answers kube-scheduler.

    Each of a call's reads and writes may have to wait that long beside a plan; by default, 5 ms.
    """
    sys.setswitchinterval(_SWITCH / NS_PER_S)


if __name__ == "__main__":
    main()
