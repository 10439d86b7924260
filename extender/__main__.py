"""``python -m extender``: reads the environment and makes the adapters, in the worker process."""

import gc
import os
import sys
from functools import partial

from flask import Flask

from extender.app import PREFIX
from extender.service import Extender
from extender.settings import ExtenderSettings
from extender.verbs.dry_run import DryRun
from k40s.errors import K40sError
from k40s.http.client import HttpClient
from k40s.http.probes import ProbeServer
from k40s.http.server import serve
from k40s.http.tls import TlsFiles
from k40s.kube.connect import connect
from k40s.node_api.client import RubicanteClient
from k40s.node_api.network_client import ScarmiglioneClient
from k40s.runtime.log import configure
from k40s.runtime.settings import read_settings


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
        allowed_clients=frozenset({settings.scheduler_name, settings.controller_name}),
        restricted={settings.controller_name: frozenset({f"{PREFIX}/{DryRun.name}"})},
        threads=settings.threads,
    )


def start(settings: ExtenderSettings) -> Flask:
    """Start the probes and the extender, in the process that will serve the API returned."""
    tls = TlsFiles.in_directory(settings.client_tls_directory)
    rubicante = HttpClient(
        tls=tls, server_name=settings.rubicante_name, timeout=settings.reserve_timeout
    )
    scarmiglione = HttpClient(
        tls=tls, server_name=settings.scarmiglione_name, timeout=settings.station_timeout
    )
    extender = Extender(
        settings,
        cluster=connect(kubeconfig=settings.kubeconfig, environment=os.environ),
        cpu=RubicanteClient(rubicante),
        stations=ScarmiglioneClient(scarmiglione),
    )
    ProbeServer(
        host=settings.host,
        port=settings.probe_port,
        registry=extender.registry,
        ready=extender.trouble,
    ).start()
    app = extender.start()
    tune_collector()
    return app


def tune_collector() -> None:
    """Freezes permanent objects for the garbage collector, and raises its threshold.

    Parsing JSON makes many short-lived containers but no cycles; at the default threshold the
    collector would often traverse the caches for nothing.
    """
    gc.set_threshold(20_000, 20, 50)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
