"""``python -m extender``: reads the environment and makes the adapters, in the worker process."""

import gc
import os
import sys
from functools import partial

from flask import Flask

from extender.clients import RubicanteClient
from extender.service import Extender
from extender.settings import ExtenderSettings
from k40s.errors import K40sError
from k40s.runtime.http import serve
from k40s.runtime.json_client import JsonClient
from k40s.runtime.kube import connect
from k40s.runtime.log import configure
from k40s.runtime.probes import ProbeServer
from k40s.runtime.settings import read_settings
from k40s.runtime.tls import TlsFiles


def main() -> None:
    """Serve until told to stop; a fault in the settings ends the process with its text."""
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
        allowed_clients=frozenset({settings.scheduler_name}),
        threads=settings.threads,
    )


def start(settings: ExtenderSettings) -> Flask:
    """Start the probes and the extender, in the process that will serve the API returned."""
    client = JsonClient(
        tls=TlsFiles.in_directory(settings.client_tls_directory),
        server_name=settings.rubicante_name,
        timeout=settings.reserve_timeout,
    )
    extender = Extender(
        settings,
        cluster=connect(kubeconfig=settings.kubeconfig, environment=os.environ),
        cpu=RubicanteClient(client),
    )
    ProbeServer(
        host=settings.host,
        port=settings.probe_port,
        registry=extender.registry,
        ready=extender.trouble,
    ).start()
    app = extender.start()
    rest_collector()
    return app


def rest_collector() -> None:
    """Let the garbage collector pass by what stays, and come less often.

    Parsing JSON makes many short-lived containers but no cycles; at the default threshold the
    collector would walk the caches for them again and again.
    """
    gc.set_threshold(20_000, 20, 50)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
