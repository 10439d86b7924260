"""The webhook assembled: the application, the loop that keeps certificates current, and probes."""

import threading
import time
from functools import partial

from prometheus_client import CollectorRegistry

from k40s.errors import UnavailableError
from k40s.http.probes import ProbeServer
from k40s.kube.list_watch import WatchSource
from k40s.kube.records import TenantRecord
from k40s.kube.watching.informer import Informer
from k40s.node_agent.backoff import Backoff
from k40s.node_agent.loops import Loops
from k40s.pki.metrics import CertificateMetrics
from k40s.units import NS_PER_S, Clock, Nanoseconds
from webhook.app import WebhookApp
from webhook.configurations import Api, CertificateKeeper
from webhook.defaults import fill_in
from webhook.metrics import WebhookMetrics
from webhook.settings import WebhookSettings
from webhook.tenants import TenantBounds, validate_within

LOOK_EVERY = Nanoseconds(5 * NS_PER_S)
_LATE = 60 * NS_PER_S
"""Without a look for so long, it is not healthy."""


class Webhook:
    """Everything that runs in the worker process."""

    def __init__(
        self,
        settings: WebhookSettings,
        *,
        api: Api,
        tenants: WatchSource[TenantRecord] | None = None,
        clock: Clock = time.monotonic_ns,
    ) -> None:
        """Without a source of ``tenants`` no namespace has bounds.

        Raises ``UnavailableError`` when the probes' port cannot be used.
        """
        registry = CollectorRegistry()
        self._metrics = WebhookMetrics(registry)
        CertificateMetrics(
            registry,
            process="webhook",
            certificates={"server": settings.tls_directory / "tls.crt"},
        )
        self._clock = clock
        self._looked = clock()
        self._failures = Backoff(
            pause=Nanoseconds(0), clock=clock, on_failure=self._metrics.count_failure
        )
        self._keeper = CertificateKeeper(
            api,
            authority=settings.tls_directory / "ca.crt",
            validating=settings.validating_configuration,
            mutating=settings.mutating_configuration,
            metrics=self._metrics,
            clock=clock,
        )
        bounds = TenantBounds()
        self.app = WebhookApp(
            {
                "validate": partial(
                    validate_within, bounds=bounds, classes=settings.defaults.runtime_classes
                ),
                "mutate": partial(fill_in, defaults=settings.defaults),
            },
            metrics=self._metrics,
        )
        self.probes = ProbeServer(
            host=settings.host,
            port=settings.probe_port,
            registry=registry,
            healthy=self._healthy,
            ready=self._ready,
        )
        self._stop = threading.Event()
        self._loops = Loops(stop=self._stop, on_error=self._metrics.errors.inc)
        self._tenants = None if tenants is None else self._watch(tenants, bounds)

    def start(self) -> WebhookApp:
        """Start the loop and the probes; returns the application to serve."""
        if self._tenants is not None:
            self._tenants.start()
        self._loops.start("certificates", LOOK_EVERY, self.look)
        self.probes.start()
        return self.app

    def stop(self) -> None:
        """End the loop, free the port."""
        self._stop.set()
        self._loops.join(1.0)
        self.probes.stop()

    def look(self) -> None:
        """Look at the configurations once."""
        try:
            self._keeper.look()
        except UnavailableError as error:
            self._failures.failed("webhook configurations not kept", error)
        else:
            self._failures.succeeded()
        self._looked = self._clock()

    def _watch(
        self, source: WatchSource[TenantRecord], bounds: TenantBounds
    ) -> Informer[TenantRecord]:
        return Informer(
            name="tenants",
            source=source,
            handler=bounds,
            stop=self._stop,
            on_error=self._metrics.watch_errors.inc,
            on_unreadable=self._metrics.unreadable.inc,
        )

    def _healthy(self) -> str | None:
        late = self._clock() - self._looked > _LATE
        return "no look at the webhook configurations for 60 s" if late else None

    def _ready(self) -> str | None:
        return None if self._keeper.current else "the webhook configurations lack our certificate"
